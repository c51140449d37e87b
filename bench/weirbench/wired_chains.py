"""Chains between network interfaces: weir-host on packet sockets beside the kernel itself, a bridge
between the guests with nftables steering from port to port. The nodes are the same on both sides:
bumps in the wire whose two ends the kernel joins, in a namespace of their own."""
import os
from collections.abc import Iterator
from pathlib import Path

from . import chains, weir, wire, world
from .process import call

MOST_OTHER = 1000  # frames of a node that are none of the generator's: heartbeats, of bridges


def make_side(program: str, build: Path, hops: int):
    return {"weir-wire": WireChain, "bridge": Bridge}[program](build, hops)


def ends(hop: int) -> tuple[str, str]:
    """Interfaces of a node, left and right, here and behind the veth pairs."""
    return f"n{hop}-left", f"n{hop}-right"


class Nodes(wire.Side):
    """`hops` nodes beside the guests' ports, and whether every packet has visited each of them."""

    def __init__(self, build: Path, hops: int):
        super().__init__(build)
        self.hops = hops
        self.behind = f"weir-bench-nodes-{os.getpid()}"
        self.needs += ("nft",)
        self.namespaces += (self.behind,)

    def at_nodes(self, *argv: str, text: str | None = None) -> str:
        return call("ip", "netns", "exec", self.behind, *argv, text=text)

    def lay_wires(self) -> None:
        super().lay_wires()
        pairs = [ends(hop) for hop in range(1, self.hops + 1)]
        for name in (name for pair in pairs for name in pair):
            self.join(name, self.behind, name)
        self.at_nodes("nft", "-f", "-", text=joined(pairs))

    def visits(self) -> Iterator[tuple[str, str, int]]:
        """(node, way, packets it was given), by the kernel's counters of its interfaces."""
        for hop in range(1, self.hops + 1):
            for name, way in zip(ends(hop), ("a to b", "b to a")):
                count = self.at_nodes("cat", f"/sys/class/net/{name}/statistics/rx_packets")
                yield f"n{hop}", way, int(count)

    def complaints(self, a: dict[str, int], b: dict[str, int]) -> list[str]:
        sent = {"a to b": a["sent"], "b to a": b["sent"]}
        return [f"{node}: {count} packets {way} visited it of {sent[way]} sent"
                for node, way, count in self.visits()
                if not sent[way] <= count <= sent[way] + MOST_OTHER]


def joined(pairs: list[tuple[str, str]]) -> str:
    """What comes in at one end of a pair leaves at the other one."""
    return forwarding([*pairs, *(pair[::-1] for pair in pairs)])


def forwarding(ways: list[tuple[str, str]]) -> str:
    """nftables' words for: what comes in at the one leaves at the other, whatever it is."""
    return "\n".join(["table netdev steer {", *(
        f'chain at-{came} {{ type filter hook ingress device "{came}" priority 0; '
        f'fwd to "{leaves}"; }}' for came, leaves in ways), "}"])


class Bridge(Nodes):
    """The guests are ports of a bridge, and so are the outer ends of the chain: from there on, or
    without a chain, the bridge forwards by address. A guest's packets are steered to the first node
    before the bridge sees them, those of a node to the next one. No state, no metadata."""

    def __init__(self, build: Path, hops: int):
        super().__init__(build, hops)
        self.needs += ("bridge",)

    trims = True  # where bridges look into IP, they send no padding that came

    def forward(self, bench, room: Path) -> None:
        self.in_side("ip", "link", "add", "br0", "type", "bridge")
        self.in_side("ip", "link", "set", "dev", "br0", "up")
        outer = (ends(1)[0], ends(self.hops)[1]) if self.hops else ()
        for name in ("a", "b", *outer):
            self.in_side("ip", "link", "set", "dev", name, "master", "br0")
            self.in_side("bridge", "link", "set", "dev", name, "learning", "off")
        for name in outer:  # it would come back through the chain, and go round for ever
            self.in_side("bridge", "link", "set", "dev", name, "flood", "off", "bcast_flood",
                         "off", "mcast_flood", "off")
        for name, mac in (("a", world.CLIENT_MAC), ("b", world.SERVER_MAC)):
            self.in_side("bridge", "fdb", "replace", mac, "dev", name, "master", "static")
        if self.hops:
            self.in_side("nft", "-f", "-", text=forwarding(steering(self.hops)))


def steering(hops: int) -> list[tuple[str, str]]:
    """(where it came in, where it goes next) of both directions."""
    way = ["a", *(name for hop in range(1, hops + 1) for name in ends(hop)), "b"]
    return [(way[at], way[at + 1]) for at in range(0, len(way) - 2, 2)] + \
        [(way[at + 1], way[at]) for at in range(len(way) - 2, 0, -2)]


class WireChain(Nodes, wire.WireWeir):
    def make_resources(self, bench) -> list[dict]:
        made = weir.resources(bench)
        return made + chains.plane(bench, self.hops) if self.hops else made

    def decisions(self, room: Path) -> dict[str, float] | None:
        return chains.decisions(room) if self.hops else None
