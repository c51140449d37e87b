"""Scenarios 11, 12, 36, 37: what must stay apart, and what must not get in."""
from weirlab.metadata import Smd, changed, option, smd_option, tunnel_frame
from weirlab.raw import (BROADCAST, ETH_NSH, SYN, UDP, RawPort, ethernet, tcp_frame, udp_frame)
from weirlab.t0 import GUESTS, SVNI, TEP, VNI, nmac, spmac
from weirlab.wait import wait_until

from .case import Scenario

G1, G2 = GUESTS["g1"], GUESTS["g2"]


class L2Contexts(Scenario):
    FLOWS = 1000

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=7)

    def test_every_packet_comes_back_to_its_own_flow(self):
        with self.t0.at_guest("g1") as g1, self.t0.at_guest("g2") as g2:
            self.under.clear()
            for number in range(self.FLOWS):
                g1.send(udp_frame(G2[1], G1[1], G1[2], G2[2], 10000 + number, 7, b"%05d" % number))
                if number % 50 == 49:  # not more at once than a socket buffer holds
                    last = 10000 + number
                    g2.expect(f"flow {number}", lambda f: f.src_port == last)
            legs = self.under.legs(proto=UDP, dst_port=7)
        handle = {}
        for leg in legs:
            if leg.smd and leg.sender == "h1":
                handle[leg.inner.src_port] = leg.smd.flow_handle
        self.assertEqual(len(set(handle.values())), self.FLOWS)
        returned = [leg for leg in legs if leg.smd and leg.sender == "h4"]
        self.assertEqual(len(returned), self.FLOWS)
        for leg in returned:
            self.assertEqual(leg.smd.flow_handle, handle[leg.inner.src_port])
            self.assertEqual(leg.inner.vlans, [])
            self.assertEqual(leg.inner.payload, b"%05d" % (leg.inner.src_port - 10000))


class RawSides(Scenario):
    """A node whose sides are in the test's hands: what it gives back is not what it was given."""
    raw_nodes = True

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=7)

    def return_wrongly(self, drop: str, give_back) -> None:
        """give_back(left, right, frame) is dropped for that reason; given back well, it arrives."""
        left, right = self.t0.raw_nodes["n2"]
        packet = udp_frame(G2[1], G1[1], G1[2], G2[2], 10000, 7, b"x")
        with self.t0.at_guest("g1") as g1, self.t0.at_guest("g2") as g2:
            g1.send(packet)
            at_node = left.expect("packet at n2", lambda f: f.dst_port == 7).raw
            give_back(left, right, at_node)
            wait_until("it is dropped", lambda: self.weir.drops("h4").get(drop) == 1)
            right.send(at_node)
            arrived = g2.expect("packet at g2", lambda f: f.dst_port == 7)
            self.assertEqual(arrived.raw, packet)
            self.assertFalse([f for f in g2.drain() if f.dst_port == 7])


class WrongSide(RawSides):
    def test_forward_packet_on_the_left_is_dropped_and_named(self):
        self.return_wrongly("WRONG_SIDE", lambda left, right, frame: left.send(frame))


class LostContext(RawSides):
    """A node that does not keep the tag: nothing else tells whose packet it is."""

    def test_packet_with_another_tag_is_dropped_and_named(self):
        def with_another_tag(left, right, frame: bytes) -> None:
            tag = int.from_bytes(frame[14:16], "big") ^ 1
            right.send(frame[:14] + tag.to_bytes(2, "big") + frame[16:])
        self.return_wrongly("NO_CONTEXT", with_another_tag)


def to_n1(weir) -> Smd:
    """What h3 takes for a packet from g1 on its way to n1."""
    path = next(p for p in weir.ask("h3", "insert.paths") if p["forward"][0]["node"] == "n1")
    hops = len(path["forward"])
    return Smd(sci=path["sci"], spi=path["spi"], path_epoch=path["epoch"], si=hops,
               initial_si=hops, ttl=62, anchor_host=1, tenant_vni=VNI, original_dst=G2[1],
               original_src=G1[1])


class GuestCannotInject(Scenario):
    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2")
        cls.connection(cls())  # the plane works

    maxDiff = None
    # Not the tunnels' own: hosts watch each other on the plane all the time.
    PLANE = ("weir_service_arrivals_total", "weir_service_legs_total",
             "weir_service_node_packets_total")

    def plane_counters(self) -> dict:
        return {key: value for key, value in self.weir.counters().items()
                if key[0] in self.PLANE}

    def settled_counters(self) -> dict:
        """Those of the plane once the last packets of a connection that is over are counted."""
        looks: list[dict] = []

        def settled() -> bool:
            looks.append(self.plane_counters())
            return len(looks) > 2 and looks[-1] == looks[-2] == looks[-3]
        wait_until("the plane is quiet", settled, every_s=0.2)
        return looks[-1]

    def test_nothing_a_guest_sends_is_seen_by_the_service_plane(self):
        inner = tcp_frame(nmac("n1"), nmac("n2"), G1[2], G2[2], 4000, 80, SYN)
        smd = to_n1(self.weir)
        frames = [
            ethernet(G2[1], G1[1], ETH_NSH, bytes(60)),
            ethernet(spmac("h2"), G1[1], 0x0800, bytes(60)),
            udp_frame(spmac("h2"), G1[1], G1[2], G2[2], 5, 5),
            udp_frame(nmac("n1"), G1[1], G1[2], G2[2], 5, 5),
            ethernet(BROADCAST, G1[1], ETH_NSH, bytes(60)),
            tunnel_frame(G2[1], G1[1], G1[2], TEP["h3"], SVNI, inner, smd_option(smd)),
            tunnel_frame(G2[1], G1[1], G1[2], "10.0.0.3", VNI, inner),
        ]
        before = self.settled_counters()
        self.under.clear()
        with self.t0.at_guest("g1") as g1, self.t0.at_guest("g2") as g2:
            for frame in frames:
                g1.send(frame)
            g1.send(udp_frame(G2[1], G1[1], G1[2], G2[2], 9, 4242, b"marker"))
            g2.expect("marker", lambda f: f.dst_port == 4242)
        self.assertEqual(self.plane_counters(), before)
        self.assertTrue(self.under.wait_for(1, dst_port=4242))
        self.assertFalse([leg for leg in self.under.legs() if leg.smd])
        # From the underlay, where hosts speak to each other, the same does move them.
        outside = [self.t0.fabric.hosts[host].links()["under0"]["address"] for host in ("h3", "h4")]
        self.t0.fabric.intruder().send(tunnel_frame(*outside, TEP["h4"], TEP["h3"], SVNI, inner,
                                                    smd_option(smd)))
        wait_until("a host counts it", lambda: self.plane_counters() != before)


class SpoofedMetadata(Scenario):
    """An intruder on the underlay who uses the address of a tunnel endpoint."""

    @classmethod
    def prepare(cls):
        cls.intruder: RawPort = cls.t0.fabric.intruder()
        cls.h3 = cls.t0.fabric.hosts["h3"].links()["under0"]["address"]
        cls.h4 = cls.t0.fabric.hosts["h4"].links()["under0"]["address"]

    GOOD = Smd(spi=1, si=1, sci=1, initial_si=2, ttl=62, anchor_host=1, tenant_vni=VNI,
               original_dst=G2[1], original_src=G1[1])

    EXITS = {"SMD_ON_GUEST_VNI", "NO_SMD", "MULTI_SMD", "decap.bad_geneve", "BAD_SI", "BAD_SMD",
             "TTL_EXPIRED", "UNKNOWN_TEP"}

    def drops(self) -> dict[str, int]:
        return self.weir.drops("h3")

    def inject(self, taken_by: str, options: bytes, vni: int = SVNI, source: str = TEP["h4"],
               **lies) -> None:
        """Sends one packet to h3, where this exit takes it and no other of those that lies have."""
        inner = tcp_frame(nmac("n1"), nmac("n2"), G1[2], G2[2], 4000, 80, SYN)
        before = self.drops()
        self.intruder.send(tunnel_frame(self.h3, self.h4, source, TEP["h3"], vni, inner, options,
                                        **lies))

        def risen() -> set[str]:
            return {name for name, count in self.drops().items() if count > before.get(name, 0)}
        wait_until(f"{taken_by} takes the packet", lambda: taken_by in risen())
        self.assertEqual(risen() & self.EXITS, {taken_by})

    def test_each_lie_has_its_own_exit(self):
        good = smd_option(self.GOOD)
        self.inject("SMD_ON_GUEST_VNI", good, vni=VNI)
        self.inject("NO_SMD", b"")
        self.inject("MULTI_SMD", good + good)
        self.inject("decap.bad_geneve", good, words=63)  # options beyond the packet
        self.inject("decap.bad_geneve", option(0x81, self.GOOD.encode(), words=31))
        self.inject("BAD_SI", smd_option(changed(self.GOOD, si=3)))  # above InitSI
        self.inject("TTL_EXPIRED", smd_option(changed(self.GOOD, ttl=0)))
        self.inject("BAD_SMD", smd_option(changed(self.GOOD, flags={"returning"})))  # SI is 1
        self.inject("UNKNOWN_TEP", good, source="10.0.0.99")
        self.assertEqual(self.t0.aware("n1").visits(), [])
        self.assertTrue(self.weir.hosts["h3"].running())

    def test_without_a_lie_it_is_taken(self):
        inner = tcp_frame(nmac("n1"), nmac("n2"), G1[2], G2[2], 4000, 80, SYN)

        def arrived() -> int:
            return self.weir.counters(["h3"])["weir_service_arrivals_total", "node"]
        before = arrived()
        self.intruder.send(tunnel_frame(self.h3, self.h4, TEP["h4"], TEP["h3"], SVNI, inner,
                                        smd_option(to_n1(self.weir))))
        wait_until("it is for a node of h3", lambda: arrived() == before + 1)
