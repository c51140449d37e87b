"""A service node that speaks the encapsulation of AWS Gateway Load Balancers."""
import json
import signal
from pathlib import Path

from .lab import Lab
from .namespace import Namespace
from .wait import wait_until

_PROGRAM = Path(__file__).with_name("appliance_program.py")
HEALTH_PORT = 8443


class Appliance:
    """`eth0` already stands in the namespace; its kernel answers ARP, the program the rest."""

    def __init__(self, lab: Lab, space: Namespace, address: str):
        self.space = space
        self.status_path = lab.folder / f"{space.name}.status"
        space.address("eth0", address)
        self.daemon = lab.start(f"appliance-{space.name}",
                                ["/usr/bin/python3", "-B", str(_PROGRAM), str(HEALTH_PORT),
                                 str(self.status_path)], space)

        def ready() -> bool:
            self.daemon.must_run()
            return self.status_path.exists()
        wait_until(f"{space.name} serves", ready)

    def hang(self) -> None:
        """It serves no more, its health port least of all."""
        self.daemon.signal(signal.SIGSTOP)
        self.space.run(["nft", "add table inet hung; add chain inet hung input "
                                "{ type filter hook input priority 0; policy accept; }; "
                                f"add rule inet hung input tcp dport {HEALTH_PORT} drop"])

    def recover(self) -> None:
        self.space.run(["nft", "delete", "table", "inet", "hung"])
        self.daemon.signal(signal.SIGCONT)

    def status(self) -> dict:
        """What it has seen, at most a quiet moment old."""
        return json.loads(self.status_path.read_text())
