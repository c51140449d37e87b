"""Captures: tcpdump into a file, and reading such files."""
import re
import signal
import struct
from pathlib import Path

from .lab import Lab
from .namespace import Namespace
from .process import CommandFailed
from .raw import Frame, parse
from .wait import wait_until

ROOM_KIB = 32 << 10  # for what tcpdump does not read at once


class Capture:
    """What passes an interface, from now until stop(); of each frame the first `bytes_each`."""

    def __init__(self, lab: Lab, space: Namespace, interface: str, path: Path,
                 match: str = "", bytes_each: int = 0):
        self.path = path
        command = ["tcpdump", "-n", "-U", "--immediate-mode", "-Z", "root", "-B", str(ROOM_KIB),
                   "-s", str(bytes_each), "-i", interface, "-w", str(path)] + match.split()
        self._daemon = lab.start(f"tcpdump-{path.stem}", command, space)

        def listening() -> bool:
            self._daemon.must_run()
            return "listening on" in self._daemon.output()
        wait_until("tcpdump listens", listening)

    def frames(self) -> list[Frame]:
        """What has been written so far."""
        return read_pcap(self.path)

    def stop(self) -> list[Frame]:
        if self._daemon.running():
            self._daemon.signal(signal.SIGINT)
            self._daemon.wait(10)
        told = re.search(r"(\d+) packets? dropped by kernel", self._daemon.output())
        if not told or int(told[1]):
            raise CommandFailed(self._daemon.command, 0, self._daemon.output())
        return self.frames()


def read_pcap(path: Path) -> list[Frame]:
    data = path.read_bytes()
    if len(data) < 24:
        return []
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    frames, at = [], 24
    while at + 16 <= len(data):
        size = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        if at + 16 + size > len(data):
            break  # its writer is not done with it
        frames.append(parse(data[at + 16:at + 16 + size]))
        at += 16 + size
    return frames


def write_pcap(path: Path, frames: list[bytes]) -> None:
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    for number, raw in enumerate(frames):
        out += struct.pack("<IIII", 0, number, len(raw), len(raw)) + raw
    path.write_bytes(out)
