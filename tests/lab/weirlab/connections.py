"""Many TCP connections between two guests that never stop talking."""
import selectors
import socket
import threading
from dataclasses import dataclass, field

from .guest import Guest
from .wait import wait_until

_MESSAGE = 64


@dataclass
class _Side:
    socket: socket.socket
    is_server: bool
    name: int = 0
    rounds: int = 0                  # client: how many messages came back
    inbox: bytes = b""
    outbox: bytes = b""


@dataclass
class Connections:
    """`count` connections from client to server: each sends a numbered message, waits for its echo,
    and sends the next. Anything else than the right echo is a breakage."""
    client: Guest
    server: Guest
    port: int
    count: int
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sides: list[_Side] = []
        self._clients: list[_Side] = []
        self._selector = selectors.DefaultSelector()
        self._stopping = threading.Event()
        self._listener = self.server.space.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("", self.port))
        self._listener.listen(self.count)
        for number in range(self.count):
            self._open(number)
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()
        self.must_go_on(1)

    def _open(self, number: int) -> None:
        client = self.client.space.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(10)
        client.connect((self.server.ip4, self.port))
        self._listener.settimeout(10)
        accepted, _ = self._listener.accept()
        first = _Side(client, False, number)
        for side in (first, _Side(accepted, True, number)):
            side.socket.setblocking(False)
            side.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sides.append(side)
            self._selector.register(side.socket, selectors.EVENT_READ, side)
        first.outbox = self._message(first)
        self._clients.append(first)

    @staticmethod
    def _message(side: _Side) -> bytes:
        return f"{side.name} {side.rounds}".encode().ljust(_MESSAGE)

    def _talk(self) -> None:
        for side in self._clients:
            self._send(side)
        while not self._stopping.is_set():
            for key, _ in self._selector.select(0.1):
                self._receive(key.data)
            for side in self._sides:
                if side.outbox:
                    self._send(side)

    def _send(self, side: _Side) -> None:
        try:
            side.outbox = side.outbox[side.socket.send(side.outbox):]
        except BlockingIOError:
            pass
        except OSError as error:
            self._break(side, error)

    def _receive(self, side: _Side) -> None:
        try:
            data = side.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            return self._break(side, error)
        if not data:
            return self._break(side, "closed by the other end")
        side.inbox += data
        while len(side.inbox) >= _MESSAGE:
            message, side.inbox = side.inbox[:_MESSAGE], side.inbox[_MESSAGE:]
            self._answer(side, message)

    def _answer(self, side: _Side, message: bytes) -> None:
        if side.is_server:
            side.outbox += message
        elif message != self._message(side):
            self._break(side, f"wrong echo {message!r}")
            return
        else:
            side.rounds += 1
            side.outbox = self._message(side)
        self._send(side)

    def _break(self, side: _Side, why: object) -> None:
        self.broken.append(f"{'server' if side.is_server else 'client'} {side.name}: {why}")
        self._selector.unregister(side.socket)
        side.outbox = b""

    def client_ports(self) -> list[int]:
        """Port numbers of the clients, in the order of rounds()."""
        return [side.socket.getsockname()[1] for side in self._clients]

    def rounds(self) -> list[int]:
        return [side.rounds for side in self._clients]

    def must_go_on(self, rounds: int = 2, timeout_s: float = 30.0) -> None:
        """Every connection gets that many more answers."""
        start = self.rounds()
        wait_until(f"{self.count} connections go on for {rounds} rounds",
                   lambda: self.broken or all(now >= then + rounds for now, then
                                              in zip(self.rounds(), start)), timeout_s)
        if self.broken:
            raise AssertionError(f"{len(self.broken)} connections broke: {self.broken[:5]}")

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        for side in self._sides:
            side.socket.close()
        self._listener.close()
        self._selector.close()
