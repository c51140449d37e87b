"""An intrusion detection service on Vectorscan (sdk/ids) in the place of an aware node."""
import json
import signal

from .build import program
from .example_node import ExampleNode
from .lab import Lab
from .wait import wait_until


class IdsNode:
    """Takes over the interface of `instead`, which ends."""

    def __init__(self, lab: Lab, instead: ExampleNode, signatures: str):
        self.space = instead.space
        base = lab.folder / f"{self.space.name}-ids"
        self.signatures_path = base.with_suffix(".signatures")
        self.alerts_path = base.with_suffix(".alerts")
        self.status_path = base.with_suffix(".status")
        self.signatures_path.write_text(signatures)
        instead.daemon.stop()
        self.daemon = lab.start(f"ids-{self.space.name}", [
            program("weir-ids"), "--interface", "eth0", "--signatures", str(self.signatures_path),
            "--alerts", str(self.alerts_path), "--status", str(self.status_path)], self.space)

        def ready() -> bool:
            self.daemon.must_run()
            return self.status_path.exists()
        wait_until(f"{self.space.name} inspects", ready)

    def set_signatures(self, text: str) -> None:
        """They hold when this returns."""
        compiled = self.status()["compiled"]
        self.signatures_path.write_text(text)
        self.daemon.signal(signal.SIGHUP)
        wait_until("the signatures are compiled", lambda: self.status()["compiled"] > compiled)

    def status(self) -> dict:
        """Counters, at most a moment old."""
        return json.loads(self.status_path.read_text())

    def alerts(self) -> list[dict]:
        if not self.alerts_path.exists():
            return []
        return [json.loads(line) for line in self.alerts_path.read_text().split("\n")[:-1]]
