"""A legacy service node: a bump in the wire that knows nothing of Weir.

A Linux bridge over two interfaces with stateful nftables rules. The bridge does not learn: a
service chain sends the same MAC address from both sides (initiators on both ends), and a learning
bridge would then throw frames away as already on the right side.
"""
import json

from .namespace import Namespace

# The tags by which a service proxy tells its contexts apart stay on; the rules see what is below.
_BRIDGE_NETFILTER = {
    "net.bridge.bridge-nf-call-iptables": 1,
    "net.bridge.bridge-nf-call-ip6tables": 1,
    "net.bridge.bridge-nf-filter-vlan-tagged": 1,
    # A connection whose start was not seen is nobody's.
    "net.netfilter.nf_conntrack_tcp_loose": 0,
}

RULES = """
table inet weir_node {
    counter established {}
    counter invalid {}
    counter denied_8080 {}
    counter opened {}
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related counter name established accept
        ct state invalid counter name invalid drop
        tcp dport 8080 counter name denied_8080 drop
        tcp flags & (fin|syn|rst|ack) == syn ct state new counter name opened accept
        meta l4proto { udp, icmp, ipv6-icmp } accept
    }
}
"""


class BumpInTheWire:
    """`left` and `right` are interfaces that already stand in the namespace."""

    def __init__(self, space: Namespace, left: str = "left", right: str = "right", mtu: int = 2000):
        self.space = space
        space.bridge("br0", left, right, mtu=mtu)
        for port in (left, right):
            space.run(["bridge", "link", "set", "dev", port, "learning", "off", "flood", "on",
                       "mcast_flood", "on", "bcast_flood", "on"])
            space.offloads_off(port)
        # nftables first: connection tracking brings its sysctls into the namespace.
        space.run(["nft", "-f", "-"], text_in=RULES)
        for name, value in _BRIDGE_NETFILTER.items():
            space.sysctl(name, value)

    def hang(self) -> None:
        """The bridge stops forwarding; the node's interfaces stay up, as with a hung appliance."""
        self.space.down("br0")

    def recover(self) -> None:
        self.space.up("br0")

    def counters(self) -> dict[str, int]:
        """Packets by rule."""
        listed = json.loads(self.space.run(["nft", "-j", "list", "counters"]))["nftables"]
        return {c["counter"]["name"]: c["counter"]["packets"] for c in listed if "counter" in c}

    def connections(self) -> str:
        """What the node's connection tracking holds, for a reader."""
        return self.space.run(["cat", "/proc/net/nf_conntrack"], check=False)
