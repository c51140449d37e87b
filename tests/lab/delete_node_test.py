#!/usr/bin/python3
"""A service node is deleted from the intent while flows use it."""
import json
import socket
import unittest
from pathlib import Path

from spec.case import Scenario
from spec.control import MARK, PORT, Stream
from weirlab.capture import Capture
from weirlab.rest import Refused
from weirlab.wait import wait_until


class DeletedNode(Scenario):
    nodes = ("n1", "n2", "n6")
    every_packet = False
    FLOWS = 64

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)
        cls.receiver = cls.g2.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        cls.receiver.setblocking(False)
        cls.senders = [cls.g1.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
                       for _ in range(cls.FLOWS)]
        for sender in cls.senders:
            sender.connect((cls.g2.ip4, PORT))

    @classmethod
    def tearDownClass(cls):
        for one in (cls.receiver, *cls.senders):
            one.close()
        super().tearDownClass()

    def setUp(self):
        self.arrived: set[bytes] = set()

    def listen(self) -> None:
        self.receiver.bind(("", PORT))

    def send(self, what: bytes) -> None:
        for number, sender in enumerate(self.senders):
            sender.send(MARK + what + number.to_bytes(2))

    def received(self, what: bytes) -> int:
        """How many of these came so far."""
        while True:
            try:
                self.arrived.add(self.receiver.recv(2048))
            except BlockingIOError:
                return sum(packet.startswith(MARK + what) for packet in self.arrived)

    def all_arrive(self, what: bytes, within_s: float = 20) -> None:
        wait_until(f"all of {what.decode()} arrive",
                   lambda: self.received(what) == self.FLOWS, within_s)

    def ports_of_h4(self) -> set[str]:
        return {row["name"] for row in self.weir.ask("h4", "host-ports")}

    def told_to_n2(self) -> list[dict] | None:
        """What it is to do, as its host tells its manager (OBJ-4)."""
        path = Path(self.weir.run_dir("h4"), "nodes", "n2.json")
        return json.loads(path.read_text())["profiles"] if path.exists() else None

    def follows_its_profile(self) -> None:
        def of_c1(profile: str, **attributes: str) -> list[dict]:
            return [{"sci": 1, "direction": direction, "si": si, "profile": profile,
                     "action": "redirect", "attributes": attributes}
                    for direction, si in (("forward", 1), ("reverse", 2))]

        chain = {"kind": "service-chain", **self.weir.get("service-chain", "c1")}
        self.assertEqual(self.told_to_n2(), of_c1("ids"))
        self.weir.put({"kind": "service-profile", "name": "strict", "service": "ids",
                       "attributes": {"mode": "strict"}},
                      {**chain, "forward": ["fw", "strict"]})
        wait_until("the chain's profile", lambda: self.told_to_n2() == of_c1("strict",
                                                                             mode="strict"), 20)
        self.weir.put(chain)
        self.weir.call("DELETE", "/v1/service-profile/strict")
        wait_until("a removed profile goes", lambda: self.told_to_n2() == of_c1("ids"), 20)
        self.weir.wait()

    def delete(self, node: str) -> tuple[str, ...]:
        """As operators do: the node, then its ports. Their names."""
        vnics = tuple(self.weir.get("service-node", node)["vnics"])
        self.weir.call("DELETE", f"/v1/service-node/{node}")
        for vnic in vnics:
            self.weir.call("DELETE", f"/v1/port/{vnic}")
        return vnics

    def test_nothing_is_lost_and_nobody_sends_to_what_is_gone(self):
        before = self.weir.drops()  # bridges that start say things of their own
        n2 = self.t0.fabric.bumps["n2"]
        self.follows_its_profile()
        stream = Stream(self.g1, self.g2)
        wait_until("traffic flows", lambda: len(stream.received) > 1000, 30)
        vnics = self.delete("n2")
        self.weir.wait()
        self.assertLessEqual(set(vnics), self.ports_of_h4(), "for what is inside")
        self.assertEqual(self.weir.get("service-node-leaving", "n2")["phase"], "gone")
        count = len(stream.received)
        wait_until("traffic goes on", lambda: len(stream.received) > count + 1000, 30)
        stream.stop()
        self.assertEqual(sorted(stream.received), list(range(stream.sent)), "nothing is lost")
        switched = self.weir.counters()["weir_service_chain_path_switch_total", "c1"]
        self.assertGreater(switched, 0, "none of the flows was on n2")
        # From now on everything goes over n6.
        seen = Capture(self.lab, n2.space, "left", self.lab.folder / "n2.pcap", "udp")
        self.listen()
        self.send(b"after1")
        self.all_arrive(b"after1")
        self.assertFalse([frame for frame in seen.stop() if b"after1" in frame.raw])
        drops = self.weir.drops()
        for why in ("NO_NEXT_HOP", "WRONG_NODE", "BAD_EPOCH", "NO_CONTEXT", "NO_ACTIVE_PATH"):
            self.assertEqual(drops.get(why, 0), before.get(why, 0), why)
        # Half a minute after the last anchor left it, it is gone with its ports.
        wait_until("its ports are closed", lambda: not set(vnics) & self.ports_of_h4(), 120)
        wait_until("nobody is told of it", lambda: self.told_to_n2() is None, 20)
        self.send(b"after2")
        self.all_arrive(b"after2")
        # The last node of a service cannot be deleted while a chain needs it.
        with self.assertRaises(Refused) as refused:
            self.delete("n6")
        self.assertIn("has no node", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
