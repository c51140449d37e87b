"""A service node that routes: Linux with two interfaces, which knows nothing of Weir.

What comes in on one side leaves on the other, whatever its destination: flows may be opened from
both ends, so that addresses alone do not tell the way. Its only neighbours are Weir's addresses.
"""
from .namespace import Namespace

_SETTINGS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
}


class Router:
    """`left` and `right` are interfaces that already stand in the namespace; gateways and
    addresses are by side, IPv4 and IPv6 each."""

    def __init__(self, space: Namespace, macs: tuple[str, str],
                 addresses: tuple[list[str], list[str]], gateways: tuple[list[str], list[str]],
                 mtu: int = 2000):
        self.space = space
        for name, value in _SETTINGS.items():
            space.sysctl(name, value)
        for side, mac, own in zip(("left", "right"), macs, addresses):
            space.down(side)
            space.up(side, mtu, mac)
            space.offloads_off(side)
            space.sysctl(f"net.ipv4.conf.{side}.rp_filter", 0)
            space.address(side, *own)
        # Table 1 is for what came in on the left, table 2 for the rest.
        for table, came_in, out in ((1, "left", 1), (2, "right", 0)):
            for gateway in gateways[out]:
                family = "-6" if ":" in gateway else "-4"
                space.ip(family, "route", "add", "default", "via", gateway,
                         "dev", ("left", "right")[out], "table", str(table))
                space.ip(family, "rule", "add", "iif", came_in, "lookup", str(table))

    def hang(self) -> None:
        """It stops forwarding; its interfaces stay up and answer."""
        self.space.sysctl("net.ipv4.ip_forward", 0)
        self.space.sysctl("net.ipv6.conf.all.forwarding", 0)

    def recover(self) -> None:
        self.space.sysctl("net.ipv4.ip_forward", 1)
        self.space.sysctl("net.ipv6.conf.all.forwarding", 1)
