"""Topology T0 of spec service-plane §11, with the nodes a scenario needs."""
from .appliance import HEALTH_PORT
from .example_node import ExampleNode
from .fabric import WIRE_MTU, Fabric
from .guest import Guest
from .lab import Lab
from .machine import Machine
from .namespace import Namespace
from .raw import RawPort
from .underlay import Underlay
from .weir import Weir

TEP = {f"h{n}": f"10.0.0.{n}" for n in range(1, 5)}
GUESTS = {  # name: host, MAC, address
    "g1": ("h1", "02:00:00:00:10:11", "192.168.10.11"),
    "g2": ("h2", "02:00:00:00:10:12", "192.168.10.12"),
    "g3": ("h1", "02:00:00:00:10:13", "192.168.10.13"),
}
NODES = {  # name: id, host, mode, service
    "n1": (1, "h3", "aware", "fw"),
    "n2": (2, "h4", "l2", "ids"),
    "n3": (3, "h1", "aware", "fw"),
    "n4": (4, "h4", "l3", "px"),
    "n6": (6, "h3", "l2", "ids"),
    "n7": (7, "h4", "gwlb", "gw"),
}
APPLIANCE, APPLIANCE_PROXY = "10.9.7.2", "10.9.7.1"
# Where n4 has its two feet, and Weir beside it: left and right, IPv4 and IPv6.
ROUTER = (["10.9.1.2/24", "fd00:9:1::2/64"], ["10.9.2.2/24", "fd00:9:2::2/64"])
ROUTER_GATEWAYS = (["10.9.1.1", "fd00:9:1::1"], ["10.9.2.1", "fd00:9:2::1"])
VNI, SVNI = 5001, 9001


def spmac(host: str) -> str:
    """Service-plane address of a host: 02:5a and its number."""
    return f"02:5a:00:00:00:0{host[1:]}"


def nmac(node: str) -> str:
    """Service-plane address of a node: 02:5c and its number."""
    return f"02:5c:00:00:00:0{NODES[node][0]}"


class T0:
    """`nodes`: which of them there are; paths follow from that. `plane`: more fields of the service
    segment. `machines`: guests that are virtual machines, not started. Nothing is redirected
    yet."""

    def __init__(self, lab: Lab, nodes: tuple[str, ...] = ("n1", "n2"), raw_nodes: bool = False,
                 every_packet: bool = True, plane: dict | None = None,
                 underlay_mtu: int = WIRE_MTU, machines: tuple[str, ...] = ()):
        self.lab = lab
        self.plane = plane or {}
        self.nodes = nodes
        self.fabric = Fabric(lab, tuple(TEP), underlay_mtu)
        self.machines = machines
        self.guests: dict[str, Guest | Machine] = {}
        for name, (host, mac, address) in GUESTS.items():
            addresses = (f"{address}/24", f"fd00:10::{address[-2:]}/64")
            self.guests[name] = self.fabric.machine(name, mac, addresses) if name in machines else \
                self.fabric.veth_guest(name, host, mac, addresses)
        self.raw_nodes: dict[str, tuple[RawPort, RawPort]] = {}
        for name in nodes:
            _, host, mode, _ = NODES[name]
            if mode == "aware":
                self.fabric.aware_node(name, host, self.vnic_mac(name), every_packet=every_packet)
            elif mode == "l3":
                self.fabric.l3_node(name, host, (self.vnic_mac(name, 0), self.vnic_mac(name, 1)),
                                    ROUTER, ROUTER_GATEWAYS)
            elif mode == "gwlb":
                self.fabric.gwlb_node(name, host, self.vnic_mac(name), f"{APPLIANCE}/24")
            elif raw_nodes:
                self.raw_nodes[name] = self._raw_node(name, host)
            else:
                self.fabric.l2_node(name, host)
        self.weir = Weir(self.fabric).start()
        self.weir.put(*self.resources())
        self.weir.wait()
        self.under = Underlay(self.fabric)

    def aware(self, name: str) -> ExampleNode:
        return self.fabric.aware[name]

    def vnic_mac(self, node: str, side: int = 0) -> str:
        return f"02:00:00:00:90:{NODES[node][0]}{side}"

    def at_port(self, name: str) -> RawPort:
        """What a guest sends, taken at Weir's end of its cable."""
        return RawPort(self.fabric.hosts[GUESTS[name][0]], f"port-{name}")

    def at_guest(self, name: str) -> RawPort:
        return RawPort(self.guests[name].space, "eth0")

    def bump_side(self, node: str, side: str) -> RawPort:
        """What a bump in the wire gets on that side."""
        return RawPort(self.fabric.bumps[node].space, side)

    def router_side(self, node: str, side: str) -> RawPort:
        """What a router gets on that side."""
        return RawPort(self.fabric.routers[node].space, side)

    def redirect(self, source: str, target: str, chain: str = "c1", protocol: str = "tcp",
                 port: int = 80, name: str = "redirect", **more: object) -> None:
        """A service rule for flows that `source` opens, realised when this returns."""
        self.weir.put({
            "kind": "service-rule", "name": name, "protocol": protocol, "ports": [str(port)],
            "source_addresses": [f"{GUESTS[source][2]}/32"],
            "destination_addresses": [f"{GUESTS[target][2]}/32"],
            "applied_to_ports": [source], "chain": chain, **more})
        self.weir.wait()

    def set_policy(self, chain: str, policy: str) -> None:
        self.weir.put({"kind": "service-chain", **self.weir.get("service-chain", chain),
                       "failure_policy": policy})
        self.weir.wait()

    def resources(self) -> list[dict]:
        out: list[dict] = [
            {"kind": "host", "name": host, "id": int(host[1:]), "tunnel_address": tep,
             "underlay": {"type": "af_packet", "interface": "under0"}} for host, tep in TEP.items()]
        out += [{"kind": "segment", "name": "guests", "vni": VNI},
                {"kind": "service-segment", "name": "plane", "svni": SVNI,
                 "underlay_trusted": "auth_keys" not in self.plane, **self.plane}]
        for name, (host, mac, address) in GUESTS.items():
            device = {"type": "af_packet", "interface": f"port-{name}"}
            if name in self.machines:
                device = {"type": "vhost_user", "path": self.fabric.machine_socket(name)}
            out.append({"kind": "port", "name": name, "host": host, "segment": "guests", "mac": mac,
                        "addresses": [address, f"fd00:10::{address[-2:]}"], "device": device})
        out += [{"kind": "service", "name": "fw", "transports": ["nsh"], "liveness_support": True},
                {"kind": "service", "name": "ids", "transports": ["l2_bridge"]},
                {"kind": "service", "name": "px", "transports": ["l3_routed"]},
                {"kind": "service", "name": "gw", "transports": ["gwlb_geneve"]}]
        for name in self.nodes:
            out += self._node(name)
        used = {NODES[name][3] for name in self.nodes}
        services = [s for s in ("fw", "ids", "px", "gw") if s in used]
        out += [{"kind": "service-profile", "name": s, "service": s} for s in services]
        if "fw" in services and "ids" in services:
            out.append({"kind": "service-chain", "name": "c1", "sci": 1, "service_segment": "plane",
                        "forward": ["fw", "ids"], "failure_policy": "block"})
        if "fw" in services:
            out.append({"kind": "service-chain", "name": "c2", "sci": 2, "service_segment": "plane",
                        "forward": ["fw"], "failure_policy": "allow"})
        for service, name, sci in (("px", "c4", 4), ("gw", "c7", 7)):
            if service in services:
                out.append({"kind": "service-chain", "name": name, "sci": sci,
                            "service_segment": "plane", "forward": [service],
                            "failure_policy": "block"})
        return out

    def _node(self, name: str) -> list[dict]:
        number, host, mode, service = NODES[name]
        sides = [""] if mode in ("aware", "gwlb") else ["-left", "-right"]
        ports = [{"kind": "port", "name": name + side, "host": host, "service_segment": "plane",
                  "mac": self.vnic_mac(name, i),
                  "device": {"type": "af_packet", "interface": f"port-{name}{side}"}}
                 for i, side in enumerate(sides)]
        more: dict = {}
        if mode == "l3":
            for port, addresses in zip(ports, ROUTER):
                port["addresses"] = [a.split("/")[0] for a in addresses]
            more["proxy_addresses"] = [side[i] for i in (0, 1) for side in ROUTER_GATEWAYS]
        if mode == "gwlb":
            ports[0]["addresses"] = [APPLIANCE]
            more = {"proxy_addresses": [APPLIANCE_PROXY], "health_port": HEALTH_PORT}
        return ports + [{"kind": "service-node", "name": name, "id": number, "service": service,
                         "host": host, "mode": mode, "service_segment": "plane",
                         "vnics": [p["name"] for p in ports], **more}]

    def _raw_node(self, name: str, host: str) -> tuple[RawPort, RawPort]:
        """Two plugs without anything between them: the test is the node."""
        space: Namespace = self.lab.namespace(name)
        self.fabric.plug_l2(name, host, space)
        for side in ("left", "right"):
            space.no_kernel_addresses(side)
        return RawPort(space, "left"), RawPort(space, "right")
