"""Scenarios 25 to 31: what service nodes order, and how anchors obey."""
import socket
import struct

from weirlab.metadata import CTRL_TYPE, OPTION_CLASS, SERVICED_TYPE, option, smd_option, \
    tunnel_frame
from weirlab.raw import UDP, udp_frame
from weirlab.t0 import GUESTS, SVNI, TEP
from weirlab.underlay import Leg
from weirlab.wait import wait_until

from .case import Scenario

G1, G2 = GUESTS["g1"], GUESTS["g2"]
A, B = 10000, 10001  # source ports of two flows


def orders_of(leg: Leg) -> list[bytes]:
    """CTRL options of a leg."""
    return [content for option_class, kind, content in leg.packet.options
            if (option_class, kind) == (OPTION_CLASS, CTRL_TYPE)]


class Orders(Scenario):
    port = 7

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=cls.port)
        # Somebody listens, so that the guest's kernel has nothing to complain about.
        cls.listener = cls.g2.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        cls.listener.bind(("0.0.0.0", cls.port))
        cls.at_g1, cls.at_g2 = cls.t0.at_guest("g1"), cls.t0.at_guest("g2")

    @classmethod
    def tearDownClass(cls):
        cls.at_g1.close()
        cls.at_g2.close()
        cls.listener.close()
        super().tearDownClass()

    def send(self, flow: int, number: int = 0, size: int = 10) -> None:
        payload = (b"%04d" % number).ljust(size, b".")
        self.at_g1.send(udp_frame(G2[1], G1[1], G1[2], G2[2], flow, self.port, payload))

    def answer(self, flow: int) -> None:
        self.at_g2.send(udp_frame(G1[1], G2[1], G2[2], G1[2], self.port, flow, b"answer"))

    def arrives(self, flow: int, number: int = 0) -> None:
        self.at_g2.expect(f"packet {number} of {flow}", lambda f: f.src_port == flow
                          and f.payload.startswith(b"%04d" % number))

    def passes(self, flow: int, number: int = 0) -> None:
        self.send(flow, number)
        self.arrives(flow, number)

    def on_plane(self, flow: int) -> list[Leg]:
        """Legs of the flow's own direction on the service plane."""
        return [leg for leg in self.under.legs(proto=UDP, src_port=flow) if leg.smd]

    def rules(self, node: str, text: str) -> None:
        """The node goes by these rules when this returns."""
        service = self.t0.aware(node)
        service.set_rules(text)
        wanted = [line for line in text.split("\n") if line]
        wait_until(f"{node} has its rules",
                   lambda: [r["rule"] for r in service.status()["rules"]] == wanted)

    def counter(self, *key: str, host: str = "h1") -> int:
        return self.weir.counters([host])[key]

    def applied(self, order: str) -> int:
        return self.counter("weir_orders_applied_total", order)

    def obeyed(self, order: str, count: int = 1) -> None:
        wait_until(f"{order} is carried out", lambda: self.applied(order) == count)

    def dropped_at_anchor(self) -> int:
        return self.weir.drops("h1").get("VERDICT_DROP", 0)

    def nothing_leaves(self, flow: int) -> None:
        """Ten packets of the flow end at h1; the other flow is as before."""
        before = self.dropped_at_anchor()
        self.under.clear()
        for number in range(100, 110):
            self.send(flow, number)
        wait_until("all are dropped", lambda: self.dropped_at_anchor() == before + 10)
        self.passes(B, 99)
        self.assertEqual(self.on_plane(flow), [])
        self.assertEqual(len(self.on_plane(B)), 3)


class FlowDropEmbedded(Orders):
    def test_the_packet_completes_and_later_ones_do_not_leave(self):
        for number in range(1, 5):
            self.passes(A, number)
        self.passes(B)
        self.assertEqual(self.applied("flow_drop"), 0)
        self.rules("n1", f"pass udp {A} order drop")
        self.under.clear()
        self.passes(A, 5)
        self.obeyed("flow_drop")
        legs = {leg.sender: leg for leg in self.on_plane(A)}
        self.assertEqual([len(orders_of(legs[h])) for h in ("h1", "h3", "h4")], [0, 1, 1])
        self.assertEqual(orders_of(legs["h3"]), orders_of(legs["h4"]))
        self.rules("n1", "")
        self.nothing_leaves(A)
        self.assertEqual(self.counter("weir_insertion_results_total", "egress", "g1",
                                      "offloaded_drop"), 10)


class FlowDropAlone(Orders):
    def test_a_message_of_its_own_goes_straight_home(self):
        self.passes(A, 1)
        self.passes(B)
        # Without an order the packet alone is gone.
        self.rules("n1", f"drop udp {A}")
        self.send(A, 2)
        wait_until("n1 dropped it", lambda: self.t0.aware("n1").status()["dropped"] == 1)
        self.rules("n1", "")
        self.passes(A, 3)
        self.rules("n1", f"drop udp {A} order drop")
        self.under.clear()
        self.send(A, 4, size=1000)
        self.obeyed("flow_drop")
        messages = [leg for leg in self.under.legs() if leg.smd and "oam" in leg.smd.flags
                    and leg.smd.flow_handle]
        self.assertEqual([(leg.sender, leg.receiver_ip) for leg in messages], [("h3", TEP["h1"])])
        message = messages[0]
        self.assertEqual(("returning" in message.smd.flags, message.smd.si), (True, 0))
        self.assertEqual(len(orders_of(message)), 1)
        self.assertLessEqual(len(message.packet.inner), 128)
        self.assertEqual([leg.sender for leg in self.on_plane(A)
                          if "oam" not in leg.smd.flags], ["h1"])
        self.rules("n1", "")
        self.nothing_leaves(A)


class NodeSkip(Orders):
    def test_it_is_left_out_in_both_directions(self):
        self.rules("n1", f"pass udp {A} order skip")
        self.passes(A, 1)
        self.obeyed("node_skip")
        self.rules("n1", "")
        seen = len(self.t0.aware("n1").visits())
        self.under.clear()
        for number in range(2, 12):
            self.passes(A, number)
        first = [leg for leg in self.on_plane(A) if leg.sender == "h1"]
        self.assertEqual([(leg.receiver_ip, leg.smd.skip_mask, leg.smd.si) for leg in first],
                         [(TEP["h4"], 1, 1)] * 10)
        with self.t0.bump_side("n2", "right") as n2:
            self.answer(A)
            n2.expect("answer at n2", lambda f: f.src_port == self.port)
            self.at_g1.expect("answer", lambda f: f.payload == b"answer")
        back = [leg for leg in self.under.legs(proto=UDP, src_port=self.port) if leg.smd]
        self.assertEqual([(leg.sender, leg.smd.skip_mask) for leg in back],
                         [("h1", 2), ("h4", 2)])
        self.assertEqual(len(self.t0.aware("n1").visits()), seen)
        self.passes(B)
        self.assertEqual(len(self.t0.aware("n1").visits()), seen + 1)


class AllowPrivilege(Orders):
    def test_it_skips_without_and_exempts_with_the_privilege(self):
        self.rules("n1", f"pass udp {A} order allow\npass udp {B} order allow")
        self.passes(A, 1)
        self.obeyed("node_skip")
        self.assertEqual(self.applied("flow_allow"), 0)
        self.under.clear()
        self.passes(A, 2)
        self.assertEqual([leg.sender for leg in self.on_plane(A)], ["h1", "h4"])
        service = self.weir.get("service", "fw")
        self.weir.put({"kind": "service", **service, "privileges": ["exempt_chain"]})
        self.weir.wait()
        self.passes(B, 1)
        self.obeyed("flow_allow")
        self.under.clear()
        self.passes(B, 2)
        self.assertEqual(self.on_plane(B), [])
        leg = self.under.legs(proto=UDP, src_port=B)[0]
        marks = [content for _, kind, content in leg.packet.options if kind == SERVICED_TYPE]
        self.assertEqual([(m[0], int.from_bytes(m[1:4])) for m in marks], [(2, 1)])
        self.assertEqual(self.counter("weir_service_chain_offloaded_packets_total", "c1",
                                      "allow"), 1)


class ForgedOrders(Orders):
    """An intruder who can send on the underlay, where nothing is signed."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.intruder = cls.t0.fabric.intruder()
        cls.h1 = cls.t0.fabric.hosts["h1"].links()["under0"]["address"]
        cls.h3 = cls.t0.fabric.hosts["h3"].links()["under0"]["address"]

    LIES = {"UNKNOWN_TEP", "ctrl.wrong_flow", "ctrl.not_on_path", "REPLAY"}

    def forge(self, taken_by: str, real: Leg, source: str = TEP["h3"], **fields: int) -> None:
        """The real message with these fields of its order changed: this exit takes it, and no
        other that lies have."""
        at = {"scope": (2, "B"), "issuer": (8, "!I"), "sequence": (12, "!I"), "digest": (24, "!I")}
        order = bytearray(orders_of(real)[0])
        for name, value in fields.items():
            struct.pack_into(at[name][1], order, at[name][0], value)
        before = self.weir.drops("h1")
        self.intruder.send(tunnel_frame(self.h1, self.h3, source, TEP["h1"], SVNI,
                                        real.packet.inner,
                                        smd_option(real.smd) + option(CTRL_TYPE, bytes(order)),
                                        oam=True))

        def risen() -> set[str]:
            return {name for name, count in self.weir.drops("h1").items()
                    if count > before.get(name, 0)}
        wait_until(f"{taken_by} takes the order", lambda: taken_by in risen())
        self.assertEqual(risen() & self.LIES, {taken_by})

    def test_each_lie_has_its_own_counter_and_the_flow_is_unchanged(self):
        self.passes(A, 1)
        # The real thing to forge from: FLOW_DROP for a flow that is not needed any more.
        self.rules("n1", f"drop udp {B} order tag 5")
        self.under.clear()
        self.send(B, 1)
        self.obeyed("set_tag")
        self.rules("n1", "")
        real = next(leg for leg in self.under.legs() if orders_of(leg))
        newer = struct.unpack_from("!I", orders_of(real)[0], 12)[0] + 1000
        self.forge("UNKNOWN_TEP", real, source="10.0.0.99", sequence=newer)
        self.forge("ctrl.wrong_flow", real, sequence=newer, digest=7)
        self.forge("ctrl.not_on_path", real, sequence=newer, issuer=6)
        self.forge("REPLAY", real)
        self.assertEqual(self.applied("set_tag"), 1)
        self.passes(A, 2)
        self.passes(B, 2)
        self.assertEqual(len(self.on_plane(A)), 3)


class LostOrder(Orders):
    def test_it_is_given_again_and_nothing_is_acknowledged(self):
        self.passes(A, 1)
        under = self.t0.fabric.under
        # The underlay loses O packets: a bit in byte 1 of Geneve, behind IPv4 and UDP.
        under.run(["nft", "add", "table", "bridge", "loss"])
        under.run(["nft", "add", "chain", "bridge", "loss", "messages",
                   "{ type filter hook forward priority 0; }"])
        under.run(["nft", "add", "rule", "bridge", "loss", "messages", "ip", "protocol", "udp",
                   "@nh,232,8", "&", "0x80", "==", "0x80", "drop"])
        self.rules("n1", f"drop udp {A} order drop")

        def sent() -> int:
            return self.counter("weir_orders_sent_total", "standalone", host="h3")
        self.send(A, 2)
        wait_until("the order is on its way", lambda: sent() == 1)
        self.assertEqual(self.applied("flow_drop"), 0)
        under.run(["nft", "delete", "table", "bridge", "loss"])
        self.under.clear()

        def given_again() -> bool:  # sooner than after 100 ms it is not repeated
            self.send(A, 3)
            return self.applied("flow_drop") == 1
        wait_until("the order is given again", given_again)
        self.assertEqual(sent(), 2)
        before = self.dropped_at_anchor()
        self.rules("n1", "")
        self.under.clear()
        self.send(A, 4)
        wait_until("the flow is dropped", lambda: self.dropped_at_anchor() == before + 1)
        self.assertEqual([leg for leg in self.under.legs()
                          if leg.receiver_ip == TEP["h3"] and orders_of(leg)], [])


class CopyHop(Orders):
    """The firewall as a tap."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.weir.put({"kind": "service-profile", "name": "fw", "service": "fw", "action": "copy"})
        cls.weir.wait()

    def test_whatever_it_does_the_original_goes_on_but_its_orders_count(self):
        self.under.clear()
        self.passes(A, 1)
        wait_until("the copy comes back", lambda: self.t0.aware("n1").status()["copies"] == 1)
        legs = self.on_plane(A)
        self.assertEqual(sorted((leg.sender, leg.receiver_ip, "copy" in leg.smd.flags)
                                for leg in legs),
                         [("h1", TEP["h3"], True), ("h1", TEP["h4"], False),
                          ("h4", TEP["h1"], False)])
        self.t0.aware("n1").hang()
        for number in range(2, 12):
            self.passes(A, number)
        self.t0.aware("n1").recover()
        wait_until("n1 is up again", lambda: self.weir.node_state("n1") == "up", 20)
        self.passes(B)
        self.rules("n1", f"pass udp {A} order drop")
        self.passes(A, 12)
        self.obeyed("flow_drop")
        self.rules("n1", "")
        before = self.dropped_at_anchor()
        self.send(A, 13)
        wait_until("the flow is dropped", lambda: self.dropped_at_anchor() == before + 1)
        self.passes(B, 14)
