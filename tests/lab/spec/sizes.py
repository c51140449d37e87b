"""Scenario 43: fragments, and packets too large for what the service plane leaves."""
import random
import re
import socket

from weirlab.raw import UDP
from weirlab.wait import SLOWNESS

from .case import Scenario

PORT = 9000
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


class Sized(Scenario):
    every_packet = False

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)
        cls.receiver = cls.g2.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        cls.receiver.bind(("", PORT))
        cls.receiver.settimeout(10.0 * SLOWNESS)

    @classmethod
    def tearDownClass(cls):
        cls.receiver.close()
        super().tearDownClass()

    def send_in_fragments(self) -> None:
        """4000 bytes from g1, whose MTU is 1500, arrive whole."""
        content = random.Random(43).randbytes(4000)
        with self.g1.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
            self.under.clear()
            sender.sendto(content, (self.g2.ip4, PORT))
        self.assertEqual(self.receiver.recv(8192), content)

    def check_legs(self, at_least: int) -> None:
        """As many fragments on each leg of one path, none too large for the underlay."""
        legs = [leg for leg in self.under.legs(proto=UDP) if leg.smd]
        self.assertEqual(len({leg.smd.spi for leg in legs}), 1, "one path for all")
        for way in (("h1", "10.0.0.3"), ("h3", "10.0.0.4"), ("h4", "10.0.0.1")):
            taken = [leg for leg in legs if (leg.sender, leg.receiver_ip) == way]
            self.assertGreaterEqual(len(taken), at_least, way)
            self.assertEqual(len(taken) * 3, len(legs), way)
        self.assertLessEqual(max(len(leg.outer.packet) for leg in legs), self.underlay_mtu)


class Fragments(Sized):
    def test_all_fragments_take_one_path(self):
        self.send_in_fragments()
        self.check_legs(3)


class NarrowUnderlay(Sized):
    underlay_mtu = 1550

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.weir.put({"kind": "service-rule", "name": "pings", "protocol": "icmp",
                      "applied_to_ports": ["g1"], "chain": "c1"})
        cls.weir.wait()

    def too_big(self) -> int:
        """The usable MTU that g1 is told when it sends 1500 bytes that must not be cut."""
        told = self.g1.run("ping", "-n", "-c", "1", "-W", str(5 * SLOWNESS), "-M", "do",
                           "-s", "1472", self.g2.ip4, check=False)
        found = re.search(r"mtu ?= ?(\d+)", told)
        self.assertTrue(found, told)
        self.g1.run("ip", "route", "flush", "cache")
        return int(found[1])

    def test_guests_are_told_and_fragments_cut_again(self):
        self.send_in_fragments()
        self.check_legs(4)
        usable = self.too_big()
        path = next(p for p in self.weir.ask("h1", "insert.paths") if p["chain"] == "c1")
        self.assertEqual(usable, path["forward_mtu"])
        self.assertLessEqual(usable, self.underlay_mtu - 98, "what a leg adds (DP-24)")
        self.assertTrue(self.g1.ping(self.g2.ip4, 1, size=usable - 28, dont_fragment=True)
                        .all_answered, "what was said to fit does")
        # Without the chain there is more room: it was the path that was too narrow.
        self.weir.call("DELETE", "/v1/service-rule/pings")
        self.weir.wait()
        self.assertGreater(self.too_big(), usable)
