#!/usr/bin/python3
"""A real virtual machine moves to another host while it talks through a service chain."""
import json
import socket
import sys
import threading
import unittest

from spec.case import Scenario
from weirlab import machine
from weirlab.build import SOURCE
from weirlab.process import CommandFailed
from weirlab.t0 import SVNI, TEP, VNI
from weirlab.wait import stays, wait_until

SKIPPED = 77  # what CTest is told; see CMakeLists.txt
PORT = 80
MOVER = SOURCE / "examples" / "qemu-move"
URI = "tcp:172.31.0.14:4444"  # h4 on the management network
LONGEST_FREEZE_MS = 15_000    # emulated, on two processors that others use too


class Echo:
    """Takes one connection, wants numbered lines in order, and sends them back."""

    def __init__(self, guest):
        self.lines = 0
        self.wrong: list[str] = []
        self.connections = 0
        self.client_port = 0
        self._listener = guest.space.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("", PORT))
        self._listener.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            taken, (_, self.client_port) = self._listener.accept()
            self.connections += 1
            try:
                self._echo(taken)
                self.wrong.append("closed by the other end")
            except OSError as error:
                self.wrong.append(str(error))

    def _echo(self, taken: socket.socket) -> None:
        rest, number = b"", 0
        while data := taken.recv(4096):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                number += 1
                if line != b"line %d" % number:
                    self.wrong.append(f"{line!r} is not line {number}")
            self.lines += len(lines)
            taken.sendall(b"".join(line + b"\n" for line in lines))


class VirtualMachine(Scenario):
    """g1 runs in QEMU on h1 and moves to h4; c2 has one aware node, n1 on h3."""
    nodes = ("n1",)
    machines = ("g1",)
    every_packet = False

    @classmethod
    def prepare(cls):
        cls.t0.redirect("g1", "g2", chain="c2")
        cls.echo = Echo(cls.g2)
        cls.start_machine("h1")
        cls.g1.wait_up("h1")
        wait_until("it talks", lambda: cls.echo.lines > 50, 60)

    @classmethod
    def start_machine(cls, host: str, incoming: bool = False) -> None:
        fabric = cls.t0.fabric
        cls.g1.start(fabric.hosts[host], fabric.sockets_of(host), cls.g2.ip4, PORT, incoming)

    def mover(self, step: str, *hosts: str) -> str:
        return " ".join([str(MOVER), step, *(self.g1.monitor(host) for host in hosts)])

    def migrate(self, when_frozen: str) -> dict:
        return json.loads(self.weir.command(
            "-o", "json", "migrate", "port", "g1", "--to", "h4", "--timeout", "60s",
            "--before-freeze", f"{self.mover('copy', 'h1', 'h4')} {URI}",
            "--when-frozen", when_frozen))

    def paths(self) -> set[tuple[int, int]]:
        """SPI and SCI of what the connection has on the service segment now."""
        return {(leg.smd.spi, leg.smd.sci) for leg in self.under.legs() if leg.smd and
                self.echo.client_port in (leg.inner.src_port, leg.inner.dst_port)}

    def ways(self) -> set[tuple[str, str, int]]:
        """From where to where its packets go."""
        legs = [leg for key in ("src_port", "dst_port")
                for leg in self.under.legs(**{key: self.echo.client_port})]
        return set(self.hops(legs))

    def must_go_on(self, host: str, lines: int = 50) -> None:
        here, there = self.echo.lines, self.g1.echoed(host)
        wait_until("the connection goes on, both ways", lambda: self.echo.wrong or (
            self.echo.lines >= here + lines and self.g1.echoed(host) >= there + lines), 60)
        self.assertEqual((self.echo.wrong, self.g1.complaints()), ([], []))
        self.assertEqual(self.echo.connections, 1)

    def decision(self, host: str) -> dict:
        """What its record says of services; a handle is a host's own (MB-3)."""
        rows = [row for row in self.weir.flows(host, port="g1")
                if row["src_port"] == self.echo.client_port]
        self.assertEqual(len(rows), 1)
        return {key: value for key, value in rows[0]["insertion"].items() if key != "handle"}

    def test_its_connection_goes_on(self):
        self.under.clear()
        self.must_go_on("h1")
        before, path = self.decision("h1"), self.paths()
        self.assertEqual(len(path), 1)
        pinger = self.lab.start("ping", ["ping", "-n", "-i", "0.2", self.g1.ip4], self.g3.space)
        # A move that fails at its last step: the machine goes on where it was.
        self.start_machine("h4", incoming=True)
        with self.assertRaises(CommandFailed) as caught:
            self.migrate(f"{self.mover('cancel', 'h1')}; exit 7")
        self.assertIn("--when-frozen ended with status 7", caught.exception.output)
        self.must_go_on("h1")
        self.g1.lives["h4"].stop()
        # And one that does not.
        self.start_machine("h4", incoming=True)
        refused = self.weir.drops().get("flow.out_of_state", 0)
        told = self.lab.folder / "switch"
        done = self.migrate(f"{self.mover('switch', 'h1', 'h4')} >{told}")
        self.g1.lives["h1"].stop()
        self.must_go_on("h4")
        self.under.clear()
        self.must_go_on("h4")
        print(f"frozen for {done['freeze_ms']:.0f} ms; {done['flows']} flows and {done['bytes']} "
              f"bytes in {done['passes']} passes; {told.read_text().strip()}")
        self.assertLess(done["freeze_ms"], LONGEST_FREEZE_MS)
        self.assertEqual(self.decision("h4"), before)
        self.assertEqual(self.paths(), path, "SPI and SCI of its packets")
        self.assertEqual(self.ways(), {
            ("h4", "h3", SVNI), ("h3", "h4", SVNI), ("h4", "h2", VNI), ("h2", "h4", VNI)})
        self.assertEqual(self.weir.drops().get("flow.out_of_state", 0), refused)
        self.assertEqual(self.weir.get("port", "g1")["host"], "h4")
        self.pings_go_on(pinger)
        self.without_its_flows_it_does_not_go_on()

    def pings_go_on(self, pinger) -> None:
        """g3, on the host that it left, still finds it."""
        def answers() -> int:
            return pinger.output().count("bytes from")
        count = answers()
        wait_until("pings are answered", lambda: answers() >= count + 10, 30)
        pinger.stop()

    def without_its_flows_it_does_not_go_on(self) -> None:
        self.weir.command("flush", "g1")
        wait_until("its packets are refused",
                   lambda: self.weir.drops("h4").get("flow.out_of_state", 0) > 0, 30)
        lines = self.echo.lines
        stays("nothing more arrives", lambda: self.echo.lines <= lines + 1, 3)


def main() -> int:
    if why := machine.missing():
        print(f"skipped: {why}")
        return SKIPPED
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(VirtualMachine)
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
