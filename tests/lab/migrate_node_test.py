#!/usr/bin/python3
"""`weir migrate node` with a command that moves the machine."""
import json
import unittest
from pathlib import Path

from spec.control import PORT, Stream
from spec.node_mobility import NodeMoving
from weirlab.fabric import WIRE_MTU
from weirlab.process import CommandFailed
from weirlab.wait import wait_until

END = "port-n1"


class Commanded(NodeMoving):
    """An interface of the name is up at the new host from the start: it is not the node's."""

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", protocol="udp", port=PORT)
        cls.source, cls.target = (cls.t0.fabric.hosts[host] for host in ("h3", "h2"))
        cls.target.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        cls.target.ip("link", "add", END, "type", "veth", "peer", "name", "nobody")
        for end in (END, "nobody"):
            cls.target.ip("link", "set", end, "mtu", str(WIRE_MTU), "arp", "off", "up")
        cls.seen = Path(cls.lab.folder, "seen")

    def look(self) -> str:
        """The shell command that writes down where the intent has the node, and its own words."""
        return (f"{self.weir.command_line()} -o json get service-node $WEIR_NODE > {self.seen} && "
                f"echo $WEIR_NODE $WEIR_FROM $WEIR_TO > {self.seen}.words")

    def migrate(self, command: str) -> dict:
        return json.loads(self.weir.command("-o", "json", "migrate", "node", "n1", "--to", "h2",
                                            "--when-frozen", command))

    def host_that_was_seen(self) -> str:
        return json.loads(self.seen.read_text())["host"]

    def goes_on(self, stream: Stream) -> None:
        count = len(stream.received)
        wait_until("traffic goes on", lambda: len(stream.received) > count + 200, 40)

    def test_the_node_has_moved_when_its_machine_has(self):
        stream = Stream(self.g1, self.g2)
        self.goes_on(stream)
        with self.assertRaises(CommandFailed) as failed:
            self.migrate(f"{self.look()} && false")
        self.assertIn("--when-frozen", failed.exception.output)
        self.assertEqual(self.host_that_was_seen(), "h3")
        self.assertEqual(self.weir.get("service-node", "n1")["host"], "h3")
        self.goes_on(stream)
        self.seen.unlink()
        there = self.target.full
        # The machine takes its time: longer than everything else of a move.
        done = self.migrate(f"sleep 2 && {self.look()} && ip -n {there} link del {END} && "
                            f"ip -n {self.source.full} link set {END} netns {there} && "
                            f"ip -n {there} link set {END} arp off up")
        self.assertEqual(done["errors"], [])
        self.assertEqual(self.host_that_was_seen(), "h3", "not before the command has ended")
        words = Path(f"{self.seen}.words").read_text().split()
        self.assertEqual(words, ["n1", "h3", "h2"])
        self.assertEqual(self.weir.get("service-node", "n1")["host"], "h2")
        self.goes_on(stream)
        stream.stop()


if __name__ == "__main__":
    unittest.main()
