"""Sides with service nodes between the guests, and what each hop costs. Whatever is behind a node's
port gives packets back without work of its own (bench/preload/bounce.hpp), on every side alike."""
from pathlib import Path

from . import ovs, report, stats, weir, wired_chains, world
from .testpmd import Testpmd

NODE_PORT, FAR_PORT = 10, 2  # of the generator (bench/gen/settings.hpp)
CHAIN = 1
DECISIONS = ("weir_insertion_rule_lookups_total", "weir_insertion_ct_misses_total",
             "weir_service_path_new_flows_total", "weir_service_path_switched_in_total")

WIRED = ("weir-wire", "bridge")  # programs between network interfaces: wired_chains.py


def make_side(name: str, build: Path):
    program, _, hops = name.partition("/")
    if program in WIRED:
        return wired_chains.make_side(program, build, int(hops))
    return {"weir": lambda: ChainWeir(build, int(hops)), "ovs": lambda: ChainOvs(int(hops)),
            "testpmd-io": lambda: ChainFloor(int(hops))}[program]()


def is_far(bench, hop: int) -> bool:
    """Of hops counted from 1."""
    return bool(bench.chain.far) and hop % 2 == 1


def left_of(hop: int) -> int:
    """Number of the only or left port of a hop's node; its right one is the next."""
    return NODE_PORT + 2 * (hop - 1)


class ChainWeir(weir.Weir):
    def __init__(self, build: Path, hops: int):
        super().__init__(build)
        self.hops = hops

    def start(self, bench, room: Path, generator: dict[str, str]):
        words = {"aware": "turn", "l2": "wire"}[bench.chain.nodes]
        more = f" nodes={words} far={bench.chain.far or 'none'}"
        return super().start(bench, room,
                             {**generator, "WEIR_GEN": generator["WEIR_GEN"] + more})

    def make_resources(self, bench) -> list[dict]:
        made = weir.resources(bench)
        if self.hops:
            made += plane(bench, self.hops)
        if self.hops and bench.chain.far:
            host = next(one for one in made if one["kind"] == "host")
            host["underlay"] = weir.null(FAR_PORT)
            made.append({"kind": "host", "name": "h2", "id": 2,
                         "tunnel_address": world.PEER_TUNNEL})
        return made

    def decisions(self, room: Path) -> dict[str, float] | None:
        """How often rules were asked and paths chosen: never again for a flow that is decided.
        None without services, which is the plain path."""
        return decisions(room) if self.hops else None


def decisions(room: Path) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in weir.metrics(room) if line.startswith(DECISIONS))
    return {name: float(value) for name, _, value in lines}


def plane(bench, hops: int) -> list[dict]:
    """A chain of `hops` services with one node each, for everything port a opens."""
    encap = {"encap": "nsh"} if bench.chain.far == "nsh" else {}
    made = [{"kind": "service-segment", "name": "plane", "svni": 9001, "underlay_trusted": True,
             **encap}]
    for hop in range(1, hops + 1):
        made += node(bench, hop)
    return made + [
        {"kind": "service-chain", "name": "chain", "sci": CHAIN, "service_segment": "plane",
         "forward": [f"p{hop}" for hop in range(1, hops + 1)], "failure_policy": "block"},
        {"kind": "service-rule", "name": "inspect", "id": 100, "protocol": "tcp",
         "applied_to_ports": ["a"], "chain": "chain"}]


def node(bench, hop: int) -> list[dict]:
    far, l2 = is_far(bench, hop), bench.chain.nodes == "l2"
    host = "h2" if far else "h1"
    sides = ("left", "right") if l2 else ("port",)
    mode = {"mode": "l2", "contexts": "vlan"} if l2 else {"mode": "aware"}
    return [
        {"kind": "service", "name": f"s{hop}", "transports": ["l2_bridge" if l2 else "nsh"]},
        {"kind": "service-profile", "name": f"p{hop}", "service": f"s{hop}"},
        *({"kind": "port", "name": f"n{hop}-{side}", "host": host, "service_segment": "plane",
           "mac": f"02:00:00:00:9{number}:{hop:02}",
           "device": {"type": "none"} if far else weir.null(left_of(hop) + number)}
          for number, side in enumerate(sides)),
        {"kind": "service-node", "name": f"n{hop}", "id": hop, "service": f"s{hop}", "host": host,
         "service_segment": "plane", "vnics": [f"n{hop}-{side}" for side in sides], **mode}]


class ChainOvs(ovs.Ovs):
    """Open vSwitch steers by flow rules: from a node's port to the next one. No state, no metadata;
    a node with one port tells directions apart by MACs, one on another host by the tunnel's VNI."""

    def __init__(self, hops: int):
        super().__init__()
        self.hops = hops

    def start(self, bench, room: Path, generator: dict[str, str]):
        words = {"aware": "echo", "l2": "wire"}[bench.chain.nodes]
        more = f" nodes={words} far={'echo' if bench.chain.far else 'none'}"
        return super().start(bench, room,
                             {**generator, "WEIR_GEN": generator["WEIR_GEN"] + more})

    def ports(self, bench) -> None:
        self.bridge("br0")
        self.port("br0", 0)
        self.port("br0", 1)
        for hop in range(1, self.hops + 1):
            if is_far(bench, hop):
                continue
            self.port("br0", left_of(hop))
            if bench.chain.nodes == "l2":
                self.port("br0", left_of(hop) + 1)
        if self.hops and bench.chain.far:
            self.bridge("br-under", f"other_config:hwaddr={world.HOST_MAC}")
            self.port("br-under", FAR_PORT)
            self.tunnel()

    def flows(self, bench) -> None:
        if self.hops and bench.chain.far:
            self.add_flows("br-under", [f"in_port=LOCAL,actions=output:{FAR_PORT + 1}",
                                        f"in_port={FAR_PORT + 1},actions=LOCAL"])
        self.add_flows("br0", steering(bench, self.hops))


def steering(bench, hops: int) -> list[str]:
    """Flow rules of both directions; a place is where a packet is sent, or comes from."""
    l2 = bench.chain.nodes == "l2"

    def place(hop: int, reverse: bool, comes: bool) -> str:
        if hop in (0, hops + 1):
            return f"in_port={1 if hop == 0 else 2}" if comes else f"output:{1 if hop == 0 else 2}"
        if is_far(bench, hop):
            return f"in_port={ovs.TUNNEL_PORT},tun_id={hop}" if comes else \
                f"set_field:{hop}->tun_id,output:{ovs.TUNNEL_PORT}"
        left = left_of(hop) + 1
        right = left + 1 if l2 else left
        if comes:
            return f"in_port={left if reverse else right}"
        return f"output:{right if reverse else left}"

    flows = []
    for reverse, mac in ((False, world.SERVER_MAC), (True, world.CLIENT_MAC)):
        way = range(hops + 1, 0, -1) if reverse else range(0, hops + 1)
        for hop in way:
            there = hop - 1 if reverse else hop + 1
            flows.append(f"{place(hop, reverse, True)},dl_dst={mac},"
                         f"actions={place(there, reverse, False)}")
    return flows


class ChainFloor(Testpmd):
    """Only receives and sends, as often as a chain of bumps in the wire makes it."""

    def __init__(self, hops: int):
        inner = tuple(port for hop in range(1, hops + 1)
                      for port in (left_of(hop), left_of(hop) + 1))
        super().__init__("io", (0, *inner, 1))
        self.traffic = {**self.traffic, "nodes": "wire"}


def result(bench, starts: dict[str, list[dict]], results: Path) -> dict:
    """As of any benchmark; ours is the chain of one node. Beside it, for each program, what each
    further hop costs: cycles of the longest chain less those of one node, for each hop between."""
    out = report.result(bench, starts, results)
    ours = next((side for side in starts if side in ("weir/1", "weir-wire/1")), "")
    out["ours"] = {"starts": report.rates_of(bench, starts.get(ours, []))}
    rates = {side: report.rates_of(bench, of) for side, of in starts.items()}
    out["peers"] = {s: {"starts": v} for s, v in rates.items()
                    if not s.startswith(("weir", "testpmd"))}
    out["lengths"] = {s: {"starts": v} for s, v in rates.items() if s.startswith("weir")}
    out["io_bound"] = {s: {"starts": v} for s, v in rates.items() if s.startswith("testpmd")}
    out["hops"] = per_hop(out["medians"], out["tsc_hz"])
    out["decisions"] = {
        side: [one["decisions"] for one in of if "decisions" in one] for side, of in starts.items()
        if any("decisions" in one for one in of)}
    return out


def per_hop(medians: dict[str, float], hz: float) -> dict[str, dict[str, float]]:
    """Cycles and ns: of the plain path, of the first hop, of each further one."""
    made: dict[str, dict[str, float]] = {}
    for program in dict.fromkeys(side.partition("/")[0] for side in medians):
        cycles = {int(side.partition("/")[2]): stats.cycles(hz, rate)
                  for side, rate in medians.items() if side.startswith(program + "/")}
        of = made.setdefault(program, {})
        if 0 in cycles:
            of["plain"] = cycles[0]
        if {0, 1} <= cycles.keys():
            of["first_hop"] = cycles[1] - cycles[0]
        longest = max(cycles)
        if 1 in cycles and longest > 1:
            of["further_hop"] = (cycles[longest] - cycles[1]) / (longest - 1)
        made[program] = {**of, **{f"{key}_ns": value / hz * 1e9 for key, value in of.items()}}
    return made


def table(bench, out: dict) -> str:
    rows = [f"{bench.name}: {bench.about}",
            f"{'side/hops':18}{'M packets/s':>14}{'spread':>9}{'cycles':>9}{'ns':>8}{'starts':>8}"]
    for side, rate in out["medians"].items():
        rows.append(f"{side:18}{rate / 1e6:14.3f}{out['spread'][side]:9.0%}"
                    f"{out['cycles'][side]:9.0f}{1e9 / rate:8.0f}"
                    f"{len(report.rates_of(bench, out['raw'][side])):8}")
    for program, of in out["hops"].items():
        rows.append(f"{program}: " + ", ".join(
            f"{name.replace('_', ' ')} {of[name]:.0f} cycles ({of[name + '_ns']:.0f} ns)"
            for name in ("plain", "first_hop", "further_hop") if name in of))
    for side, cycles in report.own_cycles(out).items():
        rows.append(f"{side}: of these cycles {cycles:.0f} outside the kernel")
    asked = [one for of in out["decisions"].values() for one in of]
    if asked:
        same = all(one["before"] == one["after"] for one in asked)
        rows.append(f"rules asked and paths chosen while it was measured: "
                    f"{'none' if same else 'SOME'}, in {len(asked)} starts")
    return "\n".join(rows + [f"WRONG {wrong}" for wrong in out["wrong"]])
