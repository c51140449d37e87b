"""Scenario 13: a node that routes."""
from weirlab.guest import at
from weirlab.raw import SYN
from weirlab.t0 import GUESTS
from weirlab.wait import wait_until

from .case import Scenario

G1, G2 = GUESTS["g1"], GUESTS["g2"]


class RoutedNode(Scenario):
    nodes = ("n4",)

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.weir.put({"kind": "service-rule", "name": "routed", "protocol": "any",
                         "applied_to_ports": ["g1"], "chain": "c4"})
        cls.t0.weir.wait()
        wait_until("the router is judged well", lambda: cls.weir.node_state("n4") == "up", 20)

    def test_guests_see_their_own_addresses_and_one_hop_less(self):
        for ip in (self.g2.ip4, self.g2.ip6):
            with self.t0.at_guest("g2") as g2, self.t0.at_guest("g1") as g1:
                got = self.g1.fetch(at(ip))
                self.assertTrue(got.ok, f"{ip}: {got.error}")
                there = g2.expect("SYN", lambda f: f.flags == SYN)
                back = g1.expect("answer", lambda f: f.src_port == 80 and f.flags & SYN)
            self.assertEqual((there.dst, there.src, there.ttl), (G2[1], G1[1], 63))
            self.assertEqual((back.dst, back.src, back.ttl), (G1[1], G2[1], 63))

    def test_a_router_that_forwards_no_more_is_found_and_its_chain_blocks(self):
        router = self.t0.fabric.routers["n4"]
        router.hang()
        wait_until("the router is judged dead", lambda: self.weir.node_state("n4") == "down", 20)
        before = self.weir.drops("h1").get("NO_ACTIVE_PATH", 0)
        self.assertFalse(self.g1.fetch(at(self.g2.ip4), timeout_s=3).ok)
        self.assertGreater(self.weir.drops("h1").get("NO_ACTIVE_PATH", 0), before)
        router.recover()
        wait_until("the router is judged well", lambda: self.weir.node_state("n4") == "up", 30)
        wait_until("guests get through again", lambda: self.g1.fetch(at(self.g2.ip4)).ok, 20)

    def test_what_was_inside_is_shown(self):
        self.assertTrue(self.g1.fetch(at(self.g2.ip4)).ok)
        rows = self.weir.ask("h4", "to_node.contexts")
        self.assertTrue([r for r in rows if r["node"] == "n4" and r["direction"] == "reverse"])
        counters = self.weir.counters(["h4"])
        moved = counters["weir_service_node_packets_total", "forward", "n4", "from"]
        self.assertGreater(moved, 3)
