"""Open vSwitch's userspace datapath, from openvswitch-switch-dpdk, with a database and sockets of
its own in the run's directory and a network namespace of its own."""
import os
import subprocess
from pathlib import Path

from . import world
from .process import Failed, Program, call, wait

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
MOST_CONNECTIONS = 10_000_000
TUNNEL_PORT = 100  # its OpenFlow number
# Our idle times as a zone's timeout policy calls them (ovs-vsctl(8), add-zone-tp).
IDLE_TIMES = {"udp_s": ("udp_first", "udp_single"), "udp_replied_s": ("udp_multiple",),
              "tcp_closed_s": ("tcp_close",)}
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Ovs:
    needs = (VSWITCHD, "ovsdb-server", "ovs-vsctl", "ovs-ofctl")
    thread = "pmd-c"
    traffic: dict[str, object] = {}

    def __init__(self) -> None:
        self.namespace = f"weir-bench-ovs-{os.getpid()}"
        self.room = Path()
        self.programs: list[Program] = []

    def start(self, bench, room: Path, generator: dict[str, str]) -> list[Program]:
        self.room = room
        self.env = {**os.environ, "OVS_RUNDIR": str(room), "OVS_LOGDIR": str(room),
                    "OVS_DBDIR": str(room)}
        call("ip", "netns", "add", self.namespace)
        inside = ["ip", "netns", "exec", self.namespace]
        call("ovsdb-tool", "create", str(room / "conf.db"), SCHEMA)
        database = Program(["ovsdb-server", str(room / "conf.db"), f"--remote=punix:{room}/db.sock",
                            f"--unixctl={room}/db.ctl", "--no-chdir"], room / "ovsdb.log", self.env)
        self.programs.append(database)
        wait(lambda: database.check() and (room / "db.sock").exists(), "ovsdb-server")
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".",
                   "other_config:dpdk-init=true", "other_config:dpdk-lcore-mask=0x1",
                   "other_config:pmd-cpu-mask=0x2",
                   "other_config:dpdk-extra=--in-memory --no-pci")
        switch = Program([VSWITCHD, f"unix:{room}/db.sock", f"--unixctl={room}/vs.ctl",
                          "--no-chdir"], room / "vswitchd.log", {**self.env, **generator}, inside)
        self.programs.append(switch)
        wait(lambda: switch.check() and (room / "vs.ctl").exists(), "ovs-vswitchd")
        self.ports(bench)
        self.flows(bench)
        return [switch, database]

    def vsctl(self, *words: str) -> str:
        return call("ovs-vsctl", f"--db=unix:{self.room}/db.sock", "--timeout=60", *words,
                    env=self.env)

    def appctl(self, *words: str) -> str:
        return call("ovs-appctl", "-t", str(self.room / "vs.ctl"), *words, env=self.env)

    def ports(self, bench) -> None:
        self.bridge("br0")
        if bench.tunnel:
            self.bridge("br-under", f"other_config:hwaddr={world.HOST_MAC}")
        self.port("br0", 0)
        self.port("br-under" if bench.tunnel else "br0", 1)
        if bench.tunnel:
            self.tunnel()
        if bench.apart:
            self.port("br0", world.NOISE_PORT)
        self.appctl("dpctl/ct-set-maxconns", str(MOST_CONNECTIONS))
        if bench.idle_times:
            self.idle_times(bench.idle_times)

    def bridge(self, name: str, *more: str) -> None:
        self.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev",
                   "fail_mode=secure", *more)

    def device(self, number: int) -> str:
        return f"net_null{number},no-rx=1"

    def port(self, bridge: str, number: int) -> None:
        name = f"p{number}"
        self.vsctl("add-port", bridge, name, "--", "set", "Interface", name, "type=dpdk",
                   f'options:dpdk-devargs="{self.device(number)}"',
                   f"ofport_request={number + 1}")
        error = self.vsctl("get", "Interface", name, "error").strip()
        if error not in ("[]", '""'):
            raise Failed(f"Open vSwitch: port {name}: {error}")

    def tunnel(self) -> None:
        """A Geneve port at br0; br-under carries it and knows the other end."""
        self.vsctl("add-port", "br0", "tun", "--", "set", "Interface", "tun", "type=geneve",
                   f"options:remote_ip={world.PEER_TUNNEL}", "options:key=flow",
                   f"options:local_ip={world.HOST_TUNNEL}", f"ofport_request={TUNNEL_PORT}")
        inside = ["ip", "netns", "exec", self.namespace, "ip"]
        call(*inside, "address", "add", f"{world.HOST_TUNNEL}/24", "dev", "br-under")
        call(*inside, "link", "set", "br-under", "up")
        wait(lambda: "br-under" in self.appctl("ovs/route/show"), "Open vSwitch: a route")
        self.appctl("tnl/arp/set", "br-under", world.PEER_TUNNEL, world.PEER_MAC)

    def idle_times(self, seconds: dict[str, int]) -> None:
        self.vsctl("--", "--id=@netdev", "create", "Datapath", "datapath_version=0",
                   "--", "set", "Open_vSwitch", ".", "datapaths:netdev=@netdev")
        self.vsctl("add-zone-tp", "netdev", "zone=0",
                   *(f"{theirs}={value}" for ours, value in seconds.items()
                     for theirs in IDLE_TIMES[ours]))

    def flows(self, bench) -> None:
        if bench.tunnel:
            self.add_flows("br-under", ["in_port=LOCAL,actions=output:2",
                                        "in_port=2,actions=LOCAL"])
            self.add_flows("br0", tunnelled(bench))
        else:
            self.add_flows("br0", stateful(bench))

    def add_flows(self, bridge: str, flows: list[str]) -> None:
        call("ovs-ofctl", "add-flows", f"unix:{self.room}/{bridge}.mgmt", "-", env=self.env,
             text="\n".join(flows) + "\n")

    def cleanup(self) -> None:
        for program in reversed(self.programs):
            program.stop()
        self.programs = []
        subprocess.run(["ip", "netns", "del", self.namespace], check=False,
                       capture_output=True)


def stateful(bench) -> list[str]:
    """New flows pass the rules, all others by their state."""
    ip, source = ("ipv6", "ipv6_src") if bench.ip6 else ("ip", "nw_src")
    tcp = "tcp6" if bench.ip6 else "tcp"
    udp = "udp6" if bench.ip6 else "udp"
    out = {1: 2, 2: 1}
    if bench.apart:
        out[world.NOISE_PORT + 1] = 2
    flows = ["table=0,priority=1,actions=drop", f"table=0,priority=10,{ip},actions=ct(table=1)",
             "table=1,priority=1,actions=drop"]
    for here, there in out.items():
        flows.append(f"table=1,priority=30000,in_port={here},{ip},ct_state=+trk+est-new-inv,"
                     f"actions=output:{there}")
        flows.append(f"table=1,priority=10,in_port={here},{ip},ct_state=+trk+new-inv,"
                     f"actions=ct(commit),output:{there}")
    protocol = tcp if "tcp" in str(bench.traffic["work"]) else udp
    for number in range(bench.rules - 1):
        flows.append(f"table=1,priority={20000 - number},{protocol},ct_state=+trk+new,"
                     f"{source}={world.foreign_source(number, bench.ip6)},"
                     f"tp_dst={world.foreign_port(number)},actions=drop")
    return flows


def tunnelled(bench) -> list[str]:
    """Routed into the tunnel, or out of it: no state."""
    ip = "ipv6" if bench.ip6 else "ip"
    return [f"in_port=1,{ip},actions=mod_dl_src:{world.ROUTER_MAC},mod_dl_dst:{world.SERVER_MAC},"
            f"dec_ttl,set_field:{world.VNI_FAR}->tun_id,"
            f"output:{TUNNEL_PORT}",
            f"in_port={TUNNEL_PORT},tun_id={world.VNI_NEAR},actions=output:1"]
