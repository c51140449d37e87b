"""Sides between two network interfaces: the kernel's own forwarding with nftables, and weir-host on
packet sockets. Generator and side are in namespaces of their own, joined by veth pairs."""
import json
import os
import subprocess
from pathlib import Path

from . import weir as weir_side
from . import world
from .process import Program, call, wait

GENERATOR_CPU, SIDE_CPU = 0, 1
WIRE_MTU = 1700  # what weir-host wants of a node's port
JIFFIES = os.sysconf("SC_CLK_TCK")


def run_quietly(*argv: str) -> None:
    subprocess.run(argv, check=False, capture_output=True)


class Wired:
    """Programs around a side; what forwards is on one CPU, the generator on the other."""

    def __init__(self, generator: Program):
        self.name = "wire"
        self.generator = generator

    def check(self) -> bool:
        return self.generator.check()

    def threads(self) -> dict[int, str]:
        return {SIDE_CPU: Side.thread}

    def pin(self, _forwarding: str, _cpus: list[int]) -> list[int]:
        self.generator.pin("weir-wire", [GENERATOR_CPU])
        return [SIDE_CPU]

    def cpu_seconds(self, cpu: int) -> float:
        return softirq_seconds(cpu)


def softirq_seconds(cpu: int) -> float:
    """What that CPU has spent in the network's soft interrupts, by the kernel's count."""
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0] == f"cpu{cpu}":
            return int(fields[7]) / JIFFIES
    raise RuntimeError(f"/proc/stat does not know cpu{cpu}")


class Side:
    thread = "cpu"
    traffic: dict[str, object] = {}

    def __init__(self, build: Path):
        self.wire = str(build / "bin/weir-wire")
        self.needs: tuple[str, ...] = (self.wire, "ip")
        self.outside, self.inside = (f"weir-bench-{what}-{os.getpid()}" for what in ("gen", "mid"))
        self.namespaces: tuple[str, ...] = (self.outside, self.inside)
        self.programs: list[Program] = []

    def in_side(self, *argv: str, text: str | None = None) -> str:
        return call("ip", "netns", "exec", self.inside, *argv, text=text)

    def start(self, bench, room: Path, generator: dict[str, str]) -> list[Wired]:
        for namespace in self.namespaces:
            call("ip", "netns", "add", namespace)
        self.lay_wires()
        self.forward(bench, room)
        wire = Program([self.wire, "gen-a", "gen-b"], room / "wire.log",
                       {"WEIR_GEN": generator["WEIR_GEN"]},
                       ["ip", "netns", "exec", self.outside])
        self.programs.append(wire)
        return [self.wired(wire)]

    def wired(self, wire: Program) -> Wired:
        return Wired(wire)

    def lay_wires(self) -> None:
        """Between the generator and the side's interfaces a and b."""
        for name in ("a", "b"):
            self.join(f"gen-{name}", self.outside, name)

    def join(self, far: str, namespace: str, name: str) -> None:
        """`name` of the side, `far` in another namespace."""
        mtu = ("mtu", str(WIRE_MTU))
        call("ip", "link", "add", far, *mtu, "netns", namespace, "type", "veth",
             "peer", "name", name, *mtu, "netns", self.inside)
        for where, device in ((namespace, far), (self.inside, name)):
            inside = ("ip", "netns", "exec", where)
            call(*inside, "sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6")
            call(*inside, "ip", "link", "set", "dev", device, "up")
        # What arrives is handled on the CPU of the side under test, not on the generator's.
        self.in_side("sh", "-c", f"echo {1 << SIDE_CPU:x} > "
                                 f"/sys/class/net/{name}/queues/rx-0/rps_cpus")
        wait(lambda: self.in_side("cat", f"/sys/class/net/{name}/operstate").strip() == "up",
             "veth pairs")

    def forward(self, bench, room: Path) -> None:
        raise NotImplementedError

    def cleanup(self) -> None:
        for program in reversed(self.programs):
            program.stop()
        self.programs = []
        for namespace in self.namespaces:
            run_quietly("ip", "netns", "del", namespace)


class Nft(Side):
    """The kernel routes; nftables lets pass what its connection tracking knows."""

    def __init__(self, build: Path):
        super().__init__(build)
        self.needs += ("nft", "sysctl")

    trims = True  # the kernel sends no padding that came

    def forward(self, bench, room: Path) -> None:
        for name, address in (("a", "10.1.255.1/16"), ("b", "10.2.255.1/16")):
            self.in_side("ip", "link", "set", "dev", name, "address", world.ROUTER_MAC)
            self.in_side("ip", "address", "add", address, "dev", name)
        for address in world.clients(False):
            self.neighbour(address, world.CLIENT_MAC, "a")
        self.neighbour(world.server(False, True), world.SERVER_MAC, "b")
        # Network cards check the sums of TCP; veth has nobody who would.
        self.in_side("sysctl", "-q", "net.ipv4.ip_forward=1")
        self.in_side("nft", "-f", "-", text=RULES)
        self.in_side("sysctl", "-q", "net.netfilter.nf_conntrack_checksum=0")

    def neighbour(self, address: str, mac: str, device: str) -> None:
        self.in_side("ip", "neighbour", "add", address, "lladdr", mac, "dev", device,
                     "nud", "permanent")


RULES = """
table ip bench {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established accept
        ct state new meta l4proto tcp accept
    }
}
"""


class WiredWeir(Wired):
    """The worker's time, and what the kernel does of its work beside it."""

    def __init__(self, generator: Program, host: Program):
        super().__init__(generator)
        self.host = host
        self.worker = 0

    def check(self) -> bool:
        return self.host.check() and super().check()

    def pin(self, forwarding: str, cpus: list[int]) -> list[int]:
        self.worker = self.host.pin("worker-", [SIDE_CPU])[0]
        return super().pin(forwarding, cpus)

    def cpu_seconds(self, cpu: int) -> float:
        return self.host.cpu_seconds(self.worker) + daemon_seconds(cpu)

    def own_seconds(self) -> float:
        """The worker's time outside the kernel: the engine, and our half of the ports."""
        stat = Path(f"/proc/{self.host.pid}/task/{self.worker}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[11]) / JIFFIES


def daemon_seconds(cpu: int) -> float:
    """Of ksoftirqd, which takes over when there is much; the rest interrupts the worker and counts
    as its time."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() == f"ksoftirqd/{cpu}":
                return int((comm.parent / "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            continue
    return 0.0


class WireWeir(Side):
    def __init__(self, build: Path):
        super().__init__(build)
        self.host, self.engine = str(build / "bin/weir-host"), str(build / "lib/libweir-engine.so")
        self.needs += (self.host, self.engine)

    def make_resources(self, bench) -> list[dict]:
        return weir_side.resources(bench)

    def forward(self, bench, room: Path) -> None:
        made = self.make_resources(bench)
        for one in made:
            if one["kind"] == "port":
                one["device"] = {"type": "af_packet", "interface": one["name"]}
        config = room / "config.yaml"
        config.write_text("\n---\n".join(json.dumps(one) for one in made))
        host = Program([self.host, "run", "--name", "h1", "--run-dir", str(room / "run"),
                        "--state-dir", str(room / "state"), "--engine", self.engine, "--config",
                        str(config), "--workers", "1", "--flows", str(bench.table),
                        "--huge-pages"], room / "weir-host.log",
                       prefix=["ip", "netns", "exec", self.inside])
        self.programs.append(host)
        wait(lambda: host.check() and "host.ready" in host.log.read_text(), "weir-host", 120)

    def wired(self, wire: Program) -> Wired:
        return WiredWeir(wire, self.programs[0])

    def drops(self, room: Path) -> list[str]:
        return weir_side.drops(room)
