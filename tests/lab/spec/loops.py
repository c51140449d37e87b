"""Scenario 38: a loop on the service plane ends by its TTL."""
import threading

from weirlab.held import Hold
from weirlab.raw import RawPort, SYN, checksum, ip_bytes, mac_bytes, tcp_frame
from weirlab.t0 import GUESTS, SVNI, TEP, nmac
from weirlab.wait import wait_until

from .case import Scenario

G1, G2 = GUESTS["g1"], GUESTS["g2"]
_IP, _UDP, _GENEVE, _OPTION = 14, 34, 42, 50  # one option, the SMD, is in front
_INDEX = _OPTION + 4 + 7                       # SI: after flags, TTL, InitSI and SPI
_INNER = _OPTION + 4 + 44


class Bend(threading.Thread):
    """A fault of the wire: what h3 sends on to h4 comes back to it as if from there, with the index
    that n1 had counted down put up again."""

    def __init__(self, t0):
        super().__init__(daemon=True)
        self.space = t0.fabric.under
        self.port = RawPort(self.space, "h3")
        self.wanted = True
        self.turned = 0
        self.hold = Hold(self.space, "h3", TEP["h4"])
        self.start()

    def run(self) -> None:
        while self.wanted:
            frame = self.port.receive(0.05)
            if frame and self.hold.takes(frame) and frame.payload[4:7] == SVNI.to_bytes(3):
                self.port.send(self.turn(frame.raw))
                self.turned += 1

    def turn(self, raw: bytes) -> bytes:
        out = bytearray(raw)
        out[:6], out[6:12] = raw[6:12], raw[:6]
        out[_IP + 12:_IP + 20] = ip_bytes(TEP["h4"]) + ip_bytes(TEP["h3"])
        out[_IP + 10:_IP + 12] = b"\0\0"
        out[_IP + 10:_IP + 12] = checksum(bytes(out[_IP:_UDP])).to_bytes(2)
        out[_UDP + 6:_UDP + 8] = b"\0\0"
        out[_INDEX] = 2
        out[_INNER:_INNER + 6] = mac_bytes(nmac("n1"))
        return bytes(out)

    def end(self) -> None:
        self.wanted = False
        self.join()
        self.port.close()
        self.hold.end()


class Loop(Scenario):
    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2")

    def send(self, number: int) -> None:
        with self.t0.at_guest("g1") as g1:
            g1.send(tcp_frame(G2[1], G1[1], G1[2], G2[2], number, 80, SYN, seq=1))

    def visits(self, number: int) -> list[dict]:
        return [v for v in self.t0.aware("n1").visits() if f":{number} >" in v["tuple"]]

    def test_a_packet_that_goes_round_dies_and_the_next_one_arrives(self):
        bend = Bend(self.t0)
        try:
            before = self.weir.drops("h3").get("TTL_EXPIRED", 0)
            self.send(40_001)
            wait_until("its TTL is spent",
                       lambda: self.weir.drops("h3").get("TTL_EXPIRED", 0) == before + 1, 30)
        finally:
            bend.end()
        # The first leg, with TTL 62, came from the anchor; each round is one leg more.
        self.assertEqual(bend.turned, 61)
        self.assertEqual({v["si"] for v in self.visits(40_001)}, {2})
        self.assertLessEqual(len(self.visits(40_001)), 63)
        with self.t0.at_guest("g2") as g2:
            self.send(40_002)
            g2.expect("SYN", lambda f: f.src_port == 40_002)
        self.assertEqual(len(self.visits(40_002)), 1)
        self.assertEqual(self.weir.drops("h3").get("TTL_EXPIRED", 0), before + 1)
