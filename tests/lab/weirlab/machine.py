"""A guest that is a virtual machine: QEMU with Debian's kernel and busybox, behind vhost-user."""
import re
import shutil
from pathlib import Path

from .build import SOURCE
from .lab import Lab
from .namespace import Namespace
from .process import Daemon
from .wait import wait_until

QEMU = "qemu-system-x86_64"
UNPACKED = SOURCE / "build" / "machine"  # ./dev puts the kernel and busybox there
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
           "failover", "net_failover", "virtio_net")

# What runs in it. `talk` sends numbered lines to the peer and wants each of them back, in order.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
for word in $(cat /proc/cmdline); do
    case $word in weir.*=*) export "${word#weir.}" ;; esac
done
say() { echo "guest: $*" >/dev/ttyS0; }
for module in %(modules)s; do insmod /modules/$module.ko; done
for name in all default; do echo 0 >/proc/sys/net/ipv6/conf/$name/accept_dad; done
ip link set lo up
ip link set eth0 up
ip address add "$ip4" dev eth0
ip address add "$ip6" dev eth0
say "up"

lines() {
    local number=0
    while :; do
        number=$((number + 1))
        echo "line $number"
        usleep 20000
    done
}

check() {
    local wanted=1 got
    while read -r got; do
        if [ "$got" != "line $wanted" ]; then say "wrong: $got, wanted $wanted"; fi
        if [ $((wanted %% 25)) = 0 ]; then say "echoed $wanted"; fi
        wanted=$((wanted + 1))
    done
    if [ $wanted != 1 ]; then say "over: before line $wanted"; fi
}

while :; do
    lines | nc "$peer" "$port" | check
    usleep 200000
done
"""


def missing() -> str:
    """Why there can be no virtual machine here, or nothing."""
    if not shutil.which(QEMU):
        return f"no {QEMU}: Debian package qemu-system-x86 is not installed"
    if not _kernel() or not _busybox().is_file():
        return f"no kernel and busybox in {UNPACKED.relative_to(SOURCE)}: ./dev test unpacks them"
    return ""


def _kernel() -> Path | None:
    return next(iter(sorted((UNPACKED / "boot").glob("vmlinuz-*"))), None)


def _busybox() -> Path:
    return UNPACKED / "bin" / "busybox"


def _cpio(entries: list[tuple[str, int, bytes]]) -> bytes:
    """An archive as the kernel takes it (newc): name, mode, content."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        numbers = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08x" % n for n in numbers) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)


def initramfs() -> bytes:
    folder, file = 0o040755, 0o100755
    entries = [(name, folder, b"") for name in ("bin", "dev", "modules", "proc", "sys")]
    entries += [("bin/busybox", file, _busybox().read_bytes()),
                ("init", file, (INIT % {"modules": " ".join(MODULES)}).encode())]
    for module in MODULES:
        path = next((UNPACKED / "lib" / "modules").rglob(f"{module}.ko"))
        entries.append((f"modules/{module}.ko", file, path.read_bytes()))
    return _cpio(entries)


class Machine:
    """A guest's two lives: start() where it is, start(incoming) where it will be. Weir finds its
    device at `device` on either host (`sockets` says where a host's folder of sockets is)."""

    MEMORY_MB = 128

    def __init__(self, lab: Lab, name: str, mac: str, addresses: tuple[str, ...]):
        self.lab, self.name, self.mac, self.addresses = lab, name, mac, addresses
        self.ip4, self.ip6 = (a.partition("/")[0] for a in addresses)
        self.lives: dict[str, Daemon] = {}
        self._initramfs = lab.folder / f"{name}.cpio"
        self._initramfs.write_bytes(initramfs())

    def monitor(self, host: str) -> str:
        return str(self.lab.folder / f"{self.name}-{host}.qmp")

    def console(self, host: str) -> str:
        path = self.lab.folder / f"{self.name}-{host}.console"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, space: Namespace, sockets: Path, peer: str, port: int,
              incoming: bool = False) -> Daemon:
        host = space.name
        words = {"ip4": self.addresses[0], "ip6": self.addresses[1], "peer": peer, "port": port}
        kernel_words = ["console=ttyS0", "quiet", "edd=off", "panic=-1",
                        *(f"weir.{key}={value}" for key, value in words.items())]
        command = [
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "pc,accel=tcg,memory-backend=ram", "-m", str(self.MEMORY_MB),
            # The switch reads and writes the guest's memory: both must have the same pages.
            "-object", f"memory-backend-memfd,id=ram,size={self.MEMORY_MB}M,share=on",
            "-kernel", str(_kernel()), "-initrd", str(self._initramfs),
            "-append", " ".join(kernel_words),
            "-serial", f"file:{self.lab.folder / f'{self.name}-{host}.console'}",
            "-qmp", f"unix:{self.monitor(host)},server=on,wait=off",
            "-chardev", f"socket,id=socket,path={sockets / f'{self.name}.sock'},server=on",
            "-netdev", "vhost-user,id=net,chardev=socket",
            # Emulated processors and MSI-X of vhost-user do not go together in QEMU 7.2.
            "-device", f"virtio-net-pci,netdev=net,mac={self.mac},vectors=0,romfile=",
            *(["-incoming", "defer"] if incoming else [])]
        self.lives[host] = self.lab.start(f"{self.name}-{host}", command, space)
        return self.lives[host]

    def wait_up(self, host: str, timeout_s: float = 60.0) -> None:
        def up() -> bool:
            self.lives[host].must_run()
            return "guest: up" in self.console(host)
        wait_until(f"{self.name} is up", up, timeout_s)

    def echoed(self, host: str) -> int:
        """The last line that it said it got back."""
        return max((int(n) for n in re.findall(r"guest: echoed (\d+)", self.console(host))),
                   default=0)

    def complaints(self) -> list[str]:
        """What it found wrong with its connection."""
        return [line for host in self.lives for line in self.console(host).splitlines()
                if re.search(r"guest: (wrong|over)", line)]
