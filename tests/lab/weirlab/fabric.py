"""Everything around Weir: hosts with underlay and management, guests, service nodes, wires.

             management bridge
    ctl ───────┬─────────────┬──────
               h1            h2           one weir-host each
         g1 ─┐ │ ┌─ n1  g2 ─┐│┌─ n2       guests and nodes on TAPs or veths
             └─┤ ├──        └┤├──
               └── underlay ─┘            a bridge; its ends at the hosts have no kernel address
"""
from pathlib import Path

from .appliance import Appliance
from .build import program
from .bump import BumpInTheWire
from .example_node import ExampleNode
from .guest import Guest
from .lab import Lab
from .machine import Machine
from .namespace import Namespace
from .process import Daemon
from .raw import RawPort
from .router import Router
from .wait import wait_until

WIRE_MTU = 2000  # of everything that carries more than a guest's frame
MANAGEMENT = "172.31.0."
CONTROLLER = MANAGEMENT + "1"


class Fabric:
    def __init__(self, lab: Lab, hosts: tuple[str, ...] = ("h1", "h2"),
                 underlay_mtu: int = WIRE_MTU):
        self.lab = lab
        self.ctl = lab.namespace("ctl")
        self.hosts = {name: lab.namespace(name) for name in hosts}
        self.management = self._switch("mgmt", "mgmt0", [self.ctl, *self.hosts.values()], 1500)
        self.under = self._switch("under", "under0", list(self.hosts.values()),
                                   underlay_mtu)
        self._address(self.ctl, CONTROLLER)
        for number, host in enumerate(self.hosts.values()):
            self._address(host, f"{MANAGEMENT}{11 + number}")
            host.no_kernel_addresses("under0")
            host.up("under0", underlay_mtu)
        self.guests: dict[str, Guest] = {}
        self.aware: dict[str, ExampleNode] = {}
        self.bumps: dict[str, BumpInTheWire] = {}
        self.routers: dict[str, Router] = {}
        self.appliances: dict[str, Appliance] = {}
        self._taps: list[tuple[Namespace, Guest]] = []
        self._virtio: list[tuple[Daemon, Guest]] = []
        self._own_sockets: dict[str, Path] = {}

    def tap_guest(self, name: str, host: str, mac: str, addresses: tuple[str, ...],
                  gateways: tuple[str, ...] = ()) -> Guest:
        """Its interface has the guest's name, is made by Weir and handed over by connect_taps()."""
        guest = Guest(self.lab, self.lab.namespace(name), name, mac, addresses, gateways)
        self._taps.append((self.hosts[host], guest))
        self.guests[name] = guest
        return guest

    def veth_guest(self, name: str, host: str, mac: str, addresses: tuple[str, ...],
                   gateways: tuple[str, ...] = ()) -> Guest:
        """Its interface is eth0; Weir's end on the host is port-<name>."""
        guest = Guest(self.lab, self.lab.namespace(name), "eth0", mac, addresses, gateways)
        self._plug(host, f"port-{name}", guest.space, "eth0", 1500)
        guest.configure()
        self.guests[name] = guest
        return guest

    def vhost_guest(self, name: str, mac: str, addresses: tuple[str, ...],
                    gateways: tuple[str, ...] = ()) -> Guest:
        """A guest behind virtio-user of DPDK, which waits at vhost_socket(name) for Weir, outlives
        it; connect_taps() gives it its addresses."""
        space = self.lab.namespace(name)
        daemon = self.lab.start(f"{name}-virtio", [program("virtio-guest"),
                                                   self.vhost_socket(name), "eth0", mac], space)
        guest = Guest(self.lab, space, "eth0", mac, addresses, gateways)
        self._virtio.append((daemon, guest))
        self.guests[name] = guest
        return guest

    def vhost_socket(self, name: str) -> str:
        return str(self.lab.folder / f"{name}.sock")

    def machine(self, name: str, mac: str, addresses: tuple[str, ...]) -> Machine:
        """A virtual machine, not yet started; Weir's device is machine_socket(name) on any host.
        Before the hosts are started."""
        for host in self.hosts:
            self.sockets_of(host).mkdir(exist_ok=True)
            self._own_sockets[host] = self.sockets_of(host)
        return Machine(self.lab, name, mac, addresses)

    def machine_socket(self, name: str) -> str:
        """Hosts share this machine's files; this folder each has for itself (as_seen_by)."""
        return str(self.lab.folder / "sockets" / f"{name}.sock")

    def sockets_of(self, host: str) -> Path:
        """Where the host's folder of machines' sockets is for everybody else."""
        return self.lab.folder / f"{host}-sockets"

    def as_seen_by(self, host: str, command: list[str]) -> list[str]:
        if host not in self._own_sockets:
            return command
        shared = self.lab.folder / "sockets"
        shared.mkdir(exist_ok=True)
        script = 'mount --bind "$0" "$1" && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, str(self._own_sockets[host]),
                str(shared), *command]

    def aware_node(self, name: str, host: str, mac: str, **options) -> ExampleNode:
        """Weir's end is port-<name>."""
        space = self.lab.namespace(name)
        self.plug_aware(name, host, mac, space)
        self.aware[name] = ExampleNode(self.lab, space, **options)
        return self.aware[name]

    def plug_aware(self, name: str, host: str, mac: str, space: Namespace) -> None:
        """The cable between the node and port-<name> of its host."""
        self._plug(host, f"port-{name}", space, "eth0", WIRE_MTU)
        space.no_kernel_addresses("eth0")
        space.up("eth0", WIRE_MTU, mac)

    def l2_node(self, name: str, host: str) -> BumpInTheWire:
        space = self.lab.namespace(name)
        for scope in ("all", "default"):  # its kernel says nothing of its own
            space.sysctl(f"net.ipv6.conf.{scope}.disable_ipv6", 1)
        self.plug_l2(name, host, space)
        self.bumps[name] = BumpInTheWire(space, mtu=WIRE_MTU)
        return self.bumps[name]

    def l3_node(self, name: str, host: str, macs: tuple[str, str],
                addresses: tuple[list[str], list[str]],
                gateways: tuple[list[str], list[str]]) -> Router:
        space = self.lab.namespace(name)
        self.plug_l2(name, host, space)
        self.routers[name] = Router(space, macs, addresses, gateways, mtu=WIRE_MTU)
        return self.routers[name]

    def gwlb_node(self, name: str, host: str, mac: str, address: str) -> Appliance:
        """Weir's end is port-<name>."""
        space = self.lab.namespace(name)
        self._plug(host, f"port-{name}", space, "eth0", WIRE_MTU)
        space.up("eth0", WIRE_MTU, mac)
        self.appliances[name] = Appliance(self.lab, space, address)
        return self.appliances[name]

    def plug_l2(self, name: str, host: str, space: Namespace) -> None:
        """Weir's ends are port-<name>-left and port-<name>-right, the node's left and right."""
        for side in ("left", "right"):
            self._plug(host, f"port-{name}-{side}", space, side, WIRE_MTU)

    def connect_taps(self, only: str = "") -> None:
        """Weir has made the TAPs: gives them to their guests."""
        for host, guest in self._taps:
            if only and guest.name != only:
                continue
            wait_until(f"Weir makes the TAP of {guest.name}",
                       lambda: guest.interface in host.links(), timeout_s=30)
            host.ip("link", "set", guest.interface, "netns", guest.space.full)
            guest.configure()
        for daemon, guest in self._virtio:
            wait_until(f"Weir connects to {guest.name}", lambda: "ready" in daemon.output(), 30)
            guest.configure()

    def intruder(self, name: str = "intruder") -> RawPort:
        """Someone with a plug on the underlay."""
        space = self.lab.namespace(name)
        self.lab.cable(self.under, name, space, "eth0")
        space.no_kernel_addresses("eth0")
        space.up("eth0", WIRE_MTU)
        self.under.ip("link", "set", name, "master", "br0")
        self.under.up(name, WIRE_MTU)
        return RawPort(space, "eth0")

    def _switch(self, name: str, interface: str, members: list[Namespace], mtu: int) -> Namespace:
        space = self.lab.namespace(name)
        for member in members:
            self.lab.cable(space, member.name, member, interface)
        space.bridge("br0", *(m.name for m in members), mtu=mtu)
        return space

    def _address(self, space: Namespace, address: str) -> None:
        space.up("mgmt0")
        space.address("mgmt0", f"{address}/24")

    def _plug(self, host: str, port: str, space: Namespace, interface: str, mtu: int) -> None:
        """A port of Weir on `host`, whose far end stands in `space`."""
        here = self.hosts[host]
        self.lab.cable(here, port, space, interface)
        here.no_kernel_addresses(port)
        here.up(port, mtu)
        space.offloads_off(interface)
        space.up(interface, mtu)
