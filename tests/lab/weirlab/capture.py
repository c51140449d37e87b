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
# What tcpdump says on SIGUSR1: packets it has read, packets the kernel has had for it.
_COUNTS = re.compile(r"(\d+) packets? captured, (\d+) packets? received by filter")


class Capture:
    """What passes an interface, from now until stop(); of each frame the first `bytes_each`."""

    def __init__(self, lab: Lab, space: Namespace, interface: str, path: Path,
                 match: str = "", bytes_each: int = 0):
        self.path = path
        command = ["tcpdump", "-n", "-U", "--immediate-mode", "-Z", "root", "-B", str(ROOM_KIB),
                   "-s", str(bytes_each), "-i", interface, "-w", str(path)] + match.split()
        self.daemon = lab.start(f"tcpdump-{path.stem}", command, space)

        def listening() -> bool:
            self.daemon.must_run()
            return "listening on" in self.daemon.output()
        wait_until("tcpdump listens", listening)

    def frames(self) -> list[Frame]:
        """What has been written so far."""
        return read_pcap(self.path)

    def stop(self) -> list[Frame]:
        """Everything that has passed until now."""
        if self.daemon.running():
            self._read_on()
            self.daemon.signal(signal.SIGINT)
            self.daemon.wait(10)
        told = re.search(r"(\d+) packets? dropped by kernel", self.daemon.output())
        if not told or int(told[1]):
            raise CommandFailed(self.daemon.command, 0, self.daemon.output())
        return self.frames()

    def _read_on(self) -> None:
        """Until tcpdump has read what the kernel has for it: where it ends, that is lost, and not
        counted as such."""
        def counts() -> list[tuple[int, int]]:
            return [(int(read), int(had)) for read, had in _COUNTS.findall(self.daemon.output())]
        before = len(counts())

        def told() -> list[tuple[int, int]]:
            self.daemon.signal(signal.SIGUSR1)
            return counts()[before:]
        wait_until("tcpdump tells what there is", told)

        def has_read() -> bool:
            said = told()
            settled = len(said) >= 3 and len({read for read, _ in said[-3:]}) == 1
            # With -Q the kernel counts what tcpdump leaves out, too.
            return said[-1][0] >= said[0][1] or settled
        wait_until("tcpdump has read it", has_read, 60, every_s=0.1)


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
