#!/usr/bin/python3
"""The example service, driven over a veth as a service proxy drives it."""
import subprocess
import unittest

from weirlab import raw
from weirlab.build import program
from weirlab.example_node import ExampleNode
from weirlab.lab import Lab
from weirlab.metadata import Nsh, Smd, changed, decode_nsh, node_frame
from weirlab.raw import ETH_NSH, SYN, RawPort, tcp_frame, udp_frame
from weirlab.wait import wait_until

PROXY, NODE = "02:5a:00:00:00:01", "02:00:00:00:01:01"
G1, G2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
PATH = Smd(spi=77, si=2, sci=9, initial_si=2, tenant_vni=5001, anchor_host=1, anchor_port=3,
           flow_handle=0x01000005, flow_tag=0xAABBCCDD, path_epoch=4)


def guest_frame(port: int = 80) -> bytes:
    return tcp_frame(G2, G1, "192.168.10.11", "192.168.10.12", 4000, port, SYN, seq=1)


class SdkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        proxy, space = cls.lab.namespace("proxy"), cls.lab.namespace("n1")
        cls.lab.cable(proxy, "p0", space, "eth0")
        for where, interface, mac in ((proxy, "p0", PROXY), (space, "eth0", NODE)):
            where.sysctl(f"net.ipv6.conf.{interface}.disable_ipv6", 1)
            where.up(interface, 2000, mac)
        cls.node = ExampleNode(cls.lab, space, rules="drop tcp 8080\n", every_packet=True)
        cls.wire = RawPort(proxy, "p0")

    @classmethod
    def tearDownClass(cls):
        cls.wire.close()
        cls.lab.close()

    def visit(self, nsh: Nsh, inner: bytes) -> raw.Frame:
        self.wire.send(node_frame(NODE, PROXY, nsh, inner))
        return self.wire.expect("answer", lambda f: f.ethertype == ETH_NSH)

    def test_packets_come_back_unchanged_of_both_metadata_types(self):
        for md_type in (1, 2):
            for inner in (guest_frame(),
                          udp_frame(G2, G1, "fd00:10::1", "fd00:10::2", 7, 9, b"x" * 1400),
                          tcp_frame(G2, G1, "192.168.10.1", "192.168.10.2", 1, 2, SYN, (100,))):
                with self.subTest(md_type=md_type):
                    nsh = Nsh(PATH, md_type, cookie=0xCAFEBABE)
                    answer = self.visit(nsh, inner)
                    self.assertEqual(answer.raw, node_frame(PROXY, NODE, nsh, inner))

    def test_log_names_chain_position_direction_and_tuple(self):
        for flags in (set(), {"reverse"}):
            self.visit(Nsh(changed(PATH, flags=flags, spi=78)), guest_frame())

        def logged() -> list[dict]:
            return [visit for visit in self.node.visits() if visit["spi"] == 78]
        wait_until("two visits logged", lambda: len(logged()) == 2)
        for d, visit in enumerate(logged()):
            self.assertEqual((visit["sci"], visit["si"], visit["d"]), (9, 2, d))
            self.assertEqual(visit["tenant_vni"], 5001)
            self.assertEqual(visit["tuple"], "tcp 192.168.10.11:4000 > 192.168.10.12:80")

    def test_dropped_packet_owes_its_liveness_answer(self):
        before = self.node.status()["dropped"]
        self.wire.send(node_frame(NODE, PROXY, Nsh(PATH), guest_frame(8080)))
        asked = Nsh(changed(PATH, flags={"live_query"}))
        answer = self.visit(asked, guest_frame(8080))  # the first frame that comes is for this one
        nsh, rest = decode_nsh(answer.packet)
        self.assertEqual(nsh.smd, changed(PATH, flags={"live_query", "live_ack", "oam"}))
        self.assertEqual((nsh.next_protocol, rest), (0, b""))
        wait_until("both are counted", lambda: self.node.status()["dropped"] == before + 2)

    def test_synthetic_query_is_answered(self):
        asked = Nsh(changed(PATH, flags={"oam", "live_query"}))
        nsh, rest = decode_nsh(self.visit(asked, b"").packet)
        self.assertEqual(nsh.smd.flags, {"oam", "live_query", "live_ack"})
        self.assertEqual(rest, b"")

    def test_hung_node_is_silent_and_answers_when_it_goes_on(self):
        self.node.hang()
        self.wire.send(node_frame(NODE, PROXY, Nsh(PATH), guest_frame(81)))
        self.wire.expect_none("answer of a stopped process", lambda f: f.ethertype == ETH_NSH)
        self.node.recover()
        answer = self.wire.expect("late answer", lambda f: f.ethertype == ETH_NSH)
        self.assertEqual(decode_nsh(answer.packet)[1], guest_frame(81))

    def test_malformed_packets_are_counted_and_not_answered(self):
        good = node_frame(NODE, PROXY, Nsh(PATH), guest_frame())
        bad = [node_frame(NODE, PROXY, Nsh(PATH, md_type=0), guest_frame()),
               node_frame(NODE, PROXY, Nsh(PATH, length_words=63), guest_frame()),
               node_frame(NODE, PROXY, Nsh(PATH, next_protocol=1), guest_frame()), good[:50]]
        before = self.node.status()["malformed"]
        for frame in bad:
            self.wire.send(frame)
        self.assertEqual(self.visit(Nsh(PATH), guest_frame()).raw[12:], good[12:])
        wait_until("all are counted", lambda: self.node.status()["malformed"] == before + len(bad))

    def test_rules_are_read_again_and_bad_ones_refused(self):
        self.node.set_rules("drop tcp 4242\n")
        wait_until("the new rule is there", lambda: "4242" in str(self.node.status()["rules"]))
        self.node.set_rules("drop everything\n")
        wait_until("the bad file is refused",
                   lambda: "'everything' is no protocol" in self.node.daemon.output())
        self.assertIn("4242", str(self.node.status()["rules"]))
        self.node.set_rules("drop tcp 8080\n")
        wait_until("the old rule is back", lambda: "8080" in str(self.node.status()["rules"]))

    def test_interface_that_is_not_there(self):
        done = subprocess.run([program("weir-example-service"), "--interface", "nowhere0"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("interface: 'nowhere0': No such device", done.stderr)


class SdkDecrementTest(unittest.TestCase):
    def test_index_goes_down_by_one(self):
        with Lab() as lab:
            proxy, space = lab.namespace("proxy"), lab.namespace("n1")
            lab.cable(proxy, "p0", space, "eth0")
            proxy.up("p0", 2000)
            space.up("eth0", 2000)
            ExampleNode(lab, space, decrement_si=True)
            with RawPort(proxy, "p0") as wire:
                wire.send(node_frame(NODE, PROXY, Nsh(PATH), guest_frame()))
                answer = wire.expect("answer", lambda f: f.ethertype == ETH_NSH)
            self.assertEqual(decode_nsh(answer.packet), (Nsh(changed(PATH, si=1)), guest_frame()))


if __name__ == "__main__":
    unittest.main()
