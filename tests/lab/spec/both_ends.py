"""Scenarios 14 to 16: service rules at the called guest, and at both ends of a connection."""
from weirlab.guest import at
from weirlab.raw import ACK, SYN
from weirlab.t0 import GUESTS
from weirlab.wait import wait_until

from .case import Scenario

SERVICED = 6


class DestinationAnchor(Scenario):
    nodes = ("n1",)

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2", chain="c2", direction="in", applied_to_ports=["g2"])

    def test_the_called_guests_host_is_the_anchor_of_both_directions(self):
        there, back = self.connection()
        self.assertEqual(sorted(self.hops(there)), [
            ("h1", "h2", 5001), ("h2", "h3", 9001), ("h3", "h2", 9001)])
        self.assertEqual(sorted(self.hops(back)), [
            ("h2", "h1", 5001), ("h2", "h3", 9001), ("h3", "h2", 9001)])
        for legs, ingress, reverse in ((there, True, False), (back, False, True)):
            for leg in legs:
                if leg.smd:
                    self.assertEqual(("at_ingress" in leg.smd.flags, "reverse" in leg.smd.flags,
                                      leg.smd.anchor_host), (ingress, reverse, 2))
        self.assertEqual([(v["d"], v["tcp_flags"]) for v in self.visits_of(self.syn)
                          if v["tcp_flags"] & SYN], [(0, SYN), (1, SYN | ACK)])
        # Without the rule nobody is an anchor.
        self.weir.call("DELETE", "/v1/service-rule/redirect")
        self.weir.wait()
        there, back = self.connection()
        self.assertEqual(self.hops(there + back), [("h1", "h2", 5001), ("h2", "h1", 5001)])
        self.assertEqual(self.visits_of(self.syn), [])


class BothEnds(Scenario):
    chains = ("c2", "c2")  # at the caller, at the called guest

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2", chain=cls.chains[0], name="calls-out")
        cls.t0.redirect("g1", "g2", chain=cls.chains[1], name="calls-in", direction="in",
                        applied_to_ports=["g2"])

    def visits(self, flags: int) -> list[tuple[int, int]]:
        """(chain, direction) of the visits to n1 with these TCP flags, of the last connection."""
        end = f":{self.syn.src_port}"
        return [(v["sci"], v["d"]) for v in self.t0.aware("n1").visits()
                if v["tcp_flags"] == flags and any(w.endswith(end) for w in v["tuple"].split())]

    def marks(self, legs) -> list[bytes]:
        """SERVICED options on the guests' own network."""
        return [content for leg in legs if not leg.smd
                for _, kind, content in leg.packet.options if kind == SERVICED]


class SameChainOnce(BothEnds):
    def test_the_caller_has_it_and_the_called_leaves_it_alone(self):
        there, back = self.connection()
        self.assertEqual(self.visits(SYN), [(2, 0)])
        self.assertEqual(self.visits(SYN | ACK), [(2, 1)])
        self.assertEqual(self.hops(there), [("h1", "h3", 9001), ("h3", "h1", 9001),
                                            ("h1", "h2", 5001)])
        self.assertEqual(self.hops(back), [("h2", "h1", 5001), ("h1", "h3", 9001),
                                           ("h3", "h1", 9001)])
        [mark] = self.marks(there)
        self.assertEqual((mark[0] & 1, int.from_bytes(mark[1:4]), int.from_bytes(mark[4:8])),
                         (1, 2, 1), "serviced, by chain 2, at host 1")
        [record] = [f for f in self.weir.flows("h2", port="g2", l4_port=80)
                    if f["src_port"] == self.syn.src_port]
        self.assertEqual(record["insertion"]["verdict"], ["foreign", "foreign"])
        # Without the caller's rule there is no mark, and the called guest's host does it.
        self.weir.call("DELETE", "/v1/service-rule/calls-out")
        self.weir.wait()
        there, _ = self.connection()
        self.assertEqual(self.marks(there), [])
        self.assertEqual({leg.smd.anchor_host for leg in there if leg.smd}, {2})
        self.assertEqual(self.visits(SYN), [(2, 0)])


class DifferentChains(BothEnds):
    """C2, [fw], at the caller, C4, the router, at the called guest; then [fw] TWICE."""
    nodes = ("n1", "n4")
    chains = ("c2", "c4")

    @classmethod
    def prepare(cls):
        super().prepare()
        wait_until("the router is up", lambda: cls.weir.node_state("n4", "h2") == "up", 20)

    def test_nested_there_and_back(self):
        with self.t0.router_side("n4", "left") as left, self.t0.router_side("n4", "right") as right:
            there, back = self.connection()
            syn = left.expect("SYN", lambda f: f.flags == SYN)
            answer = right.expect("SYN-ACK", lambda f: f.flags == SYN | ACK)
        self.assertEqual((syn.dst, answer.dst),
                         (self.t0.vnic_mac("n4", 0), self.t0.vnic_mac("n4", 1)))
        self.assertEqual(sorted(self.hops(there)), sorted([
            ("h1", "h3", 9001), ("h3", "h1", 9001), ("h1", "h2", 5001),
            ("h2", "h4", 9001), ("h4", "h2", 9001)]))
        self.assertEqual(sorted(self.hops(back)), sorted([
            ("h2", "h4", 9001), ("h4", "h2", 9001), ("h2", "h1", 5001),
            ("h1", "h3", 9001), ("h3", "h1", 9001)]))
        self.assertEqual({(leg.smd.sci, leg.smd.anchor_host) for leg in there + back if leg.smd},
                         {(2, 1), (4, 2)})
        self.assertEqual((self.visits(SYN), self.visits(SYN | ACK)), ([(2, 0)], [(2, 1)]))
        self.once_then_twice()

    def once_then_twice(self) -> None:
        rule = self.weir.get("service-rule", "calls-in")
        self.weir.put({"kind": "service-rule", **rule, "chain": "c2"})
        self.weir.wait()
        self.connection()
        self.assertEqual((self.visits(SYN), self.visits(SYN | ACK)), ([(2, 0)], [(2, 1)]))
        chain = self.weir.get("service-chain", "c2")
        self.weir.put({"kind": "service-chain", **chain, "duplicate_policy": "twice"})
        self.weir.wait()
        there, back = self.connection()
        self.assertEqual((self.visits(SYN), self.visits(SYN | ACK)),
                         ([(2, 0)] * 2, [(2, 1)] * 2))
        self.assertEqual({leg.smd.anchor_host for leg in there + back if leg.smd}, {1, 2})
        self.assertTrue(self.g1.fetch(at(GUESTS["g2"][2])).ok)
