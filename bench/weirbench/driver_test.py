"""The driver's arithmetic and its reading of the generator's page; no peer is started."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from weirbench import (catalogue, chains, ovs, page, report, run, stats,  # noqa: E402
                       under_load, weir, wired_chains)

HZ = 2.6e9


def start(rate: float, wrong: list[str] | None = None) -> dict:
    return {"rates": [rate * 0.9, rate, rate * 1.1], "wrong": wrong or [], "tsc_hz": HZ,
            "cpu_share": 1.0, "windows": []}


class Statistics(unittest.TestCase):
    def test_spread(self) -> None:
        self.assertEqual(stats.spread([3.0]), 0.0)
        self.assertAlmostEqual(stats.spread([9.0, 10.0, 12.0]), 0.3)

    def test_net_cycles_are_those_above_the_floor(self) -> None:
        self.assertAlmostEqual(stats.net_cycles(HZ, 13e6, 52e6), 150.0)
        self.assertEqual(stats.net_cycles(HZ, 60e6, 52e6), 1.0)

    def test_net_ratio_counts_only_when_the_floor_is_large(self) -> None:
        fast = stats.ratios(HZ, 26e6, 4e6, 52e6)  # 100 cycles, 50 of them the floor
        self.assertEqual(fast["counts"], "net")
        self.assertAlmostEqual(fast["net"], (650 - 50) / 50)
        slow = stats.ratios(HZ, 13e6, 4e6, 52e6)
        self.assertEqual(slow["counts"], "plain")
        self.assertAlmostEqual(slow["plain"], 3.25)

    def test_every_side_is_first_once(self) -> None:
        orders = [stats.rotated(["a", "b", "c"], i) for i in range(3)]
        self.assertEqual([order[0] for order in orders], ["a", "b", "c"])
        self.assertEqual(orders[1], ["b", "c", "a"])


class Results(unittest.TestCase):
    def make(self, ours: float, ovs: float, folder: Path) -> dict:
        starts = {"weir": [start(ours), start(ours * 1.1), start(ours * 9, ["lost"])],
                  "ovs": [start(ovs)] * 2, "testpmd-io": [start(52e6)] * 2,
                  "testpmd-macswap": [start(40e6)] * 2}
        return report.result(catalogue.ALL["est_1k"], starts, folder)

    def test_wrong_starts_count_for_nothing_and_are_told(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = self.make(20e6, 4e6, Path(folder))
        self.assertEqual(len(out["ours"]["starts"]), 2)
        self.assertEqual(out["wrong"], ["weir: start 3: lost"])

    def test_bars(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            met = self.make(24e6, 4e6, Path(folder))["bars"]
            missed = self.make(8e6, 4e6, Path(folder))["bars"]
        self.assertEqual([bar["met"] for bar in met], [True, True])
        self.assertEqual([bar["met"] for bar in missed], [False, False])

    def test_a_unit_of_eight_packets_pays_the_floor_once_for_each(self) -> None:
        starts = {"weir": [start(8e6)], "ovs": [start(4e6)], "testpmd-io": [start(40e6)]}
        with tempfile.TemporaryDirectory() as folder:
            out = report.result(catalogue.ALL["full_tcp"], starts, Path(folder))
        self.assertAlmostEqual(out["medians"]["testpmd-io"], 5e6)
        self.assertAlmostEqual(out["cycles_net"]["ours"], HZ / 1e6 - HZ / 5e6)
        self.assertAlmostEqual(out["bars"][0]["floor_share"], 0.2)

    def test_the_table_says_met_or_not(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = self.make(8e6, 4e6, Path(folder))
        text = report.table(catalogue.ALL["est_1k"], out)
        self.assertIn("NOT MET", text)
        self.assertIn("WRONG weir: start 3: lost", text)


class Sides(unittest.TestCase):
    def test_both_sides_get_the_same_idle_times(self) -> None:
        for bench in catalogue.ALL.values():
            made = [one for one in weir.resources(bench) if one["kind"] == "flow-timeouts"]
            self.assertEqual(len(made), 1 if bench.idle_times else 0, bench.name)
            self.assertLessEqual(set(bench.idle_times), set(ovs.IDLE_TIMES), bench.name)

    def test_the_table_has_room_for_the_flows(self) -> None:
        for bench in catalogue.ALL.values():
            self.assertGreaterEqual(bench.table * 7 / 8, 2 * bench.flows, bench.name)
            self.assertLessEqual(bench.table, 10_000_000, bench.name)


class OwnCycles(unittest.TestCase):
    def test_only_of_sides_that_tell(self) -> None:
        rows = [{"came": 1000, "own_seconds": 0.001}, {"came": 1000, "own_seconds": 0.003},
                {"came": 2000, "own_seconds": 0.004}]
        out = {"tsc_hz": HZ, "raw": {"weir-wire": [{"windows": rows}],
                                     "nft": [{"windows": [{"came": 5}]}]}}
        self.assertEqual(list(report.own_cycles(out)), ["weir-wire"])
        self.assertAlmostEqual(report.own_cycles(out)["weir-wire"], HZ * 2e-6)


class UnderLoad(unittest.TestCase):
    def start(self, kept: float, **more: object) -> dict:
        rows = [{"came": 1, "seconds": 1.0, "cpu_seconds": 1.0, "noise": 7}]
        return {"rates": [kept * 4e6] * 3, "calm": [4e6] * 3, "windows": rows, "wrong": [],
                "trouble": [], "counted": {"weir_drops_total": 3.0},
                "delays_ns": {f"{name}_{of}": 1e3 for name in ("calm", "loaded")
                              for of in ("p99", "worst")}, **more}

    def test_the_bar_is_for_the_share_that_is_left(self) -> None:
        bench = catalogue.ALL["syn_flood"]
        for kept, met in ((0.85, True), (0.75, False)):
            out = under_load.result(bench, {"weir": [self.start(kept)] * 2,
                                            "ovs": [self.start(0.5)]})
            self.assertEqual([bar["met"] for bar in out["bars"]], [met])
            self.assertAlmostEqual(out["ours"]["starts"][0], kept)
            self.assertIn("NOT MET" if not met else ": met", under_load.table(bench, out))

    def test_what_a_packet_of_noise_takes(self) -> None:
        start = self.start(0.5)
        start["windows"] = [{"came": 2e6, "cpu_seconds": 1.0, "noise": 1e6}]
        self.assertAlmostEqual(under_load.noise_ns(start), 500.0)  # half a second for a million
        start["windows"] = [{"came": 2e6, "cpu_seconds": 1.0, "noise": 0}]
        self.assertEqual(under_load.noise_ns(start), 0.0)

    def test_starts_with_losses_count_for_nothing(self) -> None:
        lost = self.start(0.99, wrong=["lost"])
        out = under_load.result(catalogue.ALL["changes"], {"weir": [self.start(0.8), lost]})
        self.assertEqual(len(out["ours"]["starts"]), 1)
        self.assertEqual(out["wrong"], ["weir: start 2: lost"])

    def test_changes_come_at_their_pace_and_end(self) -> None:
        class Side:
            made: list[int] = []

            def change(self, number: int) -> None:
                self.made.append(number)
                if number == 5:
                    raise OSError("no room")

        with under_load.Changes(Side()) as going:
            going.thread.join(30)
        self.assertEqual(Side.made, [0, 1, 2, 3, 4, 5])
        self.assertEqual(going.failed, ["change 5: no room"])


class Complaints(unittest.TestCase):
    def side(self, **values: int) -> dict[str, int]:
        return {**dict.fromkeys(page.SIDE, 0), **values}

    def test_loss_other_flows_and_wrong_packets(self) -> None:
        a, b = self.side(sent=5, sent_sum=7), self.side(came=5, came_sum=7)
        self.assertEqual(page.complaints(a, b, True), [])
        self.assertIn("5 packets sent, 4 came", page.complaints(a, self.side(came=4), True)[0])
        other = page.complaints(a, self.side(came=5, came_sum=8), True)
        self.assertEqual(other, ["a to b: other flows came back than were sent"])
        wrong = page.complaints(a, b | {"wrong_header": 2}, True)
        self.assertEqual(wrong, ["side b: 2 packets with wrong header"])

    def test_percentiles_of_delays(self) -> None:
        counts = [0] * page.DELAY_BUCKETS
        counts[10], counts[16 * 7] = 99, 1  # 1024 cycles and more
        self.assertEqual(page.percentile(counts, 0.5), 10)
        self.assertEqual(page.percentile(counts, 0.99), 10)
        self.assertEqual(page.percentile(counts, 1.0), 1056)
        self.assertEqual(page.percentile([0] * 4, 0.5), 0.0)

    def test_the_page_is_laid_out_as_the_generator_has_it(self) -> None:
        size = -(-len(page.SIDE) * page.WORD // 64) * 64  # whole cache lines
        self.assertEqual(page.SIDE_AT[1] - page.SIDE_AT[0], size)
        self.assertEqual(page.DELAYS_AT - page.SIDE_AT[1], size)
        self.assertLessEqual(len(page.HEADER) * page.WORD, page.SIDE_AT[0])
        with tempfile.TemporaryDirectory() as folder:
            shared = page.Page(Path(folder) / "page")
            shared.set("command", page.RUN)
            self.assertEqual(shared.word(16), page.RUN)
            self.assertFalse(shared.ready())
            shared.close()

    def test_the_parts_of_a_page_are_added_up(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shared = page.Page(Path(folder) / "page", 2)
            shared.set("command", page.RUN)
            came = page.SIDE.index("came") * page.WORD
            for part, count in enumerate((3, 4)):
                shared.set_word(part * page.BYTES + page.SIDE_AT[0] + came, count)
                self.assertEqual(shared.word(part * page.BYTES + 16), page.RUN)
            self.assertEqual(shared.came(), 7)
            self.assertEqual([part["came"] for part in shared.parts(0)], [3, 4])
            shared.set_word(page.BYTES + page.HEADER.index("phase") * page.WORD, page.STEADY)
            self.assertNotEqual(shared.get("phase"), page.STEADY, "one part is not there yet")
            shared.close()


class Chains(unittest.TestCase):
    L2, AWARE = catalogue.ALL["chain_l2_1"], catalogue.ALL["chain_aware_1"]
    FAR = catalogue.ALL["chain_far_smd_1"]

    def test_a_peer_steers_from_node_to_node_and_back(self) -> None:
        ways = [flow.partition(",actions=") for flow in chains.steering(self.L2, 2)]
        self.assertEqual([(came.partition(",")[0], sent) for came, _, sent in ways], [
            ("in_port=1", "output:11"), ("in_port=12", "output:13"), ("in_port=14", "output:2"),
            ("in_port=2", "output:14"), ("in_port=13", "output:12"), ("in_port=11", "output:1")])

    def test_a_node_with_one_port_tells_directions_by_address(self) -> None:
        forward, reverse = (flow for flow in chains.steering(self.AWARE, 1)
                            if flow.startswith("in_port=11,"))
        self.assertEqual(forward, "in_port=11,dl_dst=02:00:00:00:0b:01,actions=output:2")
        self.assertEqual(reverse, "in_port=11,dl_dst=02:00:00:00:0a:01,actions=output:1")

    def test_every_other_node_is_on_another_host(self) -> None:
        made = chains.plane(self.FAR, 3)
        hosts = [one["host"] for one in made if one["kind"] == "service-node"]
        self.assertEqual(hosts, ["h2", "h1", "h2"])
        self.assertEqual([flow.partition(",actions=")[0] for flow in
                          chains.steering(self.FAR, 1)][1], "in_port=100,tun_id=1,dl_dst="
                         "02:00:00:00:0b:01")

    def test_a_bridge_is_asked_for_the_last_step_alone(self) -> None:
        self.assertEqual(wired_chains.steering(0), [])
        self.assertEqual(wired_chains.steering(1), [("a", "n1-left"), ("b", "n1-right")])
        self.assertEqual(wired_chains.steering(2), [
            ("a", "n1-left"), ("n1-right", "n2-left"), ("b", "n2-right"), ("n2-left", "n1-right")])

    def test_a_node_that_packets_pass_by_is_wrong_and_so_is_one_they_go_round_in(self) -> None:
        class Counted(wired_chains.Bridge):
            def visits(self):
                yield from (("n1", "a to b", 100), ("n1", "b to a", 50),
                            ("n2", "a to b", 99), ("n2", "b to a", 2000))

        said = Counted(Path("build"), 2).complaints({"sent": 100}, {"sent": 50})
        self.assertEqual(said, ["n2: 99 packets a to b visited it of 100 sent",
                                "n2: 2000 packets b to a visited it of 50 sent"])

    def test_flows_that_are_decided_again_are_wrong_and_so_is_silence(self) -> None:
        once = {"weir_service_rule_hits_total": 256.0}
        self.assertEqual(run.redecided(once, dict(once)), [])
        self.assertIn("decided again", run.redecided(once, {**once, "more": 1.0})[0])
        self.assertIn("does not say", run.redecided({}, {})[0])

    def test_hops_are_told_from_the_plain_path(self) -> None:
        of = chains.per_hop({"weir/0": HZ / 200, "weir/1": HZ / 1500, "weir/8": HZ / 8500}, HZ)
        self.assertAlmostEqual(of["weir"]["first_hop"], 1300)
        self.assertAlmostEqual(of["weir"]["further_hop"], 1000)
        self.assertAlmostEqual(of["weir"]["plain_ns"], 200 / 2.6)


if __name__ == "__main__":
    unittest.main()
