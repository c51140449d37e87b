"""Scenario 42: a firewall that translates addresses."""
import hashlib

from weirlab.guest import at
from weirlab.raw import SYN
from weirlab.wait import wait_until

from .case import Scenario

OUTSIDE = "192.168.10.99"


class NatService(Scenario):
    """n1 lets g1 leave as .99, which g1's port has in the guests' network as well."""
    nodes = ("n1",)

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        port = cls.weir.get("port", "g1")
        cls.weir.put({"kind": "port", **port, "addresses": [*port["addresses"], OUTSIDE]})
        cls.t0.redirect("g1", "g2", chain="c2")
        cls.t0.aware("n1").translate(cls.g1.ip4, OUTSIDE)
        wait_until("n1 is up", lambda: cls.weir.node_state("n1") == "up", 30)

    def test_replies_to_the_translated_address_find_the_flow(self):
        self.weir.grant("fw", "rewrite_headers")
        with self.t0.at_guest("g2") as g2:
            got = self.g1.fetch(at(self.g2.ip4, path="/file"), timeout_s=30)
            self.assertTrue(got.ok, got.error)
            self.assertEqual(g2.expect("SYN", lambda f: f.flags == SYN).ip_src, OUTSIDE)
        self.assertEqual(hashlib.sha256(got.body).hexdigest(), self.g2.file_digest)
        visits = [(v["d"], v["tuple"]) for v in self.t0.aware("n1").visits()]
        self.assertTrue([t for d, t in visits if d == 1 and f"> {OUTSIDE}:" in t],
                        "replies reach the service as the server sent them")

    def test_without_the_privilege_nothing_leaves(self):
        self.weir.grant("fw")
        before = self.weir.drops("h1").get("TUPLE_CHANGED", 0)
        with self.t0.at_guest("g2") as g2:
            self.assertFalse(self.g1.fetch(at(self.g2.ip4), timeout_s=2).ok)
            self.assertFalse([f for f in g2.drain() if f.flags == SYN])
        self.assertGreater(self.weir.drops("h1").get("TUPLE_CHANGED", 0), before)
