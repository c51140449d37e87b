"""Scenarios 40 and 41: what hosts are told changes under traffic, or nobody tells them anything."""
import socket
import threading
import time

from weirlab.capture import Capture
from weirlab.guest import at
from weirlab.raw import make_room
from weirlab.wait import wait_until

from .case import Scenario

MARK = b"weir"
PORT = 9000


class Stream:
    """Numbered datagrams from one guest to another, over a few flows, until stop()."""

    FLOWS, BURST, PAUSE_S = 8, 2, 0.001

    def __init__(self, source, target):
        self.sent = 0
        self.received: list[int] = []
        self._ending = threading.Event()
        self._senders = [source.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
                         for _ in range(self.FLOWS)]
        for sender in self._senders:
            sender.connect((target.ip4, PORT))
        self._receiver = target.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        make_room(self._receiver)
        self._receiver.bind(("", PORT))
        self._receiver.settimeout(1.0)
        # A test that fails does not come to stop(): they end with it.
        self._threads = [threading.Thread(target=one, daemon=True)
                         for one in (self._send, self._take)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._ending.is_set():
            for _ in range(self.BURST):
                payload = bytes(32) + MARK + self.sent.to_bytes(4)
                self._senders[self.sent % self.FLOWS].send(payload)
                self.sent += 1
            self._ending.wait(self.PAUSE_S)

    def _take(self) -> None:
        while True:
            try:
                self.received.append(int.from_bytes(self._receiver.recv(2048)[-4:]))
            except TimeoutError:
                if self._ending.is_set():
                    return

    def stop(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        for one in (*self._senders, self._receiver):
            one.close()


def numbers(capture: Capture) -> list[int]:
    """Of the stream's datagrams among the captured frames."""
    return [int.from_bytes(frame.raw[-4:]) for frame in capture.stop()
            if frame.raw[-8:-4] == MARK]


class UpdateAtomicity(Scenario):
    """The chain's second service is performed by n2 or, after a change, by n6, back and forth."""

    nodes = ("n1", "n2", "n6")
    every_packet = False
    CHANGES = 100

    @classmethod
    def prepare(cls):
        n6 = cls.weir.get("service-node", "n6")
        cls.weir.put({"kind": "service", "name": "ids-b", "transports": ["l2_bridge"]},
                     {"kind": "service-profile", "name": "ids-b", "service": "ids-b"},
                     {"kind": "service-node", **n6, "service": "ids-b"})
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)

    def second_service(self, profile: str) -> None:
        self.weir.put({"kind": "service-chain", **self.weir.get("service-chain", "c1"),
                       "forward": ["fw", profile]})

    def usable(self, node: str) -> None:
        wait_until(f"a path over {node} is usable at h1", lambda: any(
            path["usable"] and path["use"] == "anchored" and
            any(hop["node"] == node for hop in path["forward"])
            for path in self.weir.ask("h1", "insert.paths")), 20)

    def test_every_packet_meets_each_service_once(self):
        for profile, node in (("ids-b", "n6"), ("ids", "n2")):
            self.second_service(profile)
            self.usable(node)
        inside = {node: Capture(self.lab, space, interface, self.lab.folder / f"{node}.pcap",
                                "-Q in", bytes_each=256)
                  for node, space, interface in (
                      ("n1", self.t0.aware("n1").space, "eth0"),
                      ("n2", self.t0.fabric.bumps["n2"].space, "left"),
                      ("n6", self.t0.fabric.bumps["n6"].space, "left"))}
        before = self.weir.drops()  # bridges that start say things of their own
        stream = Stream(self.g1, self.g2)
        started = time.monotonic()
        for number in range(self.CHANGES):
            self.second_service("ids-b" if number % 2 == 0 else "ids")
            self.weir.wait()
        took = time.monotonic() - started
        stream.stop()
        visits = {node: numbers(capture) for node, capture in inside.items()}
        print(f"{self.CHANGES} changes in {took:.1f} s under {stream.sent} packets: "
              f"{len(visits['n2'])} over n2, {len(visits['n6'])} over n6")
        drops = self.weir.drops()
        for why in ("NO_NEXT_HOP", "BAD_EPOCH", "NO_ACTIVE_PATH", "NO_CONTEXT", "HOP_DOWN"):
            self.assertEqual(drops.get(why, 0), before.get(why, 0), why)
        everything = list(range(stream.sent))
        self.assertEqual(sorted(visits["n1"]), everything, "each visits the one firewall once")
        self.assertEqual(sorted(visits["n2"] + visits["n6"]), everything, "and one ids once")
        self.assertEqual(sorted(stream.received), everything, "and arrives")
        self.assertGreater(min(len(visits["n2"]), len(visits["n6"])), stream.sent // 10,
                           "the changes reached the flows")


class ControllerLoss(Scenario):
    nodes = ("n1", "n2", "n6")
    every_packet = False

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2")

    def rules(self) -> set[str]:
        return {row["name"] for row in self.weir.ask("h1", "insert.rules")}

    def test_hosts_help_themselves_and_are_brought_up_to_date(self):
        self.assertTrue(self.g1.fetch(at(self.g2.ip4)).ok)
        self.weir.kill_controller()
        self.t0.fabric.bumps["n2"].hang()
        download = self.g1.download(at(self.g2.ip4, path="/slow"))
        download.must_grow(50_000, 20)

        def avoids_n2() -> bool:
            self.under.clear()
            return self.g1.fetch(at(self.g2.ip4)).ok and not any(
                leg.receiver_ip == "10.0.0.4" and leg.smd for leg in self.under.legs())
        wait_until("flows go over n6", avoids_n2, 20)
        # h1 cannot hear what changes; it goes on with what it knew.
        self.t0.fabric.hosts["h1"].ip("link", "set", "mgmt0", "down")
        self.weir.start_controller()
        self.weir.call("DELETE", "/v1/service-rule/redirect")
        self.weir.put({"kind": "service-rule", "name": "other", "ip_version": "ip6",
                       "protocol": "tcp", "ports": ["80"], "applied_to_ports": ["g1"],
                       "chain": "c1"})
        self.under.clear()
        self.assertTrue(self.g1.fetch(at(self.g2.ip4)).ok)
        self.assertTrue([leg for leg in self.under.legs() if leg.smd], "the old rule still holds")
        self.t0.fabric.hosts["h1"].ip("link", "set", "mgmt0", "up")
        wait_until("h1 is connected", lambda: "h1" in self.weir.connected(), 30)
        self.weir.wait(30)
        self.assertEqual(self.rules(), {"other"}, "the stale rule is gone")
        self.under.clear()
        self.assertTrue(self.g1.fetch(at(self.g2.ip4)).ok)
        self.assertFalse([leg for leg in self.under.legs() if leg.smd], "nothing inserts any more")
        self.assertTrue(self.g1.fetch(at(self.g2.ip6)).ok)
        self.assertTrue([leg for leg in self.under.legs() if leg.smd], "the new rule does")
        download.must_grow(10_000)
        download.daemon.stop()
