"""Scenario 45, and what `weir explain` says of a live flow."""
import json

from weirlab.guest import at
from weirlab.raw import SYN
from weirlab.t0 import TEP
from weirlab.wait import wait_until

from .case import Scenario


class Trace(Scenario):
    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2")

    def trace(self, *more: str) -> dict:
        return json.loads(self.weir.command("trace", "g1", "g2", "tcp/80", *more, "-o", "json"))

    def seen(self, traced: dict) -> list[tuple[str, str, str]]:
        """(who, did, host) but for the legs between hosts."""
        return [(row.get("node", row["component"]), row["event"], row["host"])
                for row in traced["observations"] if row["component"] != "proxy"]

    THERE = [("anchor", "inserted", "h1"), ("n1", "received", "h3"), ("n1", "forwarded", "h3"),
             ("n2", "received", "h4")]
    WHOLE = THERE + [("n2", "forwarded", "h4"), ("anchor", "resumed", "h1"),
                     ("guest", "delivered", "h2")]

    def test_1_every_hop_in_its_order(self):
        self.assertTrue(self.g1.fetch(at(self.g2.ip4)).ok)
        with self.t0.at_guest("g2") as g2:
            traced = self.trace()
            g2.expect_none("the traced packet", lambda f: f.flags == SYN)
        self.assertEqual(self.seen(traced), self.WHOLE)
        self.assertTrue(traced["delivered"])
        first = traced["observations"][0]
        path = self.weir.ask("h1", "insert.paths")[0]
        self.assertEqual((first["rule"], first["chain"], first["spi"]),
                         ("redirect", "c1", path["spi"]))
        indices = [row["si"] for row in traced["observations"]
                   if row.get("node") and row["event"] == "received"]
        self.assertEqual(indices, [2, 1])
        self.assertEqual({row["d"] for row in traced["observations"]}, {0})
        for row in traced["observations"]:
            if row["event"] == "forwarded":
                self.assertGreaterEqual(row["dwell_us"], 0)
            self.assertIn(row["host"], TEP)

    def test_2_text_names_nodes(self):
        said = self.weir.command("trace", "g1", "g2", "tcp/80")
        for words in ("n1", "n2", "forwarded", "resumed", "delivered to g2 on h2"):
            self.assertIn(words, said)

    def test_3_delivered_where_that_is_wanted(self):
        with self.t0.at_guest("g2") as g2:
            traced = self.trace("--deliver")
            g2.expect("the traced packet", lambda f: f.flags == SYN)
        self.assertEqual(self.seen(traced), self.WHOLE)
        self.assertTrue(traced["delivered"])

    def test_4_explain_says_why(self):
        download = self.g1.download(at(self.g2.ip4, path="/slow"))
        download.must_grow(10_000)
        flow = self.explained()
        self.assertEqual(flow["orders"], [])
        self.assertEqual((flow["rule"], flow["chain"], flow["port"]), ("redirect", "c1", "g1"))
        self.assertEqual([hop["node"] for hop in flow["forward"]], ["n1", "n2"])
        self.assertEqual([hop["node"] for hop in flow["reverse"]], ["n2", "n1"])
        for hop in flow["forward"]:
            self.assertEqual(hop["state"], "up")
            self.assertIn("latency_p99_us", hop)
        why = flow["why"]
        chosen = [path for path in why["paths"] if path["chosen"]]
        self.assertEqual(len(chosen), 1)
        self.assertTrue(chosen[0]["from"] <= why["number"] < chosen[0]["to"])
        self.assertEqual(chosen[0]["spi"], flow["spi"])
        said = self.weir.command("explain", "g1", "--service", "tcp/80")
        for words in ("rule", "redirect", "n1", "n2", "why this path", "number"):
            self.assertIn(words, said)
        self.check_orders_are_named(flow["src_port"])
        download.daemon.stop()

    def explained(self) -> dict:
        """The one flow that goes on: requests and traces before it have their records yet."""
        flows = json.loads(self.weir.command("explain", "g1", "--service", "tcp/80", "-o", "json"))
        return next(flow for flow in flows if flow["state"] == "established")

    def check_orders_are_named(self, source_port: int) -> None:
        """n1 ends the flow: who ordered what stands in the flow's explanation."""
        n1 = self.t0.aware("n1")
        n1.set_rules(f"pass tcp {source_port} order drop")
        # Orders are asked for after the flow: those of one that is dropped are there.
        flow = wait_until("the order is carried out", lambda: (f := self.explained()) and
                          f["verdict"] == ["drop", "drop"] and f, 30)
        self.assertEqual(flow["orders"], [{"node": "n1", "order": "flow_drop", "forward": True,
                                           "reverse": True, "parameter": 0}])
        self.assertIn("n1: flow_drop there and back",
                      self.weir.command("explain", "g1", "--service", "tcp/80"))
        n1.set_rules("")

    def traced_to_hung_node(self) -> dict | None:
        """A node that does not answer is soon on no path any more; nothing if that was quicker."""
        node = self.t0.fabric.bumps["n2"]
        wait_until("n2 is up", lambda: self.weir.node_state("n2") == "up", 30)
        node.hang()
        try:
            traced = self.trace()
        finally:
            node.recover()
        return traced if self.seen(traced)[-1:] == [("n2", "dropped", "h4")] else None

    def test_5_a_hung_node_is_named(self):
        traced = wait_until("the traced packet is quicker than liveness",
                            self.traced_to_hung_node, 90)
        self.assertEqual(self.seen(traced), self.THERE + [("n2", "dropped", "h4")])
        self.assertEqual(traced["observations"][-1]["reason"], "no answer from n2")
        self.assertEqual((traced["delivered"], traced["end"]),
                         (False, "no answer from node n2 on h4"))
