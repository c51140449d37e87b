"""The set-up of examples/two-hosts.yaml: everything around Weir that the file takes for granted.

                 management bridge
        ctl ──────┬──────────────┬─────
                  h1             h2          one weir-host each
            g1 ─┐ │ ┌─ g3   g2 ─┐│┌─ n2      g1, g3: TAP; all others veth and af_packet
                └─┤ ├─ n1       └┤├─ n2
                  └── underlay ──┘           a bridge, IPv4
"""
from dataclasses import dataclass

from .build import SOURCE
from .bump import BumpInTheWire
from .example_node import ExampleNode
from .guest import Guest
from .lab import Lab
from .namespace import Namespace
from .wait import wait_until

EXAMPLE = SOURCE / "examples" / "two-hosts.yaml"
WIRE_MTU = 2000  # of everything that carries more than a guest's frame
TUNNEL_ADDRESS = {"h1": "10.0.0.1", "h2": "10.0.0.2"}
MANAGEMENT = {"ctl": "172.31.0.1", "h1": "172.31.0.11", "h2": "172.31.0.12"}
WEB = ("192.168.10.1", "fd00:10::1")
APP = ("192.168.20.1", "fd00:20::1")


@dataclass
class TwoHosts:
    """Namespaces, wires, guests and nodes; Weir itself is not started here."""
    lab: Lab
    ctl: Namespace
    under: Namespace
    hosts: dict[str, Namespace]
    g1: Guest
    g2: Guest
    g3: Guest
    n1: ExampleNode
    n2: BumpInTheWire

    @property
    def guests(self) -> list[Guest]:
        return [self.g1, self.g2, self.g3]

    def connect_taps(self) -> None:
        """Weir has made the TAPs of g1 and g3 on h1: gives them to the guests."""
        for guest in (self.g1, self.g3):
            host = self.hosts["h1"]
            wait_until(f"Weir makes the TAP of {guest.name}",
                       lambda: guest.interface in host.links(), timeout_s=30)
            host.ip("link", "set", guest.interface, "netns", guest.space.full)
            guest.configure()


def _switch(lab: Lab, name: str, plugs: dict[str, tuple[Namespace, str]], mtu: int) -> Namespace:
    """A namespace with a bridge; `plugs`: port name → the far end."""
    space = lab.namespace(name)
    for port, (far, interface) in plugs.items():
        lab.cable(space, port, far, interface)
    space.bridge("br0", *plugs, mtu=mtu)
    return space


def _host(host: Namespace) -> None:
    """A host's own side: management has an address, the underlay is Weir's alone."""
    host.up("mgmt0")
    host.address("mgmt0", f"{MANAGEMENT[host.name]}/24")
    host.no_kernel_addresses("under0")
    host.up("under0", WIRE_MTU)


def _plug(lab: Lab, host: Namespace, port: str, space: Namespace, interface: str, mtu: int) -> None:
    """A port of Weir on `host`, whose far end stands in `space`."""
    lab.cable(host, port, space, interface)
    host.no_kernel_addresses(port)
    host.up(port, mtu)
    space.offloads_off(interface)
    space.up(interface, mtu)


def build(lab: Lab, every_packet: bool = False) -> TwoHosts:
    ctl, h1, h2 = (lab.namespace(n) for n in ("ctl", "h1", "h2"))
    _switch(lab, "mgmt", {"ctl": (ctl, "mgmt0"), "h1": (h1, "mgmt0"), "h2": (h2, "mgmt0")}, 1500)
    under = _switch(lab, "under", {"h1": (h1, "under0"), "h2": (h2, "under0")}, WIRE_MTU)
    ctl.up("mgmt0")
    ctl.address("mgmt0", f"{MANAGEMENT['ctl']}/24")
    _host(h1)
    _host(h2)

    g1 = Guest(lab, lab.namespace("g1"), "g1", "02:00:00:00:10:11",
               ("192.168.10.11/24", "fd00:10::11/64"), WEB)
    g2 = Guest(lab, lab.namespace("g2"), "eth0", "02:00:00:00:10:12",
               ("192.168.10.12/24", "fd00:10::12/64"), WEB)
    g3 = Guest(lab, lab.namespace("g3"), "g3", "02:00:00:00:20:13",
               ("192.168.20.13/24", "fd00:20::13/64"), APP)
    _plug(lab, h2, "port-g2", g2.space, "eth0", 1500)
    g2.configure()

    n1_space, n2_space = lab.namespace("n1"), lab.namespace("n2")
    _plug(lab, h1, "port-n1", n1_space, "eth0", WIRE_MTU)
    n1_space.no_kernel_addresses("eth0")
    n1_space.up("eth0", WIRE_MTU, "02:00:00:00:90:01")
    _plug(lab, h2, "port-n2-left", n2_space, "left", WIRE_MTU)
    _plug(lab, h2, "port-n2-right", n2_space, "right", WIRE_MTU)
    return TwoHosts(lab, ctl, under, {"h1": h1, "h2": h2}, g1, g2, g3,
                    ExampleNode(lab, n1_space, every_packet=every_packet),
                    BumpInTheWire(n2_space, mtu=WIRE_MTU))
