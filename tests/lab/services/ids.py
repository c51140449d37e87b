"""Intrusion detection on Vectorscan: inline, and as a tap."""
import hashlib
import re
import signal
import socket

from spec.case import Scenario
from weirlab.guest import at
from weirlab.ids_node import IdsNode
from weirlab.namespace import entered
from weirlab.wait import settled, wait_until

EVIL = "1001 {action} /GET .evil-[0-9]+x/\n1002 alert /curious/\n"
BAD_PATH = "/evil-42x"


class Talk:
    """A connection to the web server that the test speaks piece by piece."""

    def __init__(self, guest, address: str):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with entered(guest.space.full):
            self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(5)
        self.socket.connect((address, 80))

    def __enter__(self) -> "Talk":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def say(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def answered(self, path: str = "/", timeout_s: float = 5.0) -> bool:
        """Whether one more request on this connection is answered, whatever the answer is."""
        self.say(f"GET {path} HTTP/1.1\r\nHost: g2\r\n\r\n")
        return self.hears(timeout_s)

    def hears(self, timeout_s: float = 5.0) -> bool:
        """Whether a whole answer comes."""
        self.socket.settimeout(timeout_s)
        got = b""
        try:
            while True:
                head, end, body = got.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                if end and length and len(body) >= int(length[1]):
                    return head.startswith(b"HTTP/1.1 ")
                more = self.socket.recv(65536)
                if not more:
                    return False
                got += more
        except (TimeoutError, ConnectionError):
            return False


class Ids(Scenario):
    """Weir's part of the tests: every packet of the chain is the IDS's to see."""
    nodes = ("n1",)
    every_packet = False

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.ids = IdsNode(cls.lab, cls.t0.aware("n1"), EVIL.format(action="drop"))
        cls.set_up_chain()

    @classmethod
    def set_up_chain(cls):
        for address, prefix in ((cls.g2.ip4, 32), (cls.g2.ip6, 128)):
            cls.weir.put({"kind": "service-rule", "name": f"inspected-{prefix}", "protocol": "tcp",
                          "ports": ["80"], "destination_addresses": [f"{address}/{prefix}"],
                          "applied_to_ports": ["g1"], "chain": "c2"})
        cls.weir.wait()

    def setUp(self):
        wait_until("the IDS is up", lambda: self.weir.node_state("n1") == "up", 30)

    def dropped(self) -> int:
        return self.weir.drops("h1").get("VERDICT_DROP", 0)


class Inline(Ids):
    def test_harmless_traffic_passes_whole(self):
        for ip in (self.g2.ip4, self.g2.ip6):
            got = self.g1.fetch(at(ip, path="/file"), timeout_s=30)
            self.assertTrue(got.ok, f"{ip}: {got.error}")
            self.assertEqual(hashlib.sha256(got.body).hexdigest(), self.g2.file_digest)
        wait_until("it has seen both whole", lambda: self.ids.status()["bytes"] > 8 << 20)

    def test_a_flow_that_matches_ends_at_its_anchor_and_no_other_does(self):
        for ip in (self.g2.ip4, self.g2.ip6):
            before, known = self.dropped(), len(self.ids.alerts())
            with Talk(self.g1, ip) as other:
                self.assertTrue(other.answered())
                self.assertFalse(self.g1.fetch(at(ip, path=BAD_PATH), timeout_s=3).ok)
                [alert] = self.ids.alerts()[known:]
                self.assertEqual((alert["signature"], alert["copy"], alert["d"]), (1001, False, 0))
                wait_until("what is sent again is dropped at h1", lambda: self.dropped() > before)
                self.assertTrue(other.answered(), "another flow of the same guests")

    def test_a_pattern_that_is_spread_over_segments_is_found(self):
        with Talk(self.g1, self.g2.ip4) as talk:
            self.assertTrue(talk.answered())
            known = len(self.ids.alerts())
            before = settled("bytes scanned", lambda: self.ids.status()["bytes"])
            talk.say("GET /ev")
            wait_until("the first piece is seen", lambda: self.ids.status()["bytes"] >= before + 7)
            self.assertEqual(len(self.ids.alerts()), known)
            talk.say("il-77x HTTP/1.1\r\nHost: g2\r\n\r\n")
            self.assertFalse(talk.hears(2))
            self.assertEqual(len(self.ids.alerts()), known + 1)

    def test_without_the_signature_the_same_request_is_answered(self):
        self.ids.set_signatures("1002 alert /curious/\n")
        try:
            with Talk(self.g1, self.g2.ip4) as talk:
                self.assertTrue(talk.answered(BAD_PATH))
                self.assertTrue(talk.answered("/curious"), "an alert is no verdict")
                self.assertEqual(self.ids.alerts()[-1]["signature"], 1002)
        finally:
            self.ids.set_signatures(EVIL.format(action="drop"))


class Tap(Ids):
    """It sees copies; the original is at the server when it makes up its mind."""

    @classmethod
    def set_up_chain(cls):
        cls.weir.put({"kind": "service-profile", "name": "fw", "service": "fw", "action": "copy"})
        super().set_up_chain()

    def test_its_order_ends_the_flow_at_the_anchor(self):
        for ip in (self.g2.ip4, self.g2.ip6):
            before, known = self.dropped(), len(self.ids.alerts())
            with Talk(self.g1, ip) as talk, Talk(self.g1, ip) as other:
                self.assertTrue(talk.answered() and other.answered())
                talk.say(f"GET {BAD_PATH} HTTP/1.1\r\nHost: g2\r\n\r\n")
                wait_until("the IDS has seen it", lambda: len(self.ids.alerts()) > known)
                [alert] = self.ids.alerts()[known:]
                self.assertEqual((alert["signature"], alert["copy"]), (1001, True))
                self.ordered()
                talk.say("GET / HTTP/1.1\r\nHost: g2\r\n\r\n")
                wait_until("h1 drops the flow", lambda: self.dropped() > before)
                self.assertTrue(other.answered(), "another flow of the same guests")

    def ordered(self) -> None:
        wait_until("the anchor has the order", lambda: [
            row for row in self.weir.ask("h1", "orders.flow-prog") if row["order"] == "flow_drop"])

    def test_a_tap_that_hangs_delays_nobody(self):
        self.ids.daemon.signal(signal.SIGSTOP)
        try:
            with Talk(self.g1, self.g2.ip4) as talk:
                self.assertTrue(talk.answered(BAD_PATH))
                self.assertTrue(talk.answered())
        finally:
            self.ids.daemon.signal(signal.SIGCONT)

    def test_an_alert_orders_nothing(self):
        self.ids.set_signatures(EVIL.format(action="alert"))
        try:
            with Talk(self.g1, self.g2.ip4) as talk:
                known = len(self.ids.alerts())
                self.assertTrue(talk.answered(BAD_PATH))
                wait_until("the IDS has seen it", lambda: len(self.ids.alerts()) > known)
                self.assertTrue(talk.answered())
        finally:
            self.ids.set_signatures(EVIL.format(action="drop"))
