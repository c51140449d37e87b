#!/usr/bin/python3
"""Real connections through service nodes of forms that the acceptance scenarios do not have."""
import hashlib
import sys
import unittest

from spec.case import Scenario
from weirlab.guest import at
from weirlab.raw import SYN
from weirlab.t0 import SVNI, VNI
from weirlab.wait import wait_until


class Gwlb(Scenario):
    """An appliance made for AWS Gateway Load Balancers."""
    nodes = ("n7",)

    @classmethod
    def prepare(cls):
        cls.appliance = cls.t0.fabric.appliances["n7"]
        cls.g2.serve_http()
        cls.t0.weir.put({"kind": "service-rule", "name": "inspected", "protocol": "any",
                         "applied_to_ports": ["g1"], "chain": "c7"})
        cls.t0.weir.wait()
        wait_until("the appliance is judged well", lambda: cls.weir.node_state("n7") == "up", 20)

    def test_connections_pass_in_both_families(self):
        before = self.appliance.status()["passed"]
        for ip in (self.g2.ip4, self.g2.ip6):
            got = self.g1.fetch(at(ip, path="/file"), timeout_s=30)
            self.assertTrue(got.ok, f"{ip}: {got.error}")
            self.assertEqual(hashlib.sha256(got.body).hexdigest(), self.g2.file_digest)
        seen = wait_until("the appliance tells", lambda: (
            self.appliance.status()["passed"] > before + 10) and self.appliance.status())
        self.assertEqual(seen["endpoints"], [SVNI << 32 | VNI])
        self.assertEqual(seen["attachments"], [7])
        self.assertEqual(seen["strange"], 0)
        for flow, cookies in seen["cookies"].items():
            self.assertEqual(len(cookies), 1, f"flow {flow}: one cookie for both directions")

    def test_what_the_appliance_denies_does_not_arrive(self):
        wait_until("the server answers itself", lambda: self.g3.fetch(at(self.g2.ip4, 8080)).ok)
        self.assertFalse(self.g1.fetch(at(self.g2.ip4, 8080), timeout_s=3).ok)
        wait_until("it was the appliance", lambda: self.appliance.status()["denied"] > 0)

    def test_an_appliance_that_accepts_no_connections_is_not_used(self):
        self.appliance.hang()
        wait_until("it is judged dead", lambda: self.weir.node_state("n7") == "down", 20)
        before = self.weir.drops("h1").get("NO_ACTIVE_PATH", 0)
        self.assertFalse(self.g1.fetch(at(self.g2.ip4), timeout_s=3).ok)
        self.assertGreater(self.weir.drops("h1").get("NO_ACTIVE_PATH", 0), before)
        self.appliance.recover()
        wait_until("it is judged well", lambda: self.weir.node_state("n7") == "up", 30)
        wait_until("guests get through again", lambda: self.g1.fetch(at(self.g2.ip4)).ok, 20)


def change_node(t0, name: str, **fields: object) -> None:
    t0.weir.put({"kind": "service-node", **t0.weir.get("service-node", name), **fields})
    t0.weir.wait()


class FixedHeader(Scenario):
    """An aware node that gets metadata of type 1."""

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        change_node(cls.t0, "n1", nsh_metadata="type1")
        cls.t0.redirect("g1", "g2")

    def test_connections_pass_and_the_node_knows_their_chain(self):
        there, back = self.connection()
        self.assertEqual(self.hops(there), [("h1", "h3", 9001), ("h3", "h4", 9001),
                                            ("h4", "h1", 9001), ("h1", "h2", 5001)])
        self.assertEqual(self.hops(back), [("h2", "h1", 5001), ("h1", "h4", 9001),
                                           ("h4", "h3", 9001), ("h3", "h1", 9001)])
        visit = next(v for v in self.t0.aware("n1").visits() if v["tcp_flags"] == SYN)
        self.assertEqual((visit["si"], visit["d"], visit["sci"]), (2, 0, 1))
        rows = self.weir.ask("h3", "to_node.contexts")
        self.assertTrue([r for r in rows if r["node"] == "n1"], "one direction, one context")


class FixedHeaderBetweenNshHosts(FixedHeader):
    """The same where NSH with metadata of type 2 travels between hosts (scenario 44)."""
    plane = {"encap": "nsh"}


class NoTags(Scenario):
    """A stateful firewall on a bridge that gets its frames without tags."""

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        change_node(cls.t0, "n2", contexts="tuple")
        cls.t0.redirect("g1", "g2")
        cls.t0.redirect("g1", "g2", port=8080, name="denied")

    def test_its_rules_see_plain_frames(self):
        bump = self.t0.fabric.bumps["n2"]
        with self.t0.bump_side("n2", "left") as left:
            got = self.g1.fetch(at(self.g2.ip4, path="/file"), timeout_s=30)
            self.assertTrue(got.ok, got.error)
            frame = left.expect("SYN", lambda f: f.flags == SYN)
        self.assertEqual(frame.vlans, [])
        counted = bump.counters()
        self.assertGreater(counted["established"], 10)
        self.assertEqual(counted["denied_8080"], 0)
        self.assertFalse(self.g1.fetch(at(self.g2.ip4, 8080), timeout_s=3).ok)
        self.assertGreater(bump.counters()["denied_8080"], 0)
        self.assertNotIn("NO_CONTEXT", self.weir.drops("h4"))


class TwoTags(Scenario):
    """A bridge that keeps two tags."""

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        change_node(cls.t0, "n2", contexts="qinq")
        cls.t0.redirect("g1", "g2")

    def test_frames_carry_two_tags_there_and_none_elsewhere(self):
        with self.t0.bump_side("n2", "left") as left, self.t0.at_guest("g2") as g2:
            got = self.g1.fetch(at(self.g2.ip4, path="/file"), timeout_s=30)
            self.assertTrue(got.ok, got.error)
            at_node = left.expect("frame with two tags", lambda f: (
                f.raw[12:14] == b"\x88\xa8" and f.raw[16:18] == b"\x81\x00"))
            g2.expect("SYN without", lambda f: f.flags == SYN and f.vlans == [])
        self.assertEqual(at_node.raw[20:22], b"\x08\x00")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
