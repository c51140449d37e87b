"""A router that translates addresses (nftables), as an l3 node: REWRITE_HEADERS, aliases."""
import hashlib

from spec.case import Scenario
from weirlab.guest import at
from weirlab.raw import SYN
from weirlab.translator import Translator
from weirlab.wait import wait_until

OUTSIDE = ("192.168.10.99", "fd00:10::99")  # what g1 is called behind the translator


class Nat(Scenario):
    nodes = ("n4",)

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.translator = Translator(cls.t0.fabric.routers["n4"], (cls.g1.ip4, cls.g1.ip6), OUTSIDE)
        node = cls.weir.get("service-node", "n4")
        port = cls.weir.get("port", "g1")
        cls.weir.put({"kind": "service-node", **node, "contexts": "mark"},
                     {"kind": "port", **port, "addresses": [*port["addresses"], *OUTSIDE]},
                     {"kind": "service-rule", "name": "translated", "protocol": "any",
                      "applied_to_ports": ["g1"], "chain": "c4"})
        cls.weir.wait()
        wait_until("the router is judged well", lambda: cls.weir.node_state("n4") == "up", 20)

    def test_translated_connections_come_back_to_their_flow(self):
        self.weir.grant("px", "rewrite_headers")
        dropped = self.weir.drops("h1").get("TUPLE_CHANGED", 0)
        for ip, outside, family in ((self.g2.ip4, OUTSIDE[0], "translated4"),
                                    (self.g2.ip6, OUTSIDE[1], "translated6")):
            before = self.translator.counters()[family]
            with self.t0.at_guest("g2") as g2, self.t0.at_guest("g1") as g1:
                got = self.g1.fetch(at(ip, path="/file"), timeout_s=30)
                self.assertTrue(got.ok, f"{ip}: {got.error}")
                there = g2.expect("SYN", lambda f: f.flags == SYN)
                back = g1.expect("answer", lambda f: f.src_port == 80 and f.flags & SYN)
            self.assertEqual(hashlib.sha256(got.body).hexdigest(), self.g2.file_digest)
            self.assertEqual((there.ip_src, there.ip_dst), (outside, ip))
            self.assertEqual(back.ip_src, ip)
            self.assertEqual(self.translator.counters()[family], before + 1)
            self.assertTrue(self.g1.ping(ip).all_answered, ip)
        self.assertEqual(self.weir.drops("h1").get("TUPLE_CHANGED", 0), dropped)

    def test_many_connections_at_once(self):
        self.weir.grant("px", "rewrite_headers")
        downloads = [self.g1.download(at(ip, path="/file"))
                     for ip in (self.g2.ip4, self.g2.ip6) for _ in range(8)]
        for download in downloads:
            self.assertTrue(download.finished(60))
            self.assertEqual(download.digest(), self.g2.file_digest)

    def test_without_the_privilege_translated_packets_are_dropped(self):
        self.weir.grant("px")
        for ip in (self.g2.ip4, self.g2.ip6):
            before = self.weir.drops("h1").get("TUPLE_CHANGED", 0)
            with self.t0.at_guest("g2") as g2:
                self.assertFalse(self.g1.fetch(at(ip), timeout_s=2).ok, ip)
                self.assertFalse([f for f in g2.drain() if f.flags == SYN], "nothing arrives")
            self.assertGreater(self.weir.drops("h1").get("TUPLE_CHANGED", 0), before)
        self.assertTrue(self.g2.ping(self.g1.ip4).all_answered, "what has no services arrives")

    def test_known_by_its_addresses_a_translated_packet_is_nobodys(self):
        """The mechanism off: without marks nothing tells which flow it is."""
        node = self.weir.get("service-node", "n4")
        self.weir.grant("px")
        self.weir.put({"kind": "service-node", **node, "contexts": "tuple"})
        self.weir.wait()
        try:
            before = self.weir.drops("h4").get("NO_CONTEXT", 0)
            self.assertFalse(self.g1.fetch(at(self.g2.ip4), timeout_s=2).ok)
            self.assertGreater(self.weir.drops("h4").get("NO_CONTEXT", 0), before)
        finally:
            self.weir.put({"kind": "service-node", **node})
            self.weir.wait()
