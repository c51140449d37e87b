"""Scenario 35: a service node moves to another host while traffic passes it."""
import time

from weirlab.rest import Refused
from weirlab.t0 import SVNI
from weirlab.wait import SLOWNESS, wait_until

from .case import Scenario
from .control import PORT, Stream

NODE_EVENTS = ("node-down", "node-down-heard")


class NodeMoving(Scenario):
    every_packet = False

    def plug(self, source: str, target: str, ends: tuple[str, ...]) -> None:
        """Carries the cables of a node to another host, as the program that moves it would. What
        this takes is part of what the guests feel."""
        spaces = self.t0.fabric.hosts
        spaces[source].batch(*(f"link set {end} netns {spaces[target].full}" for end in ends))
        spaces[target].batch(*(f"link set {end} arp off up" for end in ends))

    def begin(self, node: str, target: str, **more: object) -> None:
        self.weir.call("POST", f"/v1/node-moves/{node}", {"to": target, **more})

    def status(self, node: str) -> dict:
        return self.weir.call("GET", f"/v1/node-moves/{node}")

    def move(self, node: str, source: str, target: str, ends: tuple[str, ...],
             **more: object) -> dict:
        # For the cables to come.
        self.t0.fabric.hosts[target].sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        self.begin(node, target, **more)
        wait_until("the node is frozen", lambda: self.status(node)["state"] == "frozen" or
                   self.status(node)["over"], 20)
        self.plug(source, target, ends)
        wait_until("the move is over", lambda: self.status(node)["over"], 30)
        return self.status(node)

    def news(self) -> list[str]:
        items = self.weir.call("GET", "/v1/events?limit=1000")["items"]
        return [item["type"] for item in items if item["type"] in NODE_EVENTS]

    def senders_now(self, receiver_ip: str) -> set[str]:
        """Those of packets since the last look."""
        legs = self.under.legs()
        self.under.clear()
        return {leg.sender for leg in legs if leg.smd and
                leg.packet.vni == SVNI and leg.receiver_ip == receiver_ip and
                "oam" not in leg.smd.flags}


class NodeMigration(NodeMoving):
    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)

    def spis(self) -> set[int]:
        return {row["insertion"]["spi"] for row in self.weir.flows("h1", port="g1")}

    def relayed(self, what: str) -> int:
        return self.weir.counters(["h3"])["weir_service_packets_relayed_total", what]

    def test_an_aware_node_moves_under_traffic(self):
        stream = Stream(self.g1, self.g2)
        wait_until("traffic flows", lambda: len(stream.received) > 200, 20)
        before = self.spis()
        started, sent = time.monotonic(), stream.sent
        done = self.move("n1", "h3", "h2", ("port-n1",))
        self.assertEqual(done["errors"], [])
        count = len(stream.received)
        wait_until("traffic goes on", lambda: len(stream.received) > count + 200, 20)
        rate = (stream.sent - sent) / (time.monotonic() - started)
        self.under.clear()
        wait_until("packets go from h2 to n2", lambda: self.senders_now("10.0.0.4") == {"h2"}, 10,
                   every_s=0.2)
        stream.stop()
        lost = stream.sent - len(stream.received)
        print(f"frozen for {done['frozen_ms']:.0f} ms, {lost} of {stream.sent} datagrams lost; "
              f"relayed: {self.relayed('waiting')} that waited, {self.relayed('late')} late; "
              f"dropped: {self.weir.drops()}")
        self.assertLess(done["frozen_ms"], 3000 * SLOWNESS)
        self.assertLess(lost / rate, 3.0 * SLOWNESS, "seconds of traffic")
        self.assertEqual(self.spis(), before, "the path is the same")
        self.assertEqual(self.news(), [], "nobody says that a node is down")
        self.assertGreater(self.relayed("waiting") + self.relayed("late"), 0)
        self.assertEqual(self.weir.counters()["weir_service_chain_path_switch_total", "c1"], 0)
        node = self.weir.get("service-node", "n1")
        self.assertEqual((node["host"], node["home"]), ("h2", "h3"))

    def test_what_cannot_be_is_refused(self):
        for target, words in (("h9", "there is no such host"), ("h4", "is on h4 already")):
            with self.assertRaises(Refused) as refused:
                self.begin("n2", target)
            self.assertIn(words, str(refused.exception))
        # Nobody carries the machine: it goes on where it is.
        self.begin("n2", "h1", patience_ms=300)
        wait_until("the move is given up", lambda: self.status("n2")["over"], 30)
        self.assertIn("did not come up", self.status("n2")["errors"][0]["message"])
        self.assertEqual(self.weir.get("service-node", "n2")["host"], "h4")
        stream = Stream(self.g1, self.g2)
        wait_until("traffic flows", lambda: len(stream.received) > 200, 20)
        stream.stop()
