"""Scenario 29: control that is forged or replayed."""
from collections import Counter

from weirlab.guest import at
from weirlab.metadata import (AUTH_TYPE, CTRL_TYPE, Smd, auth_option, option, smd_option,
                              tunnel_frame)
from weirlab.raw import RawPort, ethernet
from weirlab.t0 import NODES, SVNI, TEP, spmac
from weirlab.wait import wait_until

from .case import Scenario

SECRET = bytes(range(32))
NODE_DOWN, NODE_SCOPE = 10, 4


class ForgedControl(Scenario):
    """An intruder on the underlay with the address of a node's host says that the node is down."""

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2")
        cls.intruder: RawPort = cls.t0.fabric.intruder()
        cls.mac = {h: cls.t0.fabric.hosts[h].links()["under0"]["address"] for h in TEP}

    def sign_legs(self, **fields: object) -> None:
        self.weir.put({"kind": "service-segment", "name": "plane", "svni": SVNI,
                      "underlay_trusted": not fields, **fields})
        self.weir.wait()

    def message(self, order: int, number: int | None = None, key: bytes = SECRET,
                receiver: int = 1, node: str = "n2") -> bytes:
        """To h1 as the node's host would send it; signed with `number`, or not at all."""
        issuer, host = NODES[node][:2]
        ctrl = bytes([0, NODE_DOWN, NODE_SCOPE, 1]) + bytes(4) + issuer.to_bytes(4) + \
            order.to_bytes(4) + bytes(12)
        smd = Smd(anchor_host=1, ttl=62, flags={"oam", "returning"})
        inner = ethernet(spmac("h1"), spmac(host), 0x88B5, bytes(46))
        options = smd_option(smd)
        if number is not None:
            options += auth_option(key, SVNI, int(host[1:]), receiver, number, smd.encode(), inner,
                                   (ctrl,))
        return tunnel_frame(self.mac["h1"], self.mac[host], TEP[host], TEP["h1"], SVNI, inner,
                            options + option(CTRL_TYPE, ctrl), oam=True)

    def counted(self) -> Counter:
        """Reason → packets of h4 that h1 refused."""
        return Counter({key[2]: value for key, value in self.weir.counters(["h1"]).items()
                        if key[0] == "weir_auth_refused_packets_total" and key[1] == "h4"})

    def refused(self, taken_by: str, why: str, frame: bytes) -> None:
        """Sends it to h1, where this exit takes it, and the other one does not."""
        before = self.weir.drops("h1")
        self.intruder.send(frame)

        def risen() -> set[str]:
            return {name for name, count in self.weir.drops("h1").items()
                    if count > before.get(name, 0)}
        wait_until(f"{taken_by} takes the packet ({why})", lambda: taken_by in risen())
        self.assertEqual(risen() & {"AUTH_FAIL", "REPLAY"}, {taken_by}, why)

    def last_number(self) -> int:
        """Of what h4 sent to h1 last."""
        self.under.clear()
        self.assertTrue(self.g1.fetch(at(self.g2.ip4)).ok)
        signed = [leg.packet.content(AUTH_TYPE) for leg in self.under.legs()
                  if leg.sender == "h4" and leg.receiver_ip == TEP["h1"]]
        self.assertTrue(all(signed), "every leg is signed")
        return max(int.from_bytes(content[2:8]) for content in signed)

    def test_control_is_believed_only_from_who_holds_the_key(self):
        self.sign_legs(auth_keys=[{"id": 1, "secret": SECRET.hex()}])
        wait_until("requests pass", lambda: self.g1.fetch(at(self.g2.ip4), 1.0).ok)
        number = self.last_number() + 200
        before = self.counted()
        self.refused("AUTH_FAIL", "not signed", self.message(1))
        self.refused("AUTH_FAIL", "other key", self.message(1, number, bytes(32)))
        self.refused("AUTH_FAIL", "signed for another host", self.message(1, number, receiver=2))
        self.refused("REPLAY", "a used number", self.message(1, number - 200))
        self.refused("REPLAY", "an old number", self.message(1, number - 2000))
        self.assertEqual(self.weir.node_state("n2"), "up")
        self.assertTrue(self.g1.fetch(at(self.g2.ip4)).ok, "the flow is as it was")
        self.assertEqual(self.counted() - before, {"missing": 1, "bad-mac": 2, "replay": 2})
        # The same bytes with a right signature are believed: it was the signature that was missing.
        self.intruder.send(self.message(2, number))
        wait_until("n2 is down for h1", lambda: self.weir.node_state("n2") == "down")

    def test_without_keys_it_is_believed(self):
        self.sign_legs()
        self.assertEqual(self.weir.node_state("n1"), "up")
        self.intruder.send(self.message(3, node="n1"))
        wait_until("n1 is down for h1", lambda: self.weir.node_state("n1") == "down")

    def test_bursts_are_told_of(self):
        self.sign_legs(auth_keys=[{"id": 1, "secret": SECRET.hex()}])

        def told() -> list[dict]:
            for _ in range(12):
                self.intruder.send(self.message(1))
            return [e for e in self.weir.call("GET", "/v1/events?limit=1000")["items"]
                    if e.get("type") == "auth-failures"]
        event = wait_until("an event tells of it", told)[0]
        self.assertEqual((event["host"], event["from"], event["service_segment"]),
                         ("h1", "h4", "plane"))
