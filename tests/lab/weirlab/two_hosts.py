"""What examples/two-hosts.yaml takes for granted."""
from pathlib import Path

from .build import SOURCE
from .fabric import Fabric
from .lab import Lab

EXAMPLE = SOURCE / "examples" / "two-hosts.yaml"
WEB = ("192.168.10.1", "fd00:10::1")  # the router's addresses in the segments
APP = ("192.168.20.1", "fd00:20::1")


class TwoHosts(Fabric):
    """g2 is behind a veth pair, or with `vhost` behind a vhost-user port: see intent()."""

    def __init__(self, lab: Lab, every_packet: bool = False, vhost: bool = False):
        super().__init__(lab)
        self.g1 = self.tap_guest("g1", "h1", "02:00:00:00:10:11",
                                 ("192.168.10.11/24", "fd00:10::11/64"), WEB)
        self.vhost = vhost
        g2 = ("02:00:00:00:10:12", ("192.168.10.12/24", "fd00:10::12/64"), WEB)
        self.g2 = self.vhost_guest("g2", *g2) if vhost else self.veth_guest("g2", "h2", *g2)
        self.g3 = self.tap_guest("g3", "h1", "02:00:00:00:20:13",
                                 ("192.168.20.13/24", "fd00:20::13/64"), APP)
        self.n1 = self.aware_node("n1", "h1", "02:00:00:00:90:01", every_packet=every_packet)
        self.n2 = self.l2_node("n2", "h2")

    def intent(self) -> Path:
        """The example, with g2's device as it is here."""
        if not self.vhost:
            return EXAMPLE
        veth, text = "{type: af_packet, interface: port-g2}", EXAMPLE.read_text()
        assert veth in text
        path = self.lab.folder / "intent.yaml"
        socket = self.vhost_socket("g2")
        path.write_text(text.replace(veth, f"{{type: vhost_user, path: {socket}}}"))
        return path
