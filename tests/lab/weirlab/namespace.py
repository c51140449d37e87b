"""Network namespaces, and the links between them."""
import contextlib
import ctypes
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from .process import run

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def entered(name: str) -> Iterator[None]:
    """This thread is in the network namespace; sockets opened here stay there."""
    def enter(fd: int) -> None:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        enter(there)
        yield
    finally:
        enter(home)
        os.close(there)
        os.close(home)


class Namespace:
    """One network namespace. `name` is short (g1); `full` is what the kernel knows (w3fa2-g1)."""

    def __init__(self, name: str, full: str):
        self.name = name
        self.full = full

    def make(self) -> "Namespace":
        run(["ip", "netns", "add", self.full])
        # Addresses are usable at once, and nothing configures itself.
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_ra", 0)
        self.sysctl("net.ipv6.conf.default.router_solicitations", 0)
        self.ip("link", "set", "lo", "up")
        return self

    def command(self, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.full, *command]

    def run(self, command: list[str], **options) -> str:
        return run(self.command(command), **options)

    def ip(self, *words: str) -> str:
        return run(["ip", "-n", self.full, *words])

    def batch(self, *commands: str) -> None:
        """Commands of `ip` one after the other, in one process."""
        run(["ip", "-n", self.full, "-batch", "-"], text_in="\n".join(commands))

    def sysctl(self, name: str, value: int | str) -> None:
        with entered(self.full):
            Path("/proc/sys", *name.split(".")).write_text(str(value))

    def read_sysctl(self, name: str) -> str:
        with entered(self.full):
            return Path("/proc/sys", *name.split(".")).read_text().strip()

    def links(self) -> dict[str, dict]:
        return {link["ifname"]: link for link in json.loads(self.ip("-j", "link", "show"))}

    def up(self, interface: str, mtu: int = 0, mac: str = "") -> None:
        words = ["link", "set", interface]
        if mtu:
            words += ["mtu", str(mtu)]
        if mac:
            words += ["address", mac]
        self.ip(*words, "up")

    def down(self, interface: str) -> None:
        self.ip("link", "set", interface, "down")

    def address(self, interface: str, *addresses: str) -> None:
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            self.ip("address", "add", address, "dev", interface, *extra)

    def route(self, prefix: str, via: str) -> None:
        self.ip("-6" if ":" in via else "-4", "route", "replace", prefix, "via", via)

    def no_kernel_addresses(self, interface: str) -> None:
        """The kernel neither speaks nor answers on this interface: someone else's program does."""
        self.sysctl(f"net.ipv6.conf.{interface}.disable_ipv6", 1)
        self.ip("link", "set", interface, "arp", "off")

    def offloads_off(self, interface: str, *features: str) -> None:
        """Without this, frames with partial checksums cross a veth to an af_packet reader as is."""
        words = [w for f in features or ("tx", "tso", "gso", "gro") for w in (f, "off")]
        self.run(["ethtool", "-K", interface, *words])

    def bridge(self, interface: str, *members: str, mtu: int = 0) -> None:
        """A plain bridge that neither snoops nor learns by itself beyond the kernel's default."""
        self.ip("link", "add", interface, "type", "bridge", "mcast_snooping", "0")
        self.sysctl(f"net.ipv6.conf.{interface}.disable_ipv6", 1)
        for member in members:
            self.ip("link", "set", member, "master", interface)
            self.up(member, mtu)
        self.up(interface, mtu)

    def socket(self, *kind) -> socket.socket:
        with entered(self.full):
            return socket.socket(*kind)

    def pids(self) -> list[int]:
        return [int(p) for p in run(["ip", "netns", "pids", self.full], check=False).split()]


def veth(left: Namespace, left_name: str, right: Namespace, right_name: str) -> None:
    """A cable between two namespaces; both ends are still down."""
    run(["ip", "link", "add", left_name, "netns", left.full, "type", "veth", "peer", "name",
         right_name, "netns", right.full])
