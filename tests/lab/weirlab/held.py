"""A wire that holds back what one host sends another until it is let go."""
from .metadata import GENEVE_PORT
from .namespace import Namespace
from .raw import Frame, RawPort


class Hold:
    """Guests' packets from one plug of the underlay's bridge do not reach this tunnel endpoint;
    what hosts say to each other (flag O of Geneve) does."""

    def __init__(self, under: Namespace, source: str, receiver_ip: str):
        self.under, self.source, self.receiver_ip = under, source, receiver_ip
        self.table = f"hold-{source}"
        under.run(["nft", "-f", "-"], text_in=f"""table bridge {self.table} {{
            chain forward {{
                type filter hook forward priority 0; policy accept;
                iifname "{source}" ip daddr {receiver_ip} udp dport {GENEVE_PORT} @th,72,1 0 drop
            }}
        }}
        """)

    def takes(self, frame: Frame) -> bool:
        return frame.ip_dst == self.receiver_ip and frame.dst_port == GENEVE_PORT and \
            frame.payload[1] < 0x80

    def end(self) -> None:
        self.under.run(["nft", "delete", "table", "bridge", self.table])


class Held:
    """What `source` sends to the tunnel endpoint of `target` waits from now on until release()."""

    def __init__(self, under: Namespace, source: str, target: str, receiver_ip: str):
        self._hold = Hold(under, source, receiver_ip)
        self._taken, self._given = RawPort(under, source), RawPort(under, target)
        self._frames: list[Frame] = []

    def count(self) -> int:
        self._frames += [f for f in self._taken.drain() if self._hold.takes(f)]
        return len(self._frames)

    def let_go(self, count: int) -> int:
        """The first so many; how many are left."""
        going, self._frames = self._frames[:count], self._frames[count:]
        for frame in going:
            self._given.send(frame.raw)
        return len(self._frames)

    def release(self) -> int:
        """Lets everything go, in its order, and what comes passes from now on; how many waited."""
        self._hold.end()
        count = self.count()
        self.let_go(count)
        self._taken.close()
        self._given.close()
        return count
