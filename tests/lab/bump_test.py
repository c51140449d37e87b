#!/usr/bin/python3
"""The legacy node of the lab does what the service chain tests count on."""
import unittest

from weirlab import raw
from weirlab.bump import BumpInTheWire
from weirlab.lab import Lab
from weirlab.raw import ACK, FIN, PSH, SYN, RawPort, tcp_frame
from weirlab.wait import wait_until

M1, M2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
ADDRESSES = {"IPv4": ("192.168.10.1", "192.168.10.2"), "IPv6": ("fd00:10::1", "fd00:10::2")}


def marker(number: int) -> bytes:
    return raw.ethernet(raw.BROADCAST, M1, raw.ETH_HEARTBEAT, b"marker%06d" % number)


class BumpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        left, right, node = (cls.lab.namespace(n) for n in ("l", "r", "n2"))
        cls.lab.cable(left, "eth0", node, "left")
        cls.lab.cable(right, "eth0", node, "right")
        for space in (left, right):
            space.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
            space.up("eth0", 2000)
        cls.node = BumpInTheWire(node)
        cls.left, cls.right = RawPort(left, "eth0"), RawPort(right, "eth0")
        cls.markers = 0
        # A bridge port forwards a little after it was brought up.
        wait_until("the bridge forwards", cls.forwards)

    @classmethod
    def tearDownClass(cls):
        cls.left.close()
        cls.right.close()
        cls.lab.close()

    @classmethod
    def forwards(cls) -> bool:
        cls.left.send(marker(0))
        frame = cls.right.receive(0.05)
        return frame is not None and frame.ethertype == raw.ETH_HEARTBEAT

    def passes(self, frame: bytes, forward: bool = True) -> bool:
        """Whether a frame comes out on the other side, unchanged; a marker behind it says no."""
        source, sink = (self.left, self.right) if forward else (self.right, self.left)
        BumpTest.markers += 1
        sink.drain()
        source.send(frame)
        source.send(marker(self.markers))
        passed = False
        while True:
            seen = sink.expect("frame or marker", lambda f: True)
            if seen.raw == frame:
                passed = True
            elif seen.packet.startswith(b"marker%06d" % self.markers):
                return passed

    def test_handshake_and_data_pass_with_tags_that_differ_by_direction(self):
        """A proxy tags both directions of a flow differently; connection tracking must not care."""
        for number, (family, (a, b)) in enumerate(ADDRESSES.items()):
            for tags in ((), (101,), (101, 7)):
                with self.subTest(family=family, tags=tags):
                    port = 40000 + 10 * number + len(tags)
                    there = tags
                    back = tuple(t + 1 for t in tags)
                    self.check_connection(a, b, port, there, back)

    def check_connection(self, a, b, port, there, back):
        opened = self.node.counters()["opened"]
        steps = [
            (True, SYN, 100, 0, b""), (False, SYN | ACK, 500, 101, b""), (True, ACK, 101, 501, b""),
            (True, ACK | PSH, 101, 501, b"GET /"), (False, ACK | PSH, 501, 106, b"200 OK"),
            (False, ACK | FIN, 507, 106, b""), (True, ACK | FIN, 106, 508, b""),
        ]
        for forward, flags, seq, ack, payload in steps:
            if forward:
                frame = tcp_frame(M2, M1, a, b, port, 80, flags, there, seq=seq, ack=ack,
                                  payload=payload)
            else:
                frame = tcp_frame(M1, M2, b, a, 80, port, flags, back, seq=seq, ack=ack,
                                  payload=payload)
            self.assertTrue(self.passes(frame, forward), (forward, flags))
        if len(there) < 2:
            self.assertEqual(self.node.counters()["opened"], opened + 1)

    def test_connection_without_its_start_is_dropped(self):
        for family, (a, b) in ADDRESSES.items():
            for tags in ((), (55,)):
                with self.subTest(family=family, tags=tags):
                    before = self.node.counters()["invalid"]
                    frame = tcp_frame(M2, M1, a, b, 41000, 80, ACK | PSH, tags, seq=1, ack=1,
                                      payload=b"x")
                    self.assertFalse(self.passes(frame))
                    self.assertEqual(self.node.counters()["invalid"], before + 1)

    def test_initiator_on_the_right_side(self):
        a, b = ADDRESSES["IPv4"]
        syn = tcp_frame(M2, M1, a, b, 42000, 80, SYN, (9,), seq=1)
        self.assertTrue(self.passes(syn, forward=False))
        answer = tcp_frame(M1, M2, b, a, 80, 42000, SYN | ACK, (8,), seq=1, ack=2)
        self.assertTrue(self.passes(answer, forward=True))

    def test_port_8080_is_dropped_and_counted(self):
        for family, (a, b) in ADDRESSES.items():
            for tags in ((), (77,)):
                with self.subTest(family=family, tags=tags):
                    before = self.node.counters()["denied_8080"]
                    self.assertFalse(self.passes(tcp_frame(M2, M1, a, b, 43000, 8080, SYN, tags)))
                    self.assertEqual(self.node.counters()["denied_8080"], before + 1)

    def test_heartbeats_pass_both_ways_and_not_through_a_hung_node(self):
        beat = raw.ethernet(raw.BROADCAST, M1, raw.ETH_HEARTBEAT, bytes(12).ljust(46, b"\1"))
        self.assertTrue(self.passes(beat, True))
        self.assertTrue(self.passes(beat, False))
        self.node.hang()
        for source, sink in ((self.left, self.right), (self.right, self.left)):
            source.send(beat)
            sink.expect_none("heartbeat", lambda f: f.ethertype == raw.ETH_HEARTBEAT)
        self.node.recover()
        wait_until("the bridge forwards again", self.forwards)
        self.left.drain()
        self.assertTrue(self.passes(beat, True))

    def test_bridge_netfilter_is_this_namespace_alone(self):
        other = self.lab.namespace("plain")
        other.bridge("br0")
        name = "net.bridge.bridge-nf-filter-vlan-tagged"
        self.assertEqual(self.node.space.read_sysctl(name), "1")
        self.assertEqual(other.read_sysctl(name), "0")


if __name__ == "__main__":
    unittest.main()
