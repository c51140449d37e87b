#!/usr/bin/python3
"""Real connections through an appliance made for AWS Gateway Load Balancers."""
import sys
import unittest

from spec.case import Scenario
from weirlab.guest import at
from weirlab.t0 import SVNI, VNI
from weirlab.wait import wait_until


class ThroughAnAppliance(Scenario):
    nodes = ("n7",)

    @classmethod
    def prepare(cls):
        cls.appliance = cls.t0.fabric.appliances["n7"]
        cls.g2.serve_http()
        cls.t0.weir.put({"kind": "service-rule", "name": "inspected", "protocol": "any",
                         "applied_to_ports": ["g1"], "chain": "c7"})
        cls.t0.weir.wait()
        wait_until("the appliance is judged well", lambda: cls.state() == "up", 20)

    @classmethod
    def state(cls) -> str:
        rows = cls.weir.ask("h4", "liveness.nodes")
        return rows[0]["state"] if rows else ""

    def test_connections_pass_in_both_families(self):
        before = self.appliance.status()["passed"]
        for ip in (self.g2.ip4, self.g2.ip6):
            got = self.g1.fetch(at(ip))
            self.assertTrue(got.ok, f"{ip}: {got.error}")
        seen = wait_until("the appliance tells", lambda: (
            self.appliance.status()["passed"] > before + 10) and self.appliance.status())
        self.assertEqual(seen["endpoints"], [SVNI << 32 | VNI])
        self.assertEqual(seen["attachments"], [7])
        self.assertEqual(seen["strange"], 0)
        for flow, cookies in seen["cookies"].items():
            self.assertEqual(len(cookies), 1, f"flow {flow}: one cookie for both directions")

    def test_what_the_appliance_denies_does_not_arrive(self):
        wait_until("the server answers itself", lambda: self.g3.fetch(at(self.g2.ip4, 8080)).ok)
        self.assertFalse(self.g1.fetch(at(self.g2.ip4, 8080)).ok)
        wait_until("it was the appliance", lambda: self.appliance.status()["denied"] > 0)

    def test_an_appliance_that_accepts_no_connections_is_not_used(self):
        self.appliance.hang()
        wait_until("it is judged dead", lambda: self.state() == "down", 20)
        self.assertFalse(self.g1.fetch(at(self.g2.ip4)).ok)
        self.assertGreater(self.weir.drops("h1").get("NO_ACTIVE_PATH", 0), 0)
        self.appliance.recover()
        wait_until("it is judged well", lambda: self.state() == "up", 30)
        wait_until("guests get through again", lambda: self.g1.fetch(at(self.g2.ip4)).ok, 20)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
