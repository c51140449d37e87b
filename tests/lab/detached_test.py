#!/usr/bin/python3
"""A service node whose port has no device or no link is on no usable path, though nobody asks it
whether it lives (spec service-plane LV-3, OBJ-6)."""
import unittest

from spec import orders
from weirlab.wait import wait_until

NODE_PORT = "port-n1"


class Detached(orders.Orders):
    nodes = ("n1", "n2", "n3")

    @classmethod
    def prepare(cls):
        super().prepare()
        service = cls.weir.get("service", "fw")
        cls.weir.put({"kind": "service", **service, "liveness_support": False})
        cls.weir.wait()
        cls.h3 = cls.t0.fabric.hosts["h3"]

    def visitors(self, first: int, count: int = 12) -> dict[str, int]:
        """How many of so many new flows each firewall got; all arrive."""
        before = {n: len(self.t0.aware(n).visits()) for n in ("n1", "n3")}
        for flow in range(first, first + count):
            self.passes(flow, 1)
        wait_until("all have been logged", lambda: sum(
            len(self.t0.aware(n).visits()) - before[n] for n in before) == count)
        return {n: len(self.t0.aware(n).visits()) - before[n] for n in before}

    def attached(self) -> bool:
        rows = self.weir.call("GET", "/v1/service-node-status")["items"]
        return all(row["attached"] for row in rows if row["name"] == "n1")

    def hop(self) -> dict:
        return next(hop for path in self.weir.ask("h1", "insert.paths")
                    for hop in path["forward"] if hop["node"] == "n1")

    def left_out(self) -> None:
        wait_until("n1 is not attached", lambda: not self.attached(), 30)
        wait_until("g1's host knows", lambda: self.weir.node_state("n1") == "down")
        hop = self.hop()
        self.assertEqual((hop["attached"], hop["placed"], hop["alive"], hop["liveness"]),
                         (False, False, True, "none"))

    def back(self) -> None:
        wait_until("n1 is attached", self.attached, 60)
        wait_until("g1's host knows", lambda: self.weir.node_state("n1") == "up")
        self.assertTrue(self.hop()["attached"])

    def test_1_flows_go_to_both(self):
        wait_until("both are up", lambda: {self.weir.node_state(n) for n in ("n1", "n3")} == {"up"})
        self.assertEqual(sorted(bool(n) for n in self.visitors(10000).values()), [True, True])

    def test_2_without_its_device_to_the_other_alone(self):
        self.passes(9999, 1)
        self.h3.ip("link", "del", NODE_PORT)
        self.left_out()
        self.assertEqual(self.visitors(11000), {"n1": 0, "n3": 12})
        self.passes(9999, 2)  # what had n1 goes on as well

        def told() -> set[str]:
            return {one["type"] for one in self.weir.call("GET", "/v1/events?limit=200")["items"]}
        wait_until("operators are told", lambda: {"port-link", "path-down"} <= told())

    def test_3_and_back_when_it_returns(self):
        node = self.t0.aware("n1")
        node.daemon.stop()
        self.t0.fabric.plug_aware("n1", "h3", self.t0.vnic_mac("n1"), node.space)
        node.start()
        self.back()
        self.assertGreater(self.visitors(12000)["n1"], 0)

    def test_4_the_same_without_a_link(self):
        self.t0.aware("n1").space.ip("link", "set", "eth0", "down")
        self.left_out()
        self.assertEqual(self.visitors(13000), {"n1": 0, "n3": 12})
        self.t0.aware("n1").space.ip("link", "set", "eth0", "up")
        self.back()


if __name__ == "__main__":
    unittest.main()
