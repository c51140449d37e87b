"""What all steps of the demo share."""
import json
from dataclasses import dataclass, field
from pathlib import Path

from weirlab.lab import Lab
from weirlab.story import Story
from weirlab.two_hosts import EXAMPLE, TwoHosts
from weirlab.underlay import Leg, Underlay
from weirlab.weir import Weir

FAMILIES = (("IPv4", "ip4"), ("IPv6", "ip6"))


@dataclass
class Set:
    lab: Lab
    story: Story
    fabric: TwoHosts
    weir: Weir
    folder: Path                                # where report and captures are kept
    figures: dict[str, str] = field(default_factory=dict)

    def apply_example(self) -> str:
        """Back to what the file says, nothing else."""
        said = self.weir.apply(EXAMPLE, prune=True)
        self.weir.wait()
        return said

    def change(self, kind: str, name: str, **fields: object) -> None:
        """One resource with other values, realised on every host when this returns."""
        values = ", ".join(f"{k}: {json.dumps(v)}" for k, v in fields.items())
        self.story.tell(f"$ weir apply -f …   # {kind} {name} with {values}")
        self.weir.apply([{"kind": kind, **self.weir.get(kind, name), **fields}])
        self.weir.wait()

    def nodes_seen(self) -> tuple[int, int]:
        """Packets of guests that n1 and n2 let pass, by their own counters."""
        n1 = self.fabric.n1.status()
        n2 = self.fabric.n2.counters()
        return n1["passed"], n2["established"] + n2["opened"]


def way(leg: Leg) -> str:
    """One leg in a line: from → to, plane, position on the path."""
    smd = leg.smd
    to = {"10.0.0.1": "h1", "10.0.0.2": "h2"}.get(leg.receiver_ip, leg.receiver_ip)
    if smd is None:
        return f"{leg.sender} → {to}  VNI {leg.packet.vni}  guest to guest"
    what = "back to the anchor" if "returning" in smd.flags else f"to the node at SI {smd.si}"
    direction = int("reverse" in smd.flags)
    return (f"{leg.sender} → {to}  VNI {leg.packet.vni}  SPI {smd.spi} D={direction} SI={smd.si}"
            f" TTL={smd.ttl}  {what}")


def legs_of_handshake(under: Underlay, client_port: int) -> tuple[list[Leg], list[Leg]]:
    """The legs of a connection's SYN and of its SYN-ACK, in the order in which they were made."""
    def ordered(legs: list[Leg], reverse: bool) -> list[Leg]:
        plane = sorted((leg for leg in legs if leg.smd), key=lambda leg: -leg.smd.ttl)
        guest = [leg for leg in legs if not leg.smd]
        return guest + plane if reverse else plane + guest

    syn = under.legs(flags=0x02, src_port=client_port)
    answer = under.legs(flags=0x12, dst_port=client_port)
    return ordered(syn, False), ordered(answer, True)
