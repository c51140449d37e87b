"""The service-metadata-aware node of the lab: the SDK's example service in a namespace."""
import json
import signal

from .build import program
from .lab import Lab
from .namespace import Namespace
from .wait import wait_until


class ExampleNode:
    """`interface` already stands in the namespace."""

    def __init__(self, lab: Lab, space: Namespace, interface: str = "eth0", rules: str = "",
                 every_packet: bool = False, decrement_si: bool = False):
        self.lab, self.space = lab, space
        base = lab.folder / space.name
        self.rules_path, self.log_path = base.with_suffix(".rules"), base.with_suffix(".visits")
        self.status_path = base.with_suffix(".status")
        self.rules_path.write_text(rules)
        self._command = [program("weir-example-service"), "--interface", interface,
                         "--rules", str(self.rules_path), "--log", str(self.log_path),
                         "--status", str(self.status_path)]
        self._command += ["--every-packet"] * every_packet + ["--decrement-si"] * decrement_si
        self.start()

    def translate(self, inside: str, outside: str) -> None:
        """From now on `inside` leaves as `outside`: the program starts anew."""
        self.daemon.stop()
        self._command += ["--nat", f"{inside}={outside}"]
        self.start()

    def start(self) -> None:
        self.status_path.unlink(missing_ok=True)
        self.daemon = self.lab.start(f"service-{self.space.name}", self._command, self.space)

        def ready() -> bool:
            self.daemon.must_run()
            return self.status_path.exists()
        wait_until(f"{self.space.name} serves", ready)

    def hang(self) -> None:
        self.daemon.signal(signal.SIGSTOP)

    def recover(self) -> None:
        self.daemon.signal(signal.SIGCONT)

    def set_rules(self, rules: str) -> None:
        self.rules_path.write_text(rules)
        self.daemon.signal(signal.SIGHUP)

    def status(self) -> dict:
        """Counters, at most a moment old."""
        return json.loads(self.status_path.read_text())

    def visits(self) -> list[dict]:
        """One per direction of a flow (or per packet): sci, spi, si, d, tuple, verdict, …"""
        if not self.log_path.exists():
            return []
        lines = self.log_path.read_text().split("\n")
        return [json.loads(line) for line in lines[:-1]]
