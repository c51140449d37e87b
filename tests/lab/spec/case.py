"""What the scenarios share: a T0 with the nodes they name, and a connection through it."""
import unittest

from weirlab.fabric import WIRE_MTU
from weirlab.guest import at
from weirlab.lab import Lab
from weirlab.metadata import AUTH_TYPE, SMD_TYPE
from weirlab.raw import ACK, SYN, Frame
from weirlab.t0 import SVNI, T0, TEP
from weirlab.underlay import Leg


class Scenario(unittest.TestCase):
    nodes: tuple[str, ...] = ("n1", "n2")
    raw_nodes = False
    every_packet = True
    plane: dict = {}  # more fields of the service segment
    underlay_mtu = WIRE_MTU
    machines: tuple[str, ...] = ()  # guests that are virtual machines

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.t0 = T0(cls.lab, cls.nodes, cls.raw_nodes, cls.every_packet, cls.plane,
                    cls.underlay_mtu, cls.machines)
        cls.weir, cls.under = cls.t0.weir, cls.t0.under
        cls.g1, cls.g2, cls.g3 = (cls.t0.guests[n] for n in ("g1", "g2", "g3"))
        cls.prepare()

    @classmethod
    def prepare(cls) -> None:
        """What a scenario needs beyond T0."""

    @classmethod
    def tearDownClass(cls):
        try:
            cls.weir.record_exits()
        finally:
            cls.lab.close()

    def run(self, result=None):
        failed = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > failed:
            self.lab.tell_logs()
        return result

    def fetch_once(self, source="g1", target="g2") -> Frame:
        """One web request; its SYN. A handshake that takes a busy machine so long that a guest
        repeats its part is no use to who counts packets: then there is another request."""
        for _ in range(5):
            self.under.clear()
            with self.t0.at_port(source) as asks, self.t0.at_port(target) as answers:
                got = self.t0.guests[source].fetch(at(self.t0.guests[target].ip4))
                self.assertTrue(got.ok, got.error)
                syns = [f for f in asks.drain() if f.flags == SYN]
                answered = [f for f in answers.drain() if f.flags == SYN | ACK]
            if len(syns) == len(answered) == 1:
                return syns[0]
        raise AssertionError("five handshakes in a row had packets that were sent again")

    def visits_of(self, syn: Frame) -> list[dict]:
        """What aware nodes saw of the connection that this SYN opened."""
        end = f":{syn.src_port}"
        return [visit for node in self.t0.fabric.aware.values() for visit in node.visits()
                if any(word.endswith(end) for word in visit["tuple"].split())]

    def connection(self, source="g1", target="g2") -> tuple[list[Leg], list[Leg]]:
        """One web request; the legs of its SYN and of the SYN-ACK, in the order they were made."""
        self.syn: Frame = self.fetch_once(source, target)
        number = self.syn.src_port
        self.check_profile(self.under.legs())

        def ordered(legs: list[Leg], guest_plane_first: bool) -> list[Leg]:
            plane = sorted((leg for leg in legs if leg.smd), key=lambda leg: -leg.smd.ttl)
            guest = [leg for leg in legs if not leg.smd]
            return guest + plane if guest_plane_first else plane + guest
        return (ordered(self.under.legs(flags=SYN, src_port=number), False),
                ordered(self.under.legs(flags=SYN | ACK, dst_port=number), True))

    def check_profile(self, legs: list[Leg]) -> None:
        """Every leg of the service segment looks as the segment says (HD-3, §4.3)."""
        on_plane = [leg for leg in legs if leg.packet.vni == SVNI]
        for leg in on_plane:
            self.assertEqual(leg.packet.has_option(SMD_TYPE), self.plane.get("encap") != "nsh")
            self.assertEqual(leg.packet.has_option(AUTH_TYPE), bool(self.plane.get("auth_keys")))
            if self.plane.get("encap") == "nsh":
                base = leg.packet.inner[14:18]
                self.assertEqual(leg.packet.inner[12:14], b"\x89\x4f")
                self.assertEqual((base[1] & 63, base[2] & 15, base[3]), (11, 2, 3))

    def hops(self, legs: list[Leg]) -> list[tuple[str, str, int]]:
        """(from, to, VNI) of each leg."""
        host = {address: name for name, address in TEP.items()}
        return [(leg.sender, host[leg.receiver_ip], leg.packet.vni) for leg in legs]

    def lookups(self, port="g1") -> int:
        """How often the service rules were looked through for this port."""
        return self.weir.counters(["h1"])["weir_insertion_rule_lookups_total", "egress", port]
