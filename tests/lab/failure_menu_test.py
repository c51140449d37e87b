#!/usr/bin/python3
"""The failure menu of a chain: what clients see when its only node, or one of two, is killed under
live connections. Each entry beside `block`, or what else happens without it."""
import socket
import sys
import unittest

from spec.case import Scenario
from weirlab.connections import Connections
from weirlab.raw import make_room
from weirlab.t0 import SVNI
from weirlab.wait import stays, wait_until

PORT = 9200


class Menu(Scenario):
    """Chain c2 has the service of n1 alone; n1 keeps no state and knows nobody after a restart."""
    nodes = ("n1",)
    every_packet = False
    PROTOCOL = "tcp"
    COUNT = 20

    @classmethod
    def prepare(cls):
        cls.node = cls.t0.aware("n1")
        cls.choose(failure_policy="block")
        for protocol in ("tcp", "udp"):
            cls.t0.redirect("g1", "g2", chain="c2", protocol=protocol, port=PORT, name=protocol)

    @classmethod
    def choose(cls, **fields: object) -> None:
        cls.weir.put({"kind": "service-chain", **cls.weir.get("service-chain", "c2"), **fields})
        cls.weir.wait()

    def connect(self) -> Connections:
        wait_until("n1 is used", lambda: self.weir.node_state("n1") == "up", 60)
        live = Connections(self.g1, self.g2, PORT, self.COUNT)
        self.addCleanup(live.close)
        return live

    def kill(self) -> None:
        self.node.daemon.kill()
        wait_until("h1 knows that n1 is down", lambda: self.weir.node_state("n1") == "down")

    def count(self, metric: str, *labels: str) -> int:
        return self.weir.counters(["h1"])[metric, *labels]

    def blocked(self) -> int:
        return self.weir.drops("h1").get("NO_ACTIVE_PATH", 0)

    def stand_still(self, live: Connections) -> None:
        """Their packets are dropped, and nobody tells their ends."""
        before, rounds = self.blocked(), live.rounds()
        wait_until("packets are dropped for want of a path", lambda: self.blocked() > before)
        stays("the connections stand still", lambda: live.rounds() == rounds, 1.5)
        self.assertEqual(live.broken, [])

    def outage_under_block(self, live: Connections) -> None:
        """Policy `block`: connections wait for their node, and go on with it."""
        self.kill()
        self.stand_still(live)
        self.node.start()
        live.must_go_on(2, 60)


class Reset(Menu):
    def test_both_ends_of_every_connection_are_reset(self):
        live = self.connect()
        self.outage_under_block(live)
        self.assertEqual(self.count("weir_service_chain_reset_total", "c2"), 0)
        self.choose(failure_policy="reset")
        self.kill()
        wait_until("both ends of every connection know", lambda: len(live.broken) == 2 * self.COUNT)
        self.assertEqual({why.partition(": ")[2] for why in live.broken},
                         {"[Errno 104] Connection reset by peer"})
        self.assertEqual(self.count("weir_service_chain_reset_total", "c2"), self.COUNT)
        self.assertFalse(self.g1.can_connect(self.g2.ip4, PORT, 3), "a new one is refused")
        self.node.start()
        live.close()
        again = self.connect()  # clients that try again get through
        again.must_go_on()


class Allow(Menu):
    def test_connections_go_on_without_the_service(self):
        live = self.connect()
        self.outage_under_block(live)
        self.choose(failure_policy="allow")
        self.kill()
        live.must_go_on(3)
        self.assertEqual(self.verdicts(), {"bypass-fail"})
        self.under.clear()
        live.must_go_on(3)
        legs = self.under.legs(proto=6)
        self.assertTrue(legs)
        self.assertFalse([leg for leg in legs if leg.packet.vni == SVNI])

    def verdicts(self) -> set[str]:
        return {flow["insertion"]["verdict"][0]
                for flow in self.weir.flows("h1", port="g1", l4_port=PORT)}


class Rebalance(Menu):
    """n3 performs the same service."""
    nodes = ("n1", "n3")

    def over(self, node: str, live: Connections) -> set[int]:
        """Source ports of those connections whose path has that node."""
        spi = next(path["spi"] for path in self.weir.ask("h1", "insert.paths")
                   if path["chain"] == "c2" and path["forward"][0]["node"] == node)
        return {flow["src_port"] for flow in self.weir.flows("h1", port="g1", l4_port=PORT)
                if flow["insertion"]["spi"] == spi} & set(live.client_ports())

    def switched(self) -> int:
        return self.count("weir_service_chain_path_switch_total", "c2")

    def test_connections_go_on_through_the_other_node(self):
        live = self.connect()
        moving, others = self.over("n1", live), self.over("n3", live)
        before = self.switched()
        self.assertGreater(min(len(moving), len(others)), 0)
        self.node.daemon.kill()
        wait_until("all have the other path", lambda: self.over("n3", live) == moving | others)
        live.must_go_on(3)
        self.assertEqual(self.switched() - before, len(moving))

    def test_without_they_wait_for_their_own_node(self):
        self.choose(reselect_midflow=False)
        self.node.start()
        live = self.connect()
        staying, others = self.over("n1", live), self.over("n3", live)
        before = self.switched()
        self.assertGreater(min(len(staying), len(others)), 0)
        self.kill()
        self.wait_for_some(live, others)
        rounds = self.rounds(live)
        stays("those of n1 stand still", lambda: all(
            self.rounds(live)[port] == rounds[port] for port in staying), 1.5)
        self.assertEqual(self.over("n1", live), staying)
        self.assertEqual((self.switched(), live.broken), (before, []))
        self.node.start()
        live.must_go_on(2, 60)

    def rounds(self, live: Connections) -> dict[int, int]:
        return dict(zip(live.client_ports(), live.rounds()))

    def wait_for_some(self, live: Connections, ports: set[int]) -> None:
        before = self.rounds(live)
        wait_until("those of n3 go on", lambda: all(
            self.rounds(live)[port] >= before[port] + 3 for port in ports))


class Hold(Menu):
    """Numbered datagrams beside the connections."""
    COUNT = 5
    ROOM = 16

    def datagrams(self) -> list[int]:
        """Those that have come since this was asked last."""
        came = []
        while True:
            try:
                came.append(int(self.receiver.recv(64, socket.MSG_DONTWAIT)))
            except BlockingIOError:
                return came

    def send(self, *numbers: int) -> None:
        for number in numbers:
            self.sender.send(str(number).encode())

    def setUp(self):
        self.receiver, self.sender = (guest.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
                                      for guest in (self.g2, self.g1))
        for one in (self.receiver, self.sender):
            self.addCleanup(one.close)
        make_room(self.receiver)
        self.receiver.bind(("", PORT))
        self.sender.connect((self.g2.ip4, PORT))
        self.came: list[int] = []

    def have_come(self, *numbers: int) -> bool:
        self.came += self.datagrams()
        return self.came == [*numbers]

    def test_packets_wait_for_their_node_and_without_they_are_lost(self):
        self.choose(hold_packets=self.ROOM, hold_ms=10_000)
        live = self.connect()
        self.send(1)
        wait_until("a datagram comes through the node", lambda: self.have_come(1))
        self.kill()
        full = self.weir.drops("h1").get("QUEUE_FULL", 0)
        held = range(2, 2 + self.ROOM)
        self.send(*held, 90, 91, 92)  # so many wait, of a flow; the others find no room
        wait_until("the last ones found no room",
                   lambda: self.weir.drops("h1").get("QUEUE_FULL", 0) >= full + 3)
        self.assertTrue(self.have_come(1))
        self.node.start()
        wait_until("those that waited come, in their order", lambda: self.have_come(1, *held))
        live.must_go_on(2, 60)
        served = self.count("weir_service_chain_held_ends_total", "c2", "served")
        self.assertGreaterEqual(served, self.ROOM)
        self.assertEqual(self.count("weir_service_chain_held_ends_total", "c2", "late"), 0)
        live.close()
        wait_until("nobody else sends", lambda: not self.connections_left())
        self.without()

    def connections_left(self) -> int:
        """That would repeat what is lost (proc(5): neither in TIME_WAIT nor listening)."""
        return sum(line.split()[3] not in ("06", "0A") for guest in (self.g1, self.g2)
                   for line in guest.space.run(["cat", "/proc/net/tcp"]).splitlines()[1:])

    def without(self) -> None:
        self.choose(hold_packets=0, hold_ms=0)
        self.kill()
        before = self.blocked()
        self.send(*range(200, 210))
        wait_until("they are dropped", lambda: self.blocked() >= before + 10)
        self.assertEqual(self.blocked(), before + 10, "theirs alone")
        self.node.start()
        self.connect().must_go_on(2, 60)
        self.came.clear()
        self.send(300)
        wait_until("one comes that was sent later", lambda: self.came or self.have_come(300))
        self.assertEqual(self.came, [300])


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
