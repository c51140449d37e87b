"""Scenarios 5 to 7: what is decided once, remembered, and decided again."""
from weirlab.guest import at
from weirlab.raw import UDP
from weirlab.wait import wait_until

from .case import Scenario


class FastPath(Scenario):
    every_packet = False

    @classmethod
    def prepare(cls):
        cls.server = cls.g2.serve_iperf3()
        cls.t0.redirect("g1", "g2", port=5201)

    def test_ten_thousand_packets_without_a_look_at_the_rules(self):
        packets = ("weir_insertion_packets_total", "egress", "g1")
        self.assertGreater(self.g1.iperf3_bytes(self.g2.ip4, 1_000_000), 0)
        before, looked = self.weir.counters(["h1"])[packets], self.lookups()
        self.g1.iperf3_bytes(self.g2.ip4, 20_000_000)
        sent = self.weir.counters(["h1"])[packets] - before
        self.assertGreater(sent, 10_000)
        # Two new connections, of control and of data, and not one packet more.
        self.assertEqual(self.lookups() - looked, 2)


class NegativeCaching(Scenario):
    def test_first_packet_is_looked_up_and_the_next_thousand_are_not(self):
        looked = self.lookups()
        with self.t0.at_guest("g2") as g2:
            self.g1.send_udp(self.g2.ip4, 53, source_port=5300)
            g2.expect("the first packet", lambda f: f.proto == UDP and f.dst_port == 53)
            self.assertEqual(self.lookups() - looked, 1)
            self.under.clear()
            self.g1.send_udp(self.g2.ip4, 53, source_port=5300, count=1000)
            for number in range(1000):
                g2.expect(f"packet {number}", lambda f: f.proto == UDP and f.dst_port == 53)
        self.assertEqual(self.lookups() - looked, 1)
        self.assertEqual([leg for leg in self.under.legs() if leg.packet.vni == 9001], [])


class DoNotRedirect(Scenario):
    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2", name="redirect", priority=20)
        cls.t0.redirect("g1", "g2", name="except", priority=10, chain="", do_not_redirect=True)

    def test_exception_counts_and_its_end_is_felt_by_the_running_connection(self):
        def on_plane() -> int:
            return sum(leg.packet.vni == 9001 for leg in self.under.legs(proto=6))
        self.under.clear()
        download = self.g1.download(at(self.g2.ip4, path="/slow"))
        download.must_grow(100_000)
        self.assertEqual(on_plane(), 0)
        self.weir.call("DELETE", "/v1/service-rule/except")
        self.weir.wait()
        wait_until("the running connection is on the service plane", lambda: on_plane() > 20)
        # n2 drops what it has not seen from its start: the firewall of the lab is strict.
        wait_until("n2 saw packets of the middle",
                   lambda: self.t0.fabric.bumps["n2"].counters()["invalid"] > 0)
        download.daemon.stop()
