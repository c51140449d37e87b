#!/usr/bin/python3
"""A controller that is killed while it moves something, and the one that is started after it."""
import unittest

from spec.control import PORT, Stream
from spec.mobility import Moving
from spec.node_mobility import NodeMoving
from weirlab.wait import wait_until


def flows_again(stream: Stream, what: str) -> None:
    count = len(stream.received)
    wait_until(what, lambda: len(stream.received) > count + 200, 40)


class Restart:
    """For scenarios: the record in the store, and what the command makes of it."""

    def outcome(self, name: str) -> dict:
        wait_until(f"the move {name} is over",
                   lambda: self.weir.get("move", name)["outcome"] != "under_way", 60)
        self.assertIn(name, self.weir.command("get", "move"))
        return self.weir.get("move", name)


class FrozenGuest(Restart, Moving):
    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)

    def place(self) -> tuple[str, str]:
        return (self.weir.get("port", "g1")["host"],
                {row["name"]: row["state"] for row in self.weir.ask("h1", "host-ports")}["g1"])

    def status(self) -> dict:
        return self.weir.call("GET", "/v1/moves/g1")

    def test_its_host_thaws_it_and_the_next_controller_says_what_became_of_it(self):
        stream = Stream(self.g1, self.g2)
        flows_again(stream, "traffic flows")
        self.weir.call("POST", "/v1/moves/g1",
                       {"to": "h4", "wait_frozen": True, "patience_ms": 120_000})
        wait_until("the port is frozen or given up",
                   lambda: self.status()["state"] in ("frozen", "failed"), 30)
        self.assertEqual(self.status()["state"], "frozen", self.status())
        self.assertEqual(self.place(), ("h1", "frozen"))
        self.weir.kill_controller()
        flows_again(stream, "the host thaws the port by itself")
        self.weir.start_controller()
        record = self.outcome("port.g1")
        self.assertEqual((record["outcome"], record["from"], record["to"]), ("failed", "h1", "h4"))
        self.assertIn("its controller ended in the middle of the move", record["why"])
        status = self.status()
        self.assertEqual((status["state"], status["over"]), ("failed", True))
        self.assertEqual(self.place(), ("h1", "running"))
        self.weir.wait(30)
        flows_again(stream, "and it stays where it was")
        stream.stop()
        # Nothing of it is left at either host: it may move now.
        done = self.migrate("g1", "h1", "h4")
        self.assertEqual((done["state"], self.weir.get("port", "g1")["host"]), ("done", "h4"))


class CarriedNode(Restart, NodeMoving):
    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)

    def test_the_next_controller_brings_it_to_its_end(self):
        stream = Stream(self.g1, self.g2)
        flows_again(stream, "traffic flows")
        self.begin("n1", "h2", patience_ms=120_000)
        wait_until("all that its host remembers is carried over",
                   lambda: self.weir.get("move", "service-node.n1")["state"] == "carried", 30)
        self.weir.kill_controller()
        self.plug("h3", "h2", ("port-n1",))
        self.weir.start_controller()
        record = self.outcome("service-node.n1")
        self.assertEqual(record["outcome"], "done", record)
        node = self.weir.get("service-node", "n1")
        self.assertEqual((node["host"], node["home"]), ("h2", "h3"))
        flows_again(stream, "traffic goes on")
        wait_until("packets go from h2 to n2", lambda: self.senders_now("10.0.0.4") == {"h2"}, 20,
                   every_s=0.1)
        stream.stop()


if __name__ == "__main__":
    unittest.main()
