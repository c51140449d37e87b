"""What examples/two-hosts.yaml takes for granted."""
from .build import SOURCE
from .fabric import Fabric
from .lab import Lab

EXAMPLE = SOURCE / "examples" / "two-hosts.yaml"
WEB = ("192.168.10.1", "fd00:10::1")  # the router's addresses in the segments
APP = ("192.168.20.1", "fd00:20::1")


class TwoHosts(Fabric):
    def __init__(self, lab: Lab, every_packet: bool = False):
        super().__init__(lab)
        self.g1 = self.tap_guest("g1", "h1", "02:00:00:00:10:11",
                                 ("192.168.10.11/24", "fd00:10::11/64"), WEB)
        self.g2 = self.veth_guest("g2", "h2", "02:00:00:00:10:12",
                                  ("192.168.10.12/24", "fd00:10::12/64"), WEB)
        self.g3 = self.tap_guest("g3", "h1", "02:00:00:00:20:13",
                                 ("192.168.20.13/24", "fd00:20::13/64"), APP)
        self.n1 = self.aware_node("n1", "h1", "02:00:00:00:90:01", every_packet=every_packet)
        self.n2 = self.l2_node("n2", "h2")
