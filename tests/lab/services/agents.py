"""Orders that a node without service metadata gives by its local socket (spec §6.3)."""
import json
import os
import subprocess
import time
from pathlib import Path

from spec.case import Scenario
from weirlab.build import SOURCE
from weirlab.wait import wait_until

from .ids import Talk

NOBODY = 65534
_SET = "add set inet weir_node suspects { type ipv4_addr . inet_service . ipv4_addr . " \
       "inet_service; flags dynamic; }\n" \
       "insert rule inet weir_node forward tcp dport 80 update @suspects " \
       "{ ip saddr . tcp sport . ip daddr . tcp dport }\n"


class Agents(Scenario):
    """n2 is a bridge with nftables; its agent is a shell script."""

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.bump = cls.t0.fabric.bumps["n2"]
        cls.bump.space.run(["nft", "-f", "-"], text_in=_SET)
        cls.t0.redirect("g1", "g2")
        cls.socket = Path(cls.weir.run_dir("h4"), "agents", "n2.sock")
        wait_until("the node has its socket", cls.socket.exists)

    def curl(self, body: str, uid: int = 0) -> tuple[int, dict]:
        """(HTTP status, what it said); status 0: no connection."""
        done = subprocess.run(
            ["curl", "-sS", "--unix-socket", str(self.socket), "-w", "%{http_code}", "-d", body,
             "http://node/v1/order"], capture_output=True, text=True, timeout=30,
            user=uid, group=uid)
        status = int(done.stdout[-3:] or 0)
        return status, json.loads(done.stdout[:-3]) if status else {}

    def order(self, order: str, flow: str, **more: object) -> tuple[int, dict]:
        return self.curl(json.dumps({"order": order, "flow": flow, **more}))

    def flow_of(self, talk: Talk) -> str:
        port = talk.socket.getsockname()[1]
        return f"tcp {self.g1.ip4}:{port} > {self.g2.ip4}:80"

    def fates(self) -> dict[tuple[str, str], int]:
        """(order, result) → orders of n2."""
        return {(key[2], key[3]): value for key, value in self.weir.counters(["h4"]).items()
                if key[0] == "weir_service_node_orders_total" and key[1] == "n2"}

    def put_node(self, **fields: object) -> None:
        self.weir.put({"kind": "service-node", **self.weir.get("service-node", "n2"), **fields})
        self.weir.wait()

    def test_a_shell_script_ends_a_flow_at_its_anchor(self):
        before = self.weir.drops("h1").get("VERDICT_DROP", 0)
        with Talk(self.g1, self.g2.ip4) as talk:
            self.assertTrue(talk.answered())
            self.assertTrue(talk.answered(), "as long as nobody orders anything")
            told = self.bump.space.run([str(SOURCE / "examples" / "nftables-agent"),
                                        str(self.socket), "weir_node", "suspects"])
            self.assertIn(f"200 {self.flow_of(talk)} {{\"result\":\"sent\"}}", told)
            wait_until("the anchor has the order", lambda: [
                row for row in self.weir.ask("h1", "orders.flow-prog")
                if (row["issuer"], row["order"]) == (2, "flow_drop")])
            self.assertFalse(talk.answered(timeout_s=2))
            self.assertGreater(self.weir.drops("h1").get("VERDICT_DROP", 0), before)
            status, said = self.order("restore", self.flow_of(talk))
            self.assertEqual((status, said), (200, {"result": "sent"}))
            self.assertTrue(talk.hears(20), "what TCP repeats arrives")
        self.assertGreaterEqual(self.fates()["flow_drop", "sent"], 1)

    def test_node_skip_leaves_the_node_out(self):
        with Talk(self.g1, self.g2.ip4) as talk:
            self.assertTrue(talk.answered())
            # Named the other way round: what the node saw of the answers.
            there, back = self.flow_of(talk).removeprefix("tcp ").split(" > ")
            self.assertEqual(self.order("node_skip", f"tcp {back} > {there}"),
                             (200, {"result": "sent"}))
            wait_until("the anchor has the order", lambda: [
                row for row in self.weir.ask("h1", "orders.flow-prog")
                if row["order"] == "node_skip"])
            with self.t0.bump_side("n2", "left") as left:
                self.assertTrue(talk.answered())
                self.assertFalse([f for f in left.drain()
                                  if f.src_port == talk.socket.getsockname()[1]])

    def test_what_is_refused_and_why(self):
        with Talk(self.g1, self.g2.ip4) as talk:
            self.assertTrue(talk.answered())
            flow = self.flow_of(talk)
            self.assertEqual(self.order("chain_change", flow, parameter=2),
                             (403, {"result": "not_privileged"}))
            self.assertEqual(self.order("path_change", flow), (403, {"result": "not_privileged"}))
            for body, status, why in (
                    ("no JSON", 400, ""), ("[]", 400, "an object"),
                    (json.dumps({"order": "burn", "flow": flow}), 400, "order: flow_allow"),
                    (json.dumps({"order": "flow_drop", "flow": "tcp"}), 400, "flow: not like"),
                    (json.dumps({"order": "flow_drop", "flow": flow, "scope": "up"}), 400,
                     "scope: both"),
                    (json.dumps({"order": "flow_drop", "flow": flow, "reason": 256}), 400,
                     "reason: 0 to 255"),
                    (json.dumps({"order": "flow_drop", "flow": flow, "tenant": 5002}), 404,
                     "not in the node"),
                    (json.dumps({"order": "flow_drop", "flow": "tcp 1.2.3.4:5 > 6.7.8.9:80"}), 404,
                     "not in the node"),
                    # It speaks for its own node whatever it says.
                    (json.dumps({"order": "flow_drop", "flow": "tcp 1.2.3.4:5 > 6.7.8.9:80",
                                 "node": "n6", "what": "flush-flows"}), 404, "not in the node")):
                got, said = self.curl(body)
                self.assertEqual(got, status, f"{body}: {said}")
                self.assertIn(why, said["error"])
            self.assertTrue(talk.answered(), "none of it did anything")
        self.assertGreaterEqual(self.fates()["chain_change", "not_privileged"], 1)
        requests = {key[1]: value for key, value in self.weir.counters(["h4"]).items()
                    if key[0] == "weir_agent_requests_total" and key[2] == "n2"}
        self.assertGreaterEqual(requests["refused"], 2)
        self.assertGreaterEqual(requests["malformed"], 6)
        self.assertGreaterEqual(requests["unknown"], 3)

    def test_too_many_at_once_are_turned_away(self):
        """A hundred at once and a hundred a second are answered; the machine decides how many
        requests come in a second, so they go on until one is turned away."""
        body = json.dumps({"order": "flow_drop", "flow": "tcp 1.2.3.4:5 > 6.7.8.9:80"})
        # A second later all of the hundred are there again for whoever comes next.
        self.addCleanup(time.sleep, 1)
        answered: list[int] = []

        def turned_away() -> bool:
            done = subprocess.run(
                ["curl", "-sS", "--parallel", "--parallel-max", "4", "--unix-socket",
                 str(self.socket), "-o", "/dev/null", "-w", "%{http_code}\n", "-d", body,
                 "http://node/v1/order?[1-400]"],
                capture_output=True, text=True, timeout=120)
            statuses = done.stdout.split()
            self.assertEqual(len(statuses), 400, done.stderr)
            self.assertLessEqual(set(statuses), {"404", "429"})
            answered.append(statuses.count("404"))
            return "429" in statuses
        wait_until("one is turned away", turned_away, 60)
        self.assertGreaterEqual(answered[0], 50, "other tests have had their part")

    def test_only_the_user_that_the_node_names_may_order(self):
        body = json.dumps({"order": "flow_drop", "flow": "tcp 1.2.3.4:5 > 6.7.8.9:80"})
        os.chmod(self.lab.folder, 0o711)
        wait_until("there is room again", lambda: self.curl(body)[0] == 404)
        self.assertEqual(self.curl(body, NOBODY)[0], 0)
        self.put_node(orders_from_uid=NOBODY)
        try:
            wait_until("the socket is somebody's", lambda: self.socket.stat().st_uid == NOBODY)
            self.assertEqual(oct(self.socket.stat().st_mode & 0o777), "0o600")
            wait_until("he is answered", lambda: self.curl(body, NOBODY)[0] == 404)
        finally:
            self.put_node(orders_from_uid=0)
        wait_until("and is not any more", lambda: self.curl(body, NOBODY)[0] == 0)
