"""A service node that takes its time: a bump in the wire whose packets leave late."""
import select
import threading
import time

from .raw import ETH_HEARTBEAT, RawPort


class SlowWire:
    """What comes at one port leaves by the other one `delay_s` later; heartbeats at once, as from
    a node whose trouble is with its packets."""

    def __init__(self, left: RawPort, right: RawPort):
        self.delay_s = 0.0
        self._ports = (left, right)
        self._waiting: list[tuple[float, RawPort, bytes]] = []  # sorted but for changes of delay_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ending.is_set():
            readable, _, _ = select.select(self._ports, (), (), self._pause_s())
            for port in readable:
                self._take(port, self._ports[1 - self._ports.index(port)])
            self._give()

    def _pause_s(self) -> float:
        """Until the next packet is due; never long, so that the end is noticed."""
        due = min((at for at, _, _ in self._waiting), default=time.monotonic() + 0.2)
        return min(0.2, max(0.0, due - time.monotonic()))

    def _take(self, port: RawPort, to: RawPort) -> None:
        for frame in port.drain():
            if frame.ethertype == ETH_HEARTBEAT:
                to.send(frame.raw)
            else:
                self._waiting.append((time.monotonic() + self.delay_s, to, frame.raw))

    def _give(self) -> None:
        now = time.monotonic()
        going = [one for one in self._waiting if one[0] <= now]
        self._waiting = [one for one in self._waiting if one[0] > now]
        for _, to, raw in going:
            to.send(raw)
