"""Scenarios 21 and 22: nodes that hang. Exact bounds are for virtual time."""
import time

from weirlab.guest import Download, at
from weirlab.wait import stays, wait_until

from .case import Scenario

LAB = 3


class HungNodeWithAlternative(Scenario):
    nodes = ("n1", "n2", "n6")
    every_packet = False
    FLOWS = 24

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2")

    def paths(self) -> dict[int, int]:
        """SPI → established flows of g1 that have it."""
        counts: dict[int, int] = {}
        for flow in self.weir.flows("h1", port="g1", l4_port=80):
            spi = flow["insertion"]["spi"]
            counts[spi] = counts.get(spi, 0) + 1
        return counts

    def test_flows_move_and_others_do_not_notice(self):
        downloads = [self.g1.download(at(self.g2.ip4, path="/slow")) for _ in range(self.FLOWS)]
        Download.all_grow(downloads, 10_000)
        before = self.paths()
        self.assertEqual(len(before), 2, f"both paths are used: {before}")
        through_n2 = next(p["spi"] for p in self.weir.ask("h1", "insert.paths")
                          if any(hop["node"] == "n2" for hop in p["forward"]))
        moving = before[through_n2]
        switched = self.switched()
        self.t0.fabric.bumps["n2"].hang()
        started = time.monotonic()
        wait_until("all flows have moved", lambda: set(self.paths()) == {p for p in before
                                                                        if p != through_n2}, 10)
        took = time.monotonic() - started
        print(f"moved {moving} flows after {took:.2f} s (bound 1.5 s, lab {1.5 * LAB:g} s)")
        self.assertLess(took, 1.5 * LAB)
        self.assertEqual(self.switched() - switched, moving)

    def switched(self) -> int:
        return self.weir.counters(["h1"])["weir_service_chain_path_switch_total", "c1"]


class HungNodeWithoutAlternative(Scenario):
    every_packet = False

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2")

    def fetched(self, timeout_s: float = 1.0) -> bool:
        return self.g1.fetch(at(self.g2.ip4), timeout_s).ok

    def test_block_then_allow_then_recovery(self):
        node = self.t0.fabric.bumps["n2"]
        self.assertTrue(self.fetched())
        before = self.weir.drops("h1").get("NO_ACTIVE_PATH", 0)
        node.hang()
        wait_until("NO_ACTIVE_PATH is counted", lambda: not self.fetched() and
                   self.weir.drops("h1").get("NO_ACTIVE_PATH", 0) > before)
        self.t0.set_policy("c1", "allow")
        self.under.clear()
        bypassed = self.g1.download(at(self.g2.ip4, path="/slow"))
        bypassed.must_grow(50_000)
        legs = self.under.legs(proto=6)
        self.assertFalse([leg for leg in legs if leg.packet.vni == 9001])
        self.assertFalse([leg for leg in legs for option in leg.packet.options if option[1] == 6],
                         "a SERVICED mark on packets that were not serviced")
        key = ("weir_insertion_results_total", "egress", "g1", "bypass_fail")
        self.assertGreater(self.weir.counters(["h1"])[key], 0)
        node.recover()
        started = time.monotonic()

        def serviced() -> bool:
            self.under.clear()
            return self.fetched() and any(leg.packet.vni == 9001 and leg.inner.flags == 2
                                          for leg in self.under.legs())
        wait_until("new flows are serviced", serviced, 5 * LAB)
        print(f"serviced again after {time.monotonic() - started:.2f} s "
              f"(bound 5 s, lab {5 * LAB} s)")
        size = bypassed.size
        self.under.clear()
        wait_until("the bypassed flow goes on", lambda: bypassed.size > size + 100_000)
        number = next(f["src_port"] for f in self.weir.flows("h1", port="g1", l4_port=80)
                      if f["insertion"]["verdict"][0] == "bypass-fail")
        stays("it stays bypassed", lambda: not any(leg.packet.vni == 9001 for leg in
                                                   self.under.legs(src_port=number)), 0.5)
        bypassed.daemon.stop()
