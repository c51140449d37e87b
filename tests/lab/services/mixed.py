"""A chain of a bridge (nftables), an IDS (Vectorscan) and a translator (NAT), on two hosts."""
import hashlib

from spec.case import Scenario
from weirlab.guest import at
from weirlab.ids_node import IdsNode
from weirlab.raw import SYN
from weirlab.translator import Translator
from weirlab.wait import wait_until

from .ids import BAD_PATH, EVIL
from .nat import OUTSIDE


class Mixed(Scenario):
    nodes = ("n1", "n2", "n4")
    every_packet = False

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.ids = IdsNode(cls.lab, cls.t0.aware("n1"), EVIL.format(action="drop"))
        cls.translator = Translator(cls.t0.fabric.routers["n4"], (cls.g1.ip4, cls.g1.ip6), OUTSIDE)
        port = cls.weir.get("port", "g1")
        cls.weir.put(
            {"kind": "service-node", **cls.weir.get("service-node", "n4"), "contexts": "mark"},
            {"kind": "service", **cls.weir.get("service", "px"), "privileges": ["rewrite_headers"]},
            {"kind": "port", **port, "addresses": [*port["addresses"], *OUTSIDE]},
            {"kind": "service-chain", "name": "outwards", "sci": 8, "service_segment": "plane",
             "forward": ["ids", "fw", "px"], "failure_policy": "block"},
            {"kind": "service-chain", "name": "inwards", "sci": 9, "service_segment": "plane",
             "forward": ["px", "ids", "fw"], "failure_policy": "block"})
        cls.use("outwards")
        for node in ("n1", "n2", "n4"):
            wait_until(f"{node} is up", lambda n=node: cls.weir.node_state(n) == "up", 30)

    @classmethod
    def use(cls, chain: str) -> None:
        cls.weir.put({"kind": "service-rule", "name": "everything", "protocol": "tcp",
                      "applied_to_ports": ["g1"], "chain": chain})
        cls.weir.wait()

    def passes(self, ip: str, outside: str) -> None:
        bump, translated = self.t0.fabric.bumps["n2"].counters(), self.translator.counters()
        with self.t0.at_guest("g2") as g2:
            got = self.g1.fetch(at(ip, path="/file"), timeout_s=30)
            self.assertTrue(got.ok, f"{ip}: {got.error}")
            self.assertEqual(g2.expect("SYN", lambda f: f.flags == SYN).ip_src, outside)
        self.assertEqual(hashlib.sha256(got.body).hexdigest(), self.g2.file_digest)
        self.assertEqual(self.t0.fabric.bumps["n2"].counters()["opened"], bump["opened"] + 1)
        self.assertEqual(sum(self.translator.counters().values()), sum(translated.values()) + 1)

    def is_caught(self, ip: str, as_seen: str) -> None:
        known = len(self.ids.alerts())
        dropped = self.weir.drops("h1").get("VERDICT_DROP", 0)
        self.assertFalse(self.g1.fetch(at(ip, path=BAD_PATH), timeout_s=3).ok)
        [alert] = self.ids.alerts()[known:]
        self.assertIn(as_seen, alert["tuple"])
        wait_until("the flow ends at its anchor",
                   lambda: self.weir.drops("h1").get("VERDICT_DROP", 0) > dropped)

    def test_translated_last(self):
        self.use("outwards")
        for ip, own, outside in ((self.g2.ip4, self.g1.ip4, OUTSIDE[0]),
                                 (self.g2.ip6, self.g1.ip6, OUTSIDE[1])):
            self.passes(ip, outside)
            self.is_caught(ip, own)

    def test_translated_first(self):
        """Later services see, and order about, what the translator made of the flow."""
        self.use("inwards")
        for ip, outside in zip((self.g2.ip4, self.g2.ip6), OUTSIDE):
            self.passes(ip, outside)
            self.is_caught(ip, outside)

    def test_each_service_can_refuse(self):
        self.use("outwards")
        before = self.translator.counters()
        denied = self.t0.fabric.bumps["n2"].counters()["denied_8080"]
        self.assertFalse(self.g1.fetch(at(self.g2.ip4, 8080), timeout_s=2).ok)
        self.assertGreater(self.t0.fabric.bumps["n2"].counters()["denied_8080"], denied)
        self.assertEqual(self.translator.counters(), before, "the bridge comes first")
        self.weir.put({"kind": "service", **self.weir.get("service", "px"), "privileges": []})
        self.weir.wait()
        try:
            dropped = self.weir.drops("h1").get("TUPLE_CHANGED", 0)
            self.assertFalse(self.g1.fetch(at(self.g2.ip4), timeout_s=2).ok)
            self.assertGreater(self.weir.drops("h1").get("TUPLE_CHANGED", 0), dropped)
        finally:
            self.weir.put({"kind": "service", **self.weir.get("service", "px"),
                           "privileges": ["rewrite_headers"]})
            self.weir.wait()
