"""Scenario 10: who counts the service index down, and what happens to a node that lies."""
from weirlab.raw import ETH_NSH, RawPort, mac_bytes, udp_frame
from weirlab.t0 import GUESTS
from weirlab.wait import wait_until

from .case import Scenario

G1, G2 = GUESTS["g1"], GUESTS["g2"]
_PATH_AT, _INDEX_AT = 14 + 4, 14 + 7  # SPI and SI behind Ethernet and the base header


class ServiceIndex(Scenario):
    """n1 answers liveness and drops UDP; the test sends back what it was given, in its name."""
    nodes = ("n1",)

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", chain="c2", protocol="udp", port=7)
        cls.t0.aware("n1").set_rules("drop udp\n")
        cls.number = 20000
        cls.node = RawPort(cls.t0.aware("n1").space, "eth0")

    @classmethod
    def tearDownClass(cls):
        cls.node.close()
        super().tearDownClass()

    def may_decrement(self, may: bool) -> None:
        self.weir.put({"kind": "service", **self.weir.get("service", "fw"),
                       "can_decrement_si": may})
        self.weir.wait()

    def given(self) -> bytes:
        """A new flow's packet as n1 gets it."""
        ServiceIndex.number += 1
        number = self.number
        with self.t0.at_guest("g1") as g1:
            g1.send(udp_frame(G2[1], G1[1], G1[2], G2[2], number, 7, b"x"))
        return self.node.expect("the packet at n1", lambda f: (
            f.ethertype == ETH_NSH and f.dst == self.t0.vnic_mac("n1")
            and number.to_bytes(2) in f.raw)).raw

    def back(self, frame: bytes, decrement: int, path_bit: int = 0) -> None:
        out = bytearray(frame)
        out[:12] = mac_bytes("02:5a:00:00:00:03") + mac_bytes(self.t0.vnic_mac("n1"))
        out[_INDEX_AT] = (out[_INDEX_AT] - decrement) & 0xff
        out[_PATH_AT] ^= path_bit
        self.node.send(bytes(out))

    def assert_arrives(self, decrement: int) -> None:
        with self.t0.at_guest("g2") as g2:
            self.under.clear()
            frame = self.given()
            number = self.number
            self.back(frame, decrement)
            g2.expect("the packet", lambda f: f.src_port == number)
        last = [leg for leg in self.under.legs(src_port=number) if leg.smd][-1]
        self.assertEqual((last.smd.si, last.smd.initial_si), (0, 1))

    def assert_dropped(self, why: str, decrement: int, path_bit: int = 0) -> None:
        before = self.weir.drops("h3").get(why, 0)
        with self.t0.at_guest("g2") as g2:
            frame = self.given()
            self.back(frame, decrement, path_bit)
            wait_until(f"{why} is counted", lambda: self.weir.drops("h3").get(why, 0) == before + 1)
            self.assertFalse([f for f in g2.drain() if f.src_port == self.number])

    def test_without_the_capability_the_proxy_counts(self):
        self.may_decrement(False)
        self.assert_arrives(0)
        self.assert_dropped("BAD_SI", 1)

    def test_with_the_capability_the_node_counts(self):
        self.may_decrement(True)
        self.assert_arrives(1)
        self.assert_dropped("BAD_SI", 0)

    def test_a_lying_node_loses_the_packet(self):
        for may in (False, True):
            self.may_decrement(may)
            self.assert_dropped("BAD_SI", 2)
            self.assert_dropped("IMMUTABLE_TAMPER", int(may), path_bit=1)
