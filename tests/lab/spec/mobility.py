"""Scenarios 32 to 34: a guest moves to another host while it works."""
import json
import os
import signal

from weirlab.connections import Connections
from weirlab.guest import at
from weirlab.process import CommandFailed
from weirlab.t0 import TEP
from weirlab.wait import wait_until

from .case import Scenario
from .control import PORT, Stream


class Moving(Scenario):
    every_packet = False

    def take_guest(self, guest: str, source: str, target: str) -> str:
        """The shell command that carries the guest's cable to the other host."""
        end, spaces = f"port-{guest}", self.t0.fabric.hosts
        there = f"ip netns exec {spaces[target].full}"
        return (f"ip -n {spaces[source].full} link set {end} netns {spaces[target].full} && "
                f"{there} sysctl -qw net.ipv6.conf.{end}.disable_ipv6=1 && "
                f"ip -n {spaces[target].full} link set {end} arp off up")

    def migrate(self, guest: str, source: str, target: str, *words: str) -> dict:
        return json.loads(self.weir.command(
            "-o", "json", "migrate", "port", guest, "--to", target,
            "--when-frozen", self.take_guest(guest, source, target), *words))

    def refused(self, *words: str) -> str:
        """What `weir migrate` says when it does not do it; its exit status is 1."""
        with self.assertRaises(CommandFailed) as caught:
            self.weir.command("migrate", "port", *words)
        self.assertEqual(caught.exception.code, 1)
        return caught.exception.output

    def spis(self, host: str) -> set[int]:
        return {row["insertion"]["spi"] for row in self.weir.flows(host, port="g1")
                if row["l4_port" if "l4_port" in row else "dst_port"] == 80}


class LiveFlow(Moving):
    """Fifty connections over P11, and datagrams to the guest that moves."""

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2")

    def anchors(self, connections: Connections) -> set[str]:
        """Hosts that packets come back to."""
        def came_back(host: str) -> int:
            return self.weir.counters([host])["weir_service_arrivals_total", "anchor"]
        before = {host: came_back(host) for host in TEP}
        connections.must_go_on(3)
        return {host for host in TEP if came_back(host) > before[host]}

    def test_connections_keep_their_path_and_go_on(self):
        connections = Connections(self.g1, self.g2, 80, 50)
        self.addCleanup(connections.close)
        before = self.spis("h1")
        self.assertEqual((len(before), self.anchors(connections)), (1, {"h1"}))
        stream = Stream(self.g2, self.g1)
        rejected = self.weir.drops().get("flow.out_of_state", 0)
        done = self.migrate("g1", "h1", "h4")
        connections.must_go_on(5)
        stream.stop()
        lost = stream.sent - len(stream.received)
        print(f"frozen for {done['freeze_ms']:.1f} ms; {done['flows']} flows and {done['bytes']} "
              f"bytes in {done['passes']} passes; {lost} of {stream.sent} datagrams lost")
        self.assertGreaterEqual(done["flows"], 50)
        self.assertEqual((self.spis("h4"), self.spis("h1")), (before, set()))
        self.assertEqual(self.weir.get("port", "g1")["host"], "h4")
        self.assertEqual(self.weir.drops().get("flow.out_of_state", 0), rejected)
        self.assertEqual(self.weir.counters()["weir_service_chain_path_switch_total", "c1"], 0)
        self.assertTrue(self.g3.ping(self.g1.ip4).all_answered, "an old neighbour finds it there")
        if self.anchors(connections) != {"h4"}:  # n2, its last hop, is there: no tunnel comes back
            self.assertEqual(self.anchors(connections), set())
        # Without their records the same connections do not go on.
        self.weir.command("flush", "g1")
        wait_until("their packets are refused",
                   lambda: self.weir.drops("h4").get("flow.out_of_state", 0) > 50, 20)


class ReturnsInFlight(Moving):
    """What n2 gives back needs two seconds from h4 to h1; g1 has moved to h3 by then."""

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)

    def delay(self) -> None:
        h4 = self.t0.fabric.hosts["h4"]
        for words in (["qdisc", "add", "dev", "under0", "root", "handle", "1:", "prio"],
                      ["qdisc", "add", "dev", "under0", "parent", "1:3", "handle", "30:", "netem",
                       "delay", "2s", "limit", "10000"],
                      ["filter", "add", "dev", "under0", "parent", "1:0", "protocol", "ip", "u32",
                       "match", "ip", "dst", "10.0.0.1/32", "flowid", "1:3"]):
            h4.run(["tc", *words])

    def stubs(self, what: str) -> int:
        return self.weir.counters(["h1", "h3"])["weir_stub_packets_total", what]

    def test_the_old_host_sends_them_on_for_a_while(self):
        warm = Stream(self.g1, self.g2)
        wait_until("datagrams arrive", lambda: len(warm.received) > 100, 20)
        warm.stop()
        self.delay()
        stream = Stream(self.g1, self.g2)
        wait_until("datagrams are under way", lambda: stream.sent > 400, 20)
        stream.stop()
        self.migrate("g1", "h1", "h3")
        wait_until("the old host sends on what comes back",
                   lambda: self.stubs("forwarded") > 100, 20)
        print(f"{stream.sent} datagrams were under way, {self.stubs('forwarded')} of them sent on "
              f"by the old host, {self.stubs('unknown_flow')} of unknown flows")
        self.assertEqual(self.stubs("unknown_flow"), 0)
        # A stub that is over before they are back: STALE_ANCHOR. (The whole 40 s: in process.)
        self.assertEqual(self.weir.drops("h1").get("STALE_ANCHOR", 0), 0)
        self.migrate("g1", "h3", "h1")
        stream = Stream(self.g1, self.g2)
        wait_until("datagrams are under way", lambda: stream.sent > 400, 20)
        stream.stop()
        self.migrate("g1", "h1", "h3", "--stub", "1ms")
        wait_until("what comes back is dropped",
                   lambda: self.weir.drops("h1").get("STALE_ANCHOR", 0) > 100, 20)


class Precheck(Moving):
    """h4 takes no part in the service segment of g1's chain."""

    nodes = ("n1",)
    plane = {"hosts": ["h1", "h2", "h3"]}

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2", chain="c2")

    def test_a_host_that_could_not_serve_it_is_refused(self):
        for words in ((), ("--dry-run",)):
            said = self.refused("g1", "--to", "h4", *words)
            self.assertIn("service-segment/plane: hosts: h4 takes no part in it (SVNI 9001)", said)
            self.assertIn("service-chain/c2", said)
        self.assertIn("there is no such host", self.refused("g1", "--to", "h9"))
        self.assertIn("is on h1 already", self.refused("g1", "--to", "h1"))
        self.assertIn("only ports of guests", self.refused("n1", "--to", "h4"))
        self.assertEqual(self.weir.get("port", "g1")["host"], "h1")
        self.assertTrue(self.g1.fetch(at(self.g2.ip4)).ok, "the source keeps working")
        # What lacks can be added; by force it goes there without.
        plane = self.weir.get("service-segment", "plane")
        self.weir.put({"kind": "service-segment", **plane, "hosts": [*plane["hosts"], "h4"]})
        self.weir.wait()
        self.assertIn("can move from h1 to h4",
                      self.weir.command("migrate", "port", "g1", "--to", "h4", "--dry-run"))
        self.weir.put({"kind": "service-segment", **plane})
        self.weir.wait()
        self.migrate("g1", "h1", "h4", "--force")
        wait_until("it is served where it is", lambda: self.g1.fetch(at(self.g2.ip4)).ok, 20)


class Failures(Moving):
    """The destination stops, or the guest cannot be carried: it goes on where it was."""

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2")

    def test_the_port_goes_on_where_it_was(self):
        connections = Connections(self.g1, self.g2, 80, 10)
        self.addCleanup(connections.close)
        said = self.refused("g1", "--to", "h4", "--when-frozen", "exit 7")
        self.assertIn("--when-frozen ended with status 7", said)
        connections.must_go_on(5)
        stop = f"kill -STOP {self.weir.hosts['h4'].pid}"
        said = self.refused("g1", "--to", "h4", "--when-frozen", stop)
        os.kill(self.weir.hosts["h4"].pid, signal.SIGCONT)
        self.assertIn("host/h4", said)
        connections.must_go_on(5)
        self.assertEqual(self.weir.get("port", "g1")["host"], "h1")
        self.weir.kill_host("h4")
        self.weir.start_host("h4")
        wait_until("h4 is back", lambda: "h4" in self.weir.connected(), 30)
        self.weir.wait(30)
        self.migrate("g1", "h1", "h4")
        connections.must_go_on(5)
