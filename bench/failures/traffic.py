"""TCP connections of g1 to g2 by the frame: opened, then one numbered packet after the other.

Neither guest has a kernel that would answer: the connections are ours on both sides. Every data
packet stands at the same place of its connection's stream, as if sent again, so that a lost one
opens no gap and the receiver's window never ends."""
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from weirlab.raw import ACK, PSH, RST, SYN, TCP, tcp_frame
from weirlab.t0 import GUESTS, T0
from weirlab.wait import wait_until

PORT, FIRST = 9999, 10_000
SEQ, ANSWER = 1_000, 5_000
MARK = b"weir-failure: "  # of even length, so that the number behind it is two words of the sum
TCP_AT = 14 + 20
NUMBER_AT = TCP_AT + 20 + len(MARK)
_OUTGOING = 4


@dataclass
class Run:
    sent: list[float] = field(default_factory=list)          # when; the index is the number
    arrived: dict[int, float] = field(default_factory=dict)  # number → when
    duplicates: int = 0
    misdirected: int = 0
    resets: set[int] = field(default_factory=set)  # connections that either end saw reset


def _capture(space, interface: str) -> socket.socket:
    sock = space.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    sock.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
    sock.bind((interface, 0x0003))
    sock.settimeout(0.1)
    return sock


def _number(frame: bytes) -> int | None:
    if frame[TCP_AT + 20:NUMBER_AT] != MARK:
        return None
    return struct.unpack_from("!I", frame, NUMBER_AT)[0]


def _is_tcp(frame: bytes) -> bool:
    return len(frame) >= TCP_AT + 20 and frame[12:14] == b"\x08\x00" and frame[23] == TCP


class Traffic:
    """All connections in turn, `rate` packets a second; watched at g1, g2 and, for what goes
    astray, g3. Packet n belongs to connection n modulo `flows`."""

    def __init__(self, t0: T0, flows: int, rate: int):
        self.t0, self.flows, self.rate = t0, flows, rate
        self.run = Run()
        self._open: set[int] = set()
        self._stop, self._sent_all = threading.Event(), threading.Event()
        self._data = [self._frame(n, PSH | ACK, MARK + bytes(4)) for n in range(flows)]
        self._sums = [struct.unpack_from("!H", frame, TCP_AT + 16)[0] for frame in self._data]
        for name in ("g1", "g2"):  # from now on no kernel answers what comes for them
            t0.guests[name].space.ip("address", "flush", "dev", "eth0")
        watched = ((self._at_target, "g2"), (self._at_sender, "g1"), (self._at_other, "g3"))
        self._sockets = {name: _capture(t0.guests[name].space, "eth0") for _, name in watched}
        self._threads = [threading.Thread(target=self._watch, args=(see, self._sockets[name]))
                         for see, name in watched]
        self._sender = threading.Thread(target=self._send)

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        self._open_all()
        self._sender.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        if self._sender.is_alive():
            self._sender.join()
        self._sent_all.set()
        for thread in self._threads:
            thread.join()
        for sock in self._sockets.values():
            sock.close()

    def _frame(self, connection: int, flags: int, payload: bytes = b"", back: bool = False,
               seq: int = SEQ + 1) -> bytearray:
        (_, mac, source), (_, target_mac, target) = GUESTS["g1"], GUESTS["g2"]
        if back:
            return bytearray(tcp_frame(mac, target_mac, target, source, PORT, FIRST + connection,
                                       flags, seq=ANSWER, ack=SEQ + 1))
        return bytearray(tcp_frame(target_mac, mac, source, target, FIRST + connection, PORT,
                                   flags, seq=seq, ack=ANSWER + 1 if flags & ACK else 0,
                                   payload=payload))

    def _open_all(self) -> None:
        """Handshakes, asked for again where one was lost: what is measured comes later."""
        def missing_asked() -> bool:
            for count, n in enumerate(sorted(set(range(self.flows)) - self._open)):
                self._sockets["g1"].send(self._frame(n, SYN, seq=SEQ))
                if count % 32 == 31:
                    time.sleep(32 / self.rate)
            return len(self._open) == self.flows
        wait_until(f"{self.flows} connections are open", missing_asked, 60, every_s=0.5)

    def _send(self) -> None:
        sock, began, count = self._sockets["g1"], time.monotonic(), 0
        while not self._stop.is_set():
            due = int((time.monotonic() - began) * self.rate)
            for _ in range(min(due - count, 256)):
                sock.send(self._numbered(count))
                self.run.sent.append(time.monotonic())
                count += 1
            self._stop.wait(0.001)

    def _numbered(self, number: int) -> bytearray:
        connection = number % self.flows
        frame = self._data[connection]
        struct.pack_into("!I", frame, NUMBER_AT, number)
        total = (~self._sums[connection] & 0xFFFF) + (number >> 16) + (number & 0xFFFF)
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into("!H", frame, TCP_AT + 16, ~total & 0xFFFF)
        return frame

    def _watch(self, see: Callable[[bytes], None], sock: socket.socket) -> None:
        quiet_since = None
        while True:
            try:
                frame, address = sock.recvfrom(2048)
                if address[2] != _OUTGOING:
                    see(frame)
                quiet_since = None
            except TimeoutError:
                quiet_since = quiet_since or time.monotonic()
                if self._sent_all.is_set() and time.monotonic() - quiet_since > 1:
                    return

    def _at_target(self, frame: bytes) -> None:
        if not _is_tcp(frame):
            return
        connection = struct.unpack_from("!H", frame, TCP_AT)[0] - FIRST
        flags, number = frame[TCP_AT + 13], _number(frame)
        if flags == SYN:
            self._sockets["g2"].send(self._frame(connection, SYN | ACK, back=True))
        elif flags & RST:
            self.run.resets.add(connection)
        elif number is None:
            return
        elif connection != number % self.flows:
            self.run.misdirected += 1  # the numbers of one connection in another
        elif number in self.run.arrived:
            self.run.duplicates += 1
        else:
            self.run.arrived[number] = time.monotonic()

    def _at_sender(self, frame: bytes) -> None:
        if not _is_tcp(frame):
            return
        connection, flags = struct.unpack_from("!H", frame, TCP_AT + 2)[0] - FIRST, frame[47]
        if _number(frame) is not None:
            self.run.misdirected += 1
        elif flags & RST:
            self.run.resets.add(connection)
        elif flags == SYN | ACK and connection not in self._open:
            self._sockets["g1"].send(self._frame(connection, ACK))
            self._open.add(connection)

    def _at_other(self, frame: bytes) -> None:
        self.run.misdirected += _is_tcp(frame) and _number(frame) is not None
