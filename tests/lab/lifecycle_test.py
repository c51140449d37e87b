#!/usr/bin/python3
"""Running flows survive a new engine and a killed host, and do so by their saved state alone."""
import shutil
import unittest

from weirlab.build import library
from weirlab.connections import Connections
from weirlab.lab import Lab
from weirlab.two_hosts import EXAMPLE, TwoHosts
from weirlab.wait import NotInTime, wait_until
from weirlab.weir import Weir

FLOWS = 220
PORT = 5201  # passes the firewall and both nodes of the chain


class Lifecycle(unittest.TestCase):
    vhost = False

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.fabric = TwoHosts(self.lab, vhost=self.vhost)
        self.weir = Weir(self.fabric).start()
        self.weir.apply(self.fabric.intent())
        self.fabric.connect_taps()
        self.weir.wait()
        self.connections = Connections(self.fabric.g1, self.fabric.g2, PORT, FLOWS)
        self.addCleanup(self.connections.close)

    def tearDown(self):
        self.weir.record_exits()
        if self._outcome and not self._outcome.success:
            self.lab.tell_logs()

    def flows(self, host: str, port: str) -> dict[int, dict]:
        """Client port → record."""
        rows = self.weir.flows(host, port=port, l4_port=PORT, limit=10000)
        return {row["src_port"]: row for row in rows if row["dst_port"] == PORT}

    def same_records_that_counted_on(self, before: dict[int, dict], after: dict[int, dict]):
        self.assertEqual(set(after), set(before))
        for number, old in before.items():
            new = after[number]
            self.assertEqual(new["id"], old["id"], "another record")
            self.assertGreaterEqual(new["age_s"], old["age_s"], "a younger record")
            for direction in (0, 1):
                self.assertGreater(new["packets"][direction], old["packets"][direction])
            self.assertEqual(new["insertion"], old["insertion"], "another path")


class EngineSwap(Lifecycle):
    def test_connections_on_every_worker_go_on_in_another_engine(self):
        before = {host: self.flows(host, port) for host, port in (("h1", "g1"), ("h2", "g2"))}
        for host, port in (("h1", "g1"), ("h2", "g2")):
            self.assertEqual(len(before[host]), FLOWS)
            self.assertEqual(len({row["worker"] for row in before[host].values()}),
                             self.weir.workers)
            old = self.weir.ask(host, "host-engines")
            new = self.weir.ask(host, "host-swap-engine", path=library("libweir-engine-next.so"))
            self.assertEqual(len(new), 1, new)
            self.assertNotEqual(new[0]["build_id"], old[0]["build_id"])
            self.connections.must_go_on()
            self.same_records_that_counted_on(before[host], self.flows(host, port))
        self.assertEqual(self.connections.broken, [])

    def test_without_save_and_restore_the_same_connections_do_not_go_on(self):
        self.weir.ask("h1", "host-swap-engine", path=library("libweir-engine-forgetful.so"))
        with self.assertRaises((NotInTime, AssertionError)):
            self.connections.must_go_on(1, timeout_s=8)
        self.assertGreater(self.weir.drops("h1").get("flow.out_of_state", 0), 0)


class CrashRestart(Lifecycle):
    def test_flows_of_a_killed_host_are_adopted(self):
        before = self.flows("h2", "g2")
        self.weir.kill_host("h2")
        self.restart()
        self.connections.must_go_on()
        self.same_records_that_counted_on(before, self.flows("h2", "g2"))

    def test_connections_whose_records_are_lost_are_adopted(self):
        before = self.flows("h2", "g2")
        self.weir.kill_host("h2")
        shutil.rmtree(self.weir.run_dir("h2"))
        self.restart()
        self.connections.must_go_on()
        after = self.flows("h2", "g2")
        self.assertEqual(set(after), set(before))
        self.assertFalse({row["id"] for row in after.values()} &
                         {row["id"] for row in before.values()}, "the records are new")
        self.assertGreaterEqual(self.weir.counters(["h2"])["weir_flows_adopted_total",], FLOWS)
        self.assertIn("flows-lost", self.weir.command("events", "--limit", "1000"))

    def test_without_state_and_vault_the_same_connections_do_not_go_on(self):
        self.weir.kill_host("h2")
        shutil.rmtree(self.weir.run_dir("h2"))
        shutil.rmtree(self.weir.state_dir("h2"))
        self.restart()
        with self.assertRaises((NotInTime, AssertionError)):
            self.connections.must_go_on(1, timeout_s=8)
        self.assertGreater(self.weir.drops("h2").get("flow.out_of_state", 0), 0)

    def restart(self):
        self.weir.start_host("h2")
        self.weir.wait(30)


class VhostUser(CrashRestart, EngineSwap):
    """The same of a guest behind a vhost-user port."""
    vhost = True


class Certificates(unittest.TestCase):
    def test_host_without_a_certificate_of_this_authority_is_refused(self):
        with Lab() as lab:
            fabric = TwoHosts(lab)
            weir = Weir(fabric)
            weir.start_controller()
            weir.apply(EXAMPLE)
            stranger = weir.new_authority("stranger")
            impostor = weir.start_host("h1", credentials=stranger)
            wait_until("the impostor is turned away",
                       lambda: "controller.down" in impostor.output())
            self.assertEqual(weir.connected(), set())
            impostor.stop()
            weir.start_host("h1")
            wait_until("the host itself is let in", lambda: weir.connected() == {"h1"})


if __name__ == "__main__":
    unittest.main()
