#!/usr/bin/python3
"""What a chain promises: nodes that take longer than they may, under live flows. An alarm is an
event and a metric; with `drain` new flows go elsewhere as well."""
import socket
import sys
import threading
import unittest

from spec.case import Scenario
from spec.control import PORT, Stream
from weirlab.slow_wire import SlowWire
from weirlab.wait import wait_until

LIMIT_US, LATE_S = 200_000, 0.4  # far from what a busy machine makes of a packet that is in time
MANY = 200  # flows of which no node with a share of one in twenty is left out


class Promise(Scenario):
    """n2 and n6, which perform the chain's second service, are wires that the test slows down."""
    nodes = ("n1", "n2", "n6")
    raw_nodes = True
    every_packet = False
    numbers = iter(range(10_000, 30_000))  # source ports of new flows

    @classmethod
    def prepare(cls):
        cls.wires = {name: SlowWire(*cls.t0.raw_nodes[name]) for name in ("n2", "n6")}
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)
        for node in cls.wires:
            wait_until(f"{node} is used", lambda: cls.weir.node_state(node) == "up", 30)

    @classmethod
    def tearDownClass(cls):
        for wire in cls.wires.values():
            wire.stop()
        super().tearDownClass()

    def change(self, kind: str, name: str, **fields: object) -> None:
        self.weir.put({"kind": kind, **self.weir.get(kind, name), **fields})
        self.weir.wait()

    def path_over(self, node: str) -> list[dict]:
        """As each worker of h1 sees it."""
        return [path for path in self.weir.ask("h1", "insert.paths")
                if any(hop["node"] == node for hop in path["forward"])]

    def n2_is_avoided(self, is_avoided: bool, within_s: float = 10) -> None:
        """Every worker of h1 says so."""
        wait_until(f"the path over n2 is {'' if is_avoided else 'not '}avoided", lambda: all(
            path["avoided"] == is_avoided for path in self.path_over("n2")), within_s)

    def spi_over(self, node: str) -> int:
        return self.path_over(node)[0]["spi"]

    def chosen_by_new_flows(self) -> set[str]:
        """Over which nodes their paths lead."""
        nodes = {self.spi_over(node): node for node in self.wires}
        ports = {next(self.numbers) for _ in range(MANY)}
        for port in ports:
            self.g1.send_udp(self.g2.ip4, PORT, port)
        chosen = wait_until("all of them have a path", lambda: self.chosen_by(ports))
        return {nodes[spi] for spi in chosen.values()}

    def chosen_by(self, ports: set[int]) -> dict[int, int]:
        """Source port → SPI, once there are all of them; what was lost on the way is sent again."""
        known = {flow["src_port"]: flow["insertion"]["spi"] for flow in self.flows()}
        for port in ports - known.keys():
            self.g1.send_udp(self.g2.ip4, PORT, port)
        return {port: known[port] for port in ports} if ports <= known.keys() else {}

    def flows(self) -> list[dict]:
        return self.weir.flows("h1", port="g1", l4_port=PORT, limit=10_000)

    def events(self, what: str) -> list[dict]:
        return [one for one in self.weir.call("GET", "/v1/events?limit=1000")["items"]
                if one.get("type") == what]


class Steady(Stream):
    """A hundred packets a second, of flows that have always some inside a slow node."""
    FLOWS, BURST, PAUSE_S = 16, 1, 0.01


class SlowNodes(Promise):
    """Both are slow; n2 alone has a limit."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.stream = Steady(cls.g1, cls.g2)

    @classmethod
    def tearDownClass(cls):
        cls.stream.stop()
        super().tearDownClass()

    def is_slow(self, node: str, host: str) -> bool:
        return self.weir.counters([host])["weir_service_node_slow", node] > 0

    def test_a_slow_node_is_drained_or_told_of_and_one_without_a_limit_is_neither(self):
        self.change("service-node", "n2", latency_limit_us=LIMIT_US, latency_action="drain")
        self.assertEqual(self.chosen_by_new_flows(), {"n2", "n6"})
        for wire in self.wires.values():
            wire.delay_s = LATE_S
        wait_until("n2 is slow", lambda: self.is_slow("n2", "h4"), 60)
        event = wait_until("there is an event", lambda: self.events("node-slow"))[0]
        self.assertEqual((event["host"], event["node"], event["limit_us"]), ("h4", "n2", LIMIT_US))
        self.assertGreater(event["p99_us"], LIMIT_US)
        self.n2_is_avoided(True)
        self.assertEqual(self.chosen_by_new_flows(), {"n6"})
        self.assertFalse(self.is_slow("n6", "h3"))
        self.assertEqual({one["node"] for one in self.events("node-slow")}, {"n2"})
        # Only an alarm: as slow as before, and used.
        self.change("service-node", "n2", latency_action="alarm")
        self.n2_is_avoided(False)
        self.assertEqual(self.chosen_by_new_flows(), {"n2", "n6"})
        self.assertTrue(self.is_slow("n2", "h4"))
        self.change("service-node", "n2", latency_action="drain")
        self.n2_is_avoided(True)
        self.assertEqual(self.chosen_by_new_flows(), {"n6"})
        for wire in self.wires.values():
            wire.delay_s = 0.0
        wait_until("n2 keeps its limit", lambda: not self.is_slow("n2", "h4"), 60)
        wait_until("an event tells so", lambda: self.events("node-fast"))
        self.n2_is_avoided(False)
        self.assertEqual(self.chosen_by_new_flows(), {"n2", "n6"})


class Repeated:
    """Datagrams of flows that stand, each flow's twenty times a second, until stop()."""

    def __init__(self, senders: list[socket.socket]):
        self._senders, self._ending = senders, threading.Event()
        self._count = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._ending.wait(0.05):
            for sender in self._senders:
                self._count += 1
                sender.send(f"again {self._count:8}".encode())

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        for sender in self._senders:
            sender.close()


class SlowPaths(Promise):
    """n2 is slow. What the chain promises, from g1's host through a path and back, is judged by
    that host, on one flow in 64: the test looks for one of those first."""
    AT_ONCE = 16

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.receiver = cls.g2.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        cls.receiver.bind(("", PORT))  # else g2 answers that nobody is there

    @classmethod
    def tearDownClass(cls):
        cls.receiver.close()
        super().tearDownClass()

    def watched(self) -> int:
        """Packets of watched flows over n2."""
        return sum(path.get("watched_sent", 0) for path in self.path_over("n2"))

    def watched_flows(self) -> list[socket.socket]:
        """Flows with one over n2 that is watched among them."""
        for _ in range(200):
            before = self.watched()
            senders = [self.g1.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
                       for _ in range(self.AT_ONCE)]
            for sender in senders:
                sender.connect((self.g2.ip4, PORT))
                sender.send(b"first of its flow")
            ports = {sender.getsockname()[1] for sender in senders}
            wait_until("they are known", lambda: ports <= {f["src_port"] for f in self.flows()})
            if self.watched() > before:
                return senders
            for sender in senders:
                sender.close()
        raise AssertionError("no flow is watched")

    def promise(self, **fields: object) -> None:
        self.change("service-chain", "c1", **fields)

    def test_a_slow_path_is_avoided_or_told_of(self):
        again = Repeated(self.watched_flows())
        self.addCleanup(again.stop)
        self.wires["n2"].delay_s = LATE_S
        self.promise(latency_limit_us=LIMIT_US, limit_action="drain")
        self.n2_is_avoided(True, 60)
        event = wait_until("there is an event", lambda: self.events("path-slow"))[0]
        self.assertEqual((event["host"], event["chain"], event["spi"], event["limit"]),
                         ("h1", "c1", self.spi_over("n2"), LIMIT_US))
        self.assertGreater(event["is"], LIMIT_US)
        self.assertEqual(self.chosen_by_new_flows(), {"n6"})
        self.promise(limit_action="alarm")
        self.n2_is_avoided(False)
        self.assertEqual(self.chosen_by_new_flows(), {"n2", "n6"})
        self.promise(limit_action="drain")
        self.n2_is_avoided(True)
        self.assertEqual(self.chosen_by_new_flows(), {"n6"})
        self.promise(latency_limit_us=5 * LIMIT_US)  # as slow as before, and no more is promised
        wait_until("an event says that the path keeps it", lambda: self.events("path-fast"), 60)
        self.n2_is_avoided(False)
        self.assertEqual(self.chosen_by_new_flows(), {"n2", "n6"})


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
