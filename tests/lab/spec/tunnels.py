"""Scenarios 23 and 24: hosts that cannot be reached, and news that does not reach an anchor."""
import time

from weirlab.metadata import CTRL_TYPE
from weirlab.namespace import Namespace
from weirlab.raw import UDP
from weirlab.t0 import SVNI
from weirlab.wait import stays, wait_until

from .case import Scenario

PORT = 9999
LAB = 3
STALE_PATH, NODE_DOWN = 11, 10


class Cut:
    """Nothing passes between two plugs of the underlay's bridge; one way only if `both` is off."""

    def __init__(self, under: Namespace, source: str, target: str, both: bool = True):
        self.under = under
        ways = [(source, target), (target, source)][:1 + both]
        rules = "\n".join(f'iifname "{a}" oifname "{b}" drop' for a, b in ways)
        under.run(["nft", "-f", "-"], text_in=f"""table bridge cut {{
            chain forward {{
                type filter hook forward priority 0;
                {rules}
            }}
        }}
        """)

    def mend(self) -> None:
        self.under.run(["nft", "delete", "table", "bridge", "cut"])


class HostCrash(Scenario):
    """C2 = [fw], REMOTE: g1's flows go to n1 at h3, n3 at h1 is what is left."""
    nodes = ("n1", "n2", "n3")
    every_packet = False

    @classmethod
    def prepare(cls):
        chain = cls.weir.get("service-chain", "c2")
        cls.weir.put({"kind": "service-chain", **chain, "path_selection": "remote",
                      "failure_policy": "block"})
        for source, target in (("g1", "g2"), ("g2", "g1")):
            cls.t0.redirect(source, target, chain="c2", protocol="udp", port=PORT,
                            name=f"from-{source}")
        wait_until("every tunnel is up", lambda: cls.tunnels("h1") == {
            "h2": "up", "h3": "up", "h4": "up"} and cls.tunnels("h2")["h3"] == "up")

    @classmethod
    def tunnels(cls, host: str) -> dict[str, str]:
        return {row["peer"]: row["state"] for row in cls.weir.ask(host, "bfd.sessions")}

    def send(self, source: str, *ports: int) -> None:
        target = self.g2 if source == "g1" else self.g1
        for port in ports:
            self.t0.guests[source].send_udp(target.ip4, PORT, source_port=port)

    def node_of(self, source: str, port: int) -> str:
        host = "h1" if source == "g1" else "h2"
        nodes = {p["spi"]: p["forward"][0]["node"] for p in self.weir.ask(host, "insert.paths")}
        for flow in self.weir.flows(host, port=source, l4_port=PORT, limit=1000):
            if flow["src_port"] == port:
                return nodes.get(flow["insertion"]["spi"], "none")
        return "no flow"

    def test_0_bfd_travels_as_everything_else_on_the_segment(self):
        """Signed where hosts sign: what is not signed is dropped there, and tunnels were down."""
        self.under.clear()

        def ways() -> set[tuple[str, str]]:
            self.under.legs()
            return {(leg.sender, leg.receiver_ip) for leg in self.under.bfd}
        wait_until("every host has spoken to every other", lambda: len(ways()) == 12, 10)
        self.check_profile(self.under.bfd)
        self.assertEqual({leg.packet.vni for leg in self.under.bfd}, {SVNI})

    def on_n1(self) -> int:
        """A source port of g2 whose flow goes through n1."""
        for port in range(21_000, 21_050):
            self.send("g2", port)
            wait_until("a flow", lambda: self.node_of("g2", port) != "no flow")
            if self.node_of("g2", port) == "n1":
                return port
        raise AssertionError("no flow of g2 goes through n1")

    def leaves_n1(self, port: int) -> float:
        """Seconds until packets of g1's flow take the other node."""
        started = time.monotonic()

        def moved() -> bool:
            self.send("g1", port)
            return self.node_of("g1", port) == "n3"
        wait_until("the flow leaves n1", moved, 3.5 * LAB)
        return time.monotonic() - started

    def test_flows_leave_the_host_that_is_gone_and_no_other(self):
        self.send("g1", 20_000)
        wait_until("the flow is on n1", lambda: self.node_of("g1", 20_000) == "n1")
        self.t0.fabric.under.ip("link", "set", "h3", "down")
        took = self.leaves_n1(20_000)
        print(f"left n1 after {took:.2f} s (bound 3.5 s, lab {3.5 * LAB:g} s)")
        self.assertGreater(took, 1.0, "nothing else than BFD can have noticed")
        self.assertEqual(self.tunnels("h1")["h3"], "down")
        self.assertEqual(self.weir.get("service-node-status", "n1")["state"], "up",
                         "whoever judges n1 itself finds nothing wrong")
        self.t0.fabric.under.ip("link", "set", "h3", "up")
        wait_until("h3 is back", lambda: self.tunnels("h1")["h3"] == "up" and
                   self.tunnels("h2")["h3"] == "up")
        self.send("g1", 20_001)
        wait_until("new flows use n1 again", lambda: self.node_of("g1", 20_001) == "n1")
        self.one_way_is_one_hosts_business()

    def one_way_is_one_hosts_business(self) -> None:
        port = self.on_n1()
        cut = Cut(self.t0.fabric.under, "h1", "h3")
        print(f"left n1 after {self.leaves_n1(20_001):.2f} s")
        self.assertEqual(self.tunnels("h2")["h3"], "up")

        def stayed() -> bool:
            self.send("g2", port)
            return self.node_of("g2", port) == "n1"
        stays("g2's flow is on n1", stayed, 1.0)
        rows = {r["name"]: r for r in self.weir.ask("h2", "insert.chains")}
        self.assertEqual(rows["c2"]["path_switch"], 0)
        cut.mend()


class AnchorHasNotHeard(Scenario):
    """C1 over P11 = (n1, n2) and P13 = (n1, n6). Neither the controller nor h4 reach h1."""
    nodes = ("n1", "n2", "n6")
    every_packet = False
    PORTS = range(20_000, 20_024)

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)

    def send(self) -> None:
        for port in self.PORTS:
            self.g1.send_udp(self.g2.ip4, PORT, source_port=port)

    def orders(self, op: int) -> list[tuple[str, str]]:
        """(from, to) of the control messages of this kind."""
        return [(leg.sender, leg.receiver_ip) for leg in self.under.legs()
                for _, kind, content in leg.packet.options
                if kind == CTRL_TYPE and content[1] == op]

    def arrived(self, port) -> set[int]:
        """Source ports of what came to g2 since the last look."""
        return {f.src_port for f in port.drain() if f.proto == UDP and f.dst_port == PORT}

    def test_the_host_before_the_dead_node_tells_the_anchor(self):
        everything = set(self.PORTS)
        with self.t0.at_guest("g2") as g2:
            got: set[int] = set()

            def all_arrive() -> bool:
                self.send()
                got.update(self.arrived(g2))
                return got >= everything
            wait_until("every flow arrives", all_arrive)
            through_n2 = {leg.inner.src_port for leg in self.under.legs(proto=UDP)
                          if leg.sender == "h4" and leg.packet.vni == 9001}
            self.assertTrue(0 < len(through_n2) < len(everything))
            self.t0.fabric.management.ip("link", "set", "h1", "down")
            cut = Cut(self.t0.fabric.under, "h4", "h1", both=False)
            self.under.clear()
            host = self.weir.hosts["h1"]
            said = len(host.output())
            self.t0.fabric.bumps["n2"].hang()
            started = time.monotonic()
            got.clear()
            wait_until("h4 says that n2 is down", lambda: self.orders(NODE_DOWN), 10)
            wait_until("every flow arrives again", all_arrive, 1.5 * LAB)
            print(f"all flows arrive {time.monotonic() - started:.2f} s after n2 hung")
        told = self.orders(STALE_PATH)
        self.assertEqual(set(told), {("h3", "10.0.0.1")})
        wait_until("h1 tells of it", lambda: "path-stale" in host.output()[said:])
        self.assertNotIn("node-down-heard", host.output()[said:], "h1 was told by nobody else")
        cut.mend()
        self.t0.fabric.management.ip("link", "set", "h1", "up")
        wait_until("h1 is with the controller again",
                   lambda: "h1" in self.weir.connected(), 30)
        self.assertGreaterEqual(self.weir.drops("h3").get("HOP_DOWN", 0), 1)
