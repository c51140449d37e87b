"""Scenarios 1 to 4, 8, 9: the way of a packet there and back."""
from weirlab.raw import ACK, SYN
from weirlab.t0 import GUESTS, nmac, spmac

from .case import Scenario


class ToG2(Scenario):
    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2")

    def test_without_the_rule_it_goes_straight(self):
        self.weir.call("DELETE", "/v1/service-rule/redirect")
        self.weir.wait()
        try:
            there, back = self.connection()
            self.assertEqual(self.hops(there + back), [("h1", "h2", 5001), ("h2", "h1", 5001)])
            self.assertEqual(self.visits_of(self.syn), [])
        finally:
            self.t0.redirect("g1", "g2")


class BasicForward(ToG2):
    def test_syn_passes_n1_then_n2_and_arrives_as_it_was_sent(self):
        with self.t0.at_guest("g2") as g2, self.t0.bump_side("n2", "left") as n2:
            there, _ = self.connection()
            number = self.syn.src_port
            arrived = g2.expect("SYN", lambda f: f.flags == SYN and f.src_port == number)
            n2.expect("SYN", lambda f: f.flags == SYN and f.src_port == number)
        self.assertEqual(arrived.raw, self.syn.raw)
        visit = next(v for v in self.t0.aware("n1").visits() if v["tcp_flags"] == SYN)
        self.assertEqual((visit["si"], visit["d"], visit["sci"]), (2, 0, 1))
        self.assertEqual(self.hops(there), [("h1", "h3", 9001), ("h3", "h4", 9001),
                                            ("h4", "h1", 9001), ("h1", "h2", 5001)])


class MacHandling(ToG2):
    def test_addresses_of_each_leg(self):
        with self.t0.bump_side("n2", "left") as n2:
            there, _ = self.connection()
            at_n2 = n2.expect("SYN", lambda f: f.flags == SYN)
        guests = (GUESTS["g2"][1], GUESTS["g1"][1])
        told = [(leg.smd.original_dst, leg.smd.original_src) for leg in there[:3]]
        shown = [(leg.inner.dst, leg.inner.src) for leg in there[:3]]
        if self.plane.get("transport") == "l3":
            self.assertEqual((shown, told), ([guests] * 3, [("00:00:00:00:00:00",) * 2] * 3))
        else:
            self.assertEqual(shown, [(nmac("n1"), spmac("h1")), (nmac("n2"), nmac("n1")),
                                     (spmac("h1"), nmac("n2"))])
            self.assertEqual(told, [guests] * 3)
        self.assertEqual((at_n2.dst, at_n2.src), guests)


class ReverseInversion(ToG2):
    def test_answer_passes_n2_then_n1(self):
        with self.t0.bump_side("n2", "right") as n2, self.t0.at_guest("g1") as g1:
            _, back = self.connection()
            n2.expect("SYN-ACK", lambda f: f.flags == SYN | ACK)
            g1.expect("SYN-ACK", lambda f: f.flags == SYN | ACK)
        self.assertEqual(self.hops(back), [("h2", "h1", 5001), ("h1", "h4", 9001),
                                           ("h4", "h3", 9001), ("h3", "h1", 9001)])
        self.assertEqual([("reverse" in leg.smd.flags, leg.smd.si) for leg in back[1:]],
                         [(True, 2), (True, 1), (True, 0)])
        self.assertFalse([leg for leg in self.under.legs()
                          if leg.sender == "h2" and leg.packet.vni == 9001])


class TtlAndIndex(ToG2):
    def test_ttl_and_index_of_each_leg(self):
        there, _ = self.connection()
        self.assertEqual([(leg.smd.ttl, leg.smd.si, "returning" in leg.smd.flags)
                          for leg in there[:3]], [(62, 2, False), (61, 1, False), (60, 0, True)])


class SameHostHop(ToG2):
    nodes = ("n3", "n2")

    def test_leg_to_a_node_of_the_own_host_is_no_tunnel(self):
        there, _ = self.connection()
        visit = next(v for v in self.t0.aware("n3").visits() if v["tcp_flags"] == SYN)
        self.assertEqual((visit["si"], visit["d"]), (2, 0))
        self.assertEqual(self.hops(there), [("h1", "h4", 9001), ("h4", "h1", 9001),
                                            ("h1", "h2", 5001)])
        self.assertEqual(there[0].smd.ttl, 61)


class EverythingLocal(Scenario):
    nodes = ("n3",)

    @classmethod
    def prepare(cls):
        cls.g3.serve_http()
        cls.t0.redirect("g1", "g3", chain="c2")

    def test_nothing_leaves_the_host_and_both_directions_visit_the_node(self):
        syn = self.fetch_once(target="g3")
        self.assertEqual([leg for leg in self.under.legs() if leg.sender == "h1"], [])
        handshake = [(v["d"], v["si"]) for v in self.visits_of(syn) if v["tcp_flags"] & SYN]
        self.assertEqual(handshake, [(0, 1), (1, 1)])
        # Without the rule the node sees nothing of it.
        self.weir.call("DELETE", "/v1/service-rule/redirect")
        self.weir.wait()
        self.assertEqual(self.visits_of(self.fetch_once(target="g3")), [])
