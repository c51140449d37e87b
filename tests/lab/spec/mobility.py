"""Scenarios 32 to 34: a guest moves to another host while it works."""
import json
import os
import signal
import socket

from weirlab.build import library
from weirlab.connections import Connections
from weirlab.guest import at
from weirlab.held import Held
from weirlab.process import CommandFailed
from weirlab.raw import make_room
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
        # n2, the last hop there, is on h4 too: no tunnel. n1, the last hop back, is on h3.
        self.assertEqual(self.anchors(connections), {"h4"})
        wait_until("it is announced three times, IPv4 and IPv6", lambda: self.weir.counters(
            ["h4"])["weir_neighbour_announcements_total",] == 6, 20)
        # Without their records the same connections do not go on.
        self.weir.command("flush", "g1")
        wait_until("their packets are refused",
                   lambda: self.weir.drops("h4").get("flow.out_of_state", 0) > 50, 20)


class ReturnsInFlight(Moving):
    """What n2 gives back waits on its way from h4 to h1 until g1 has moved to h3."""

    BURST = 200

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)
        cls.receiver = cls.g2.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        make_room(cls.receiver)
        cls.receiver.bind(("", PORT))
        cls.receiver.setblocking(False)
        cls.sender = cls.g1.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        cls.sender.connect((cls.g2.ip4, PORT))

    @classmethod
    def tearDownClass(cls):
        cls.receiver.close()
        cls.sender.close()
        super().tearDownClass()

    def received(self) -> int:
        """Datagrams since the last look."""
        count = 0
        while True:
            try:
                self.receiver.recv(2048)
                count += 1
            except BlockingIOError:
                return count

    def burst(self, anchor: str) -> Held:
        """Sends it; it is on its way back to the anchor's host when this returns."""
        held = Held(self.t0.fabric.under, "h4", anchor, TEP[anchor])
        for _ in range(self.BURST):
            self.sender.send(bytes(40))
        wait_until("all of them are under way", lambda: held.count() >= self.BURST)
        return held

    def stubs(self, what: str) -> int:
        return self.weir.counters(["h1", "h3"])["weir_stub_packets_total", what]

    def test_the_old_host_sends_them_on_for_a_while(self):
        self.sender.send(bytes(40))
        wait_until("a datagram arrives", lambda: self.received() > 0, 20)
        held = self.burst("h1")
        done = self.migrate("g1", "h1", "h3")
        self.assertEqual(self.received(), 0)
        self.assertEqual(held.release(), self.BURST)
        arrived = []
        wait_until("all of them arrive", lambda: arrived.append(self.received()) or
                   sum(arrived) >= self.BURST, 30)
        print(f"frozen for {done['freeze_ms']:.1f} ms; {self.stubs('forwarded')} of {self.BURST} "
              f"datagrams came back to the old host and were sent on, "
              f"{self.stubs('unknown_flow')} of unknown flows; none was lost")
        self.assertEqual(self.stubs("forwarded"), self.BURST)
        self.assertEqual(self.stubs("unknown_flow"), 0)
        self.assertEqual(self.weir.drops("h1").get("STALE_ANCHOR", 0), 0)
        # A stub that is over before they are back. (The whole 40 s of the scenario: in process.)
        held = self.burst("h3")
        self.migrate("g1", "h3", "h1", "--stub", "1ms")
        held.release()
        wait_until("what comes back is dropped", lambda: self.weir.drops("h3").get(
            "STALE_ANCHOR", 0) == self.BURST, 30)
        self.assertEqual((self.received(), self.stubs("forwarded")), (0, self.BURST))


class StubsLast(ReturnsInFlight):
    """The old host's weir-host is killed while packets are on their way back to it, or its engine
    is replaced: it sends them on all the same, by what its vault remembers."""

    BURST = 300
    PART = 50

    def stale(self) -> int:
        return self.weir.drops("h1").get("STALE_ANCHOR", 0)

    def part_is_sent_on(self, held: Held, by: str) -> None:
        """Its counters are of the engine that is there now."""
        self.assertEqual(self.stubs("forwarded"), 0)
        held.let_go(self.PART)
        wait_until(f"{by} sends them on", lambda: self.stubs("forwarded") == self.PART, 30)

    def test_the_old_host_sends_them_on_for_a_while(self):
        self.sender.send(bytes(40))
        wait_until("a datagram arrives", lambda: self.received() > 0, 20)
        held = self.burst("h1")
        self.migrate("g1", "h1", "h3", "--stub", "10min")
        self.weir.ask("h1", "host-swap-engine", path=library("libweir-engine-next.so"))
        self.part_is_sent_on(held, "the new engine")
        self.weir.kill_host("h1")
        self.weir.start_host("h1")
        self.weir.wait(30)
        self.part_is_sent_on(held, "the new process")
        print(f"{self.stubs('forwarded')} datagrams sent on after the last restart, "
              f"{self.stubs('unknown_flow')} of unknown flows")
        self.assertEqual((self.stubs("unknown_flow"), self.stale()), (0, 0))
        # Without what the vault has of it there is no stub.
        self.weir.kill_host("h1")
        lost = list(self.weir.run_dir("h1").rglob("moved-ports*"))
        self.assertNotEqual(lost, [])
        for path in lost:
            path.unlink()
        self.weir.start_host("h1")
        self.weir.wait(30)
        rest = held.release()
        wait_until("what comes back is dropped", lambda: self.stale() == rest, 30)
        self.assertEqual((rest, self.stubs("forwarded")), (self.BURST - 2 * self.PART, 0))


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
        said = self.refused("g1", "--to", "h4", "--timeout", "1s", "--when-frozen",
                            "tail -f /dev/null")
        self.assertIn("--when-frozen took longer than 1 s and was ended", said)
        connections.must_go_on(5)
        stop = f"kill -STOP {self.weir.hosts['h4'].pid}"
        said = self.refused("g1", "--to", "h4", "--when-frozen", stop)
        os.kill(self.weir.hosts["h4"].pid, signal.SIGCONT)
        self.assertIn("host/h4", said)
        connections.must_go_on(5)
        self.assertEqual(self.weir.get("port", "g1")["host"], "h1")
        self.weir.kill_host("h4")
        self.weir.start_host("h4")
        self.weir.wait(30)
        self.migrate("g1", "h1", "h4")
        connections.must_go_on(5)
