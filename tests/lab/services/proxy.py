"""A transparent web proxy (HAProxy) as an l3 node: it ends connections and opens its own."""
import hashlib

from spec.case import Scenario
from weirlab.guest import at
from weirlab.http_proxy import HttpProxy
from weirlab.raw import SYN
from weirlab.t0 import ROUTER_GATEWAYS
from weirlab.wait import wait_until


class Proxy(Scenario):
    nodes = ("n4",)
    contexts = "proxy"

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.proxy = HttpProxy(cls.lab, cls.t0.fabric.routers["n4"], ROUTER_GATEWAYS)
        cls.weir.put({"kind": "service-node", **cls.weir.get("service-node", "n4"),
                      "contexts": cls.contexts},
                     {"kind": "service-rule", "name": "proxied", "protocol": "any",
                      "applied_to_ports": ["g1"], "chain": "c4"})
        cls.weir.wait()
        wait_until("the router is judged well", lambda: cls.weir.node_state("n4") == "up", 20)


class Transparent(Proxy):
    def test_connections_are_made_anew_and_belong_to_their_flow(self):
        self.weir.grant("px", "rewrite_headers")
        for ip in (self.g2.ip4, self.g2.ip6):
            before = self.proxy.sessions()
            with self.t0.at_guest("g2") as g2, self.t0.at_port("g1") as g1:
                got = self.g1.fetch(at(ip, path="/file"), timeout_s=30)
                self.assertTrue(got.ok, f"{ip}: {got.error}")
                asked = g1.expect("SYN", lambda f: f.flags == SYN)
                opened = g2.expect("SYN", lambda f: f.flags == SYN)
            self.assertEqual(hashlib.sha256(got.body).hexdigest(), self.g2.file_digest)
            self.assertEqual((opened.ip_src, opened.ip_dst), (asked.ip_src, asked.ip_dst))
            self.assertNotEqual((opened.src_port, opened.seq), (asked.src_port, asked.seq),
                                "a connection of the proxy's own")
            self.assertEqual(self.proxy.sessions(), before + 1)
            [record] = [f for f in self.weir.flows("h1", port="g1", l4_port=asked.src_port)]
            self.assertIn(record["insertion"]["verdict"][0], ("redirect",))

    def test_what_the_proxy_forbids_does_not_reach_the_server(self):
        self.weir.grant("px", "rewrite_headers")
        for ip in (self.g2.ip4, self.g2.ip6):
            with self.t0.at_guest("g2") as g2:
                got = self.g1.fetch(at(ip, path="/forbidden"))
                self.assertEqual(got.code, 403, got.error)
                self.assertFalse([f for f in g2.drain() if f.flags == SYN])

    def test_many_connections_at_once(self):
        self.weir.grant("px", "rewrite_headers")
        downloads = [self.g1.download(at(ip, path="/file"))
                     for ip in (self.g2.ip4, self.g2.ip6) for _ in range(6)]
        for download in downloads:
            self.assertTrue(download.finished(60))
            self.assertEqual(download.digest(), self.g2.file_digest)

    def test_what_is_not_proxied_is_routed(self):
        self.weir.grant("px", "rewrite_headers")
        self.assertTrue(self.g1.ping(self.g2.ip4).all_answered)
        self.assertTrue(self.g1.fetch(at(self.g2.ip4, 8080)).ok)

    def test_without_the_privilege_its_connections_do_not_leave_the_anchor(self):
        self.weir.grant("px")
        for ip in (self.g2.ip4, self.g2.ip6):
            refused = self.weir.drops("h1").get("flow.out_of_state", 0)
            with self.t0.at_guest("g2") as g2:
                self.assertFalse(self.g1.fetch(at(ip), timeout_s=2).ok, ip)
                self.assertFalse([f for f in g2.drain() if f.flags == SYN], "nothing arrives")
            self.assertGreater(self.weir.drops("h1").get("flow.out_of_state", 0), refused, ip)


class NotKnownAsProxy(Proxy):
    """The mechanism off: a router says nothing of its own."""
    contexts = "tuple"

    def test_what_it_makes_itself_is_nobodys(self):
        before = self.weir.drops("h4").get("NO_CONTEXT", 0)
        self.assertFalse(self.g1.fetch(at(self.g2.ip4), timeout_s=2).ok)
        self.assertGreater(self.weir.drops("h4").get("NO_CONTEXT", 0), before)
