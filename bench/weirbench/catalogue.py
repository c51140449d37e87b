"""The benchmarks: traffic, sides, bars."""
from dataclasses import dataclass, field, replace

RECORDS_EACH = 2.3  # for each flow: one at each guest's port, and an eighth kept free
LEAST_RECORDS = 65_536  # weir-host's default


@dataclass(frozen=True)
class Bar:
    """The rate of the side `of`, relative to that of `to`: a side, or "result:" and another
    benchmark of ours. For delays: our delay relative to that of `to`, at most `least`."""
    text: str
    to: str
    least: float
    plain_only: bool = False
    of: str = "weir"


@dataclass(frozen=True)
class Chain:
    """Service nodes between the guests. Sides of such a benchmark are "program/hops"; with 0 hops
    the same traffic without services."""
    nodes: str       # "l2": bumps in the wire; "aware": NSH; all of them do nothing
    far: str = ""    # "smd", "nsh": every other node, from the first one, on another host


@dataclass(frozen=True)
class Benchmark:
    name: str
    about: str
    traffic: dict[str, object]
    sides: tuple[str, ...]
    bars: tuple[Bar, ...] = ()
    rules: int = 1
    packets_each: int = 1     # of a unit: 8 for a connection
    unit: str = "packets/s"
    load_of: str = ""  # a side: all get half of what it takes, and delays are measured
    warm_up: float = 1.0      # s, before the first window
    window: float = 0.5       # s
    idle_times: dict[str, int] = field(default_factory=dict)  # s, by our names; both sides get them
    records: int = 0          # of our flow table; 0: what the flows need

    chain: Chain | None = None
    noise: int = 0            # of each hundred packets of side a, while there is trouble; with
                              # "apart" in the traffic it comes from a third port, without an end
    new_flows: int = 0        # a second, that our ports may begin beyond those of the traffic
    memif: bool = False       # behind memif ports, the generator on a core of its own
    changes: bool = False     # the trouble is 100 changes of the configuration a second

    @property
    def troubled(self) -> bool:
        return bool(self.noise or self.changes)

    @property
    def apart(self) -> bool:
        return bool(self.traffic.get("apart"))

    @property
    def one_way(self) -> bool:
        return not self.traffic.get("answers", 1)

    @property
    def ip6(self) -> bool:
        return bool(self.traffic.get("ip6"))

    @property
    def tunnel(self) -> bool:
        return bool(self.traffic.get("tunnel"))

    @property
    def flows(self) -> int:
        return int(self.traffic.get("flows", 1000))

    @property
    def table(self) -> int:
        """Records of our flow table."""
        return self.records or max(LEAST_RECORDS, int(self.flows * RECORDS_EACH))

    def settings(self, page: str, **more: object) -> str:
        """The generator's words (bench/gen/settings.hpp). Parts share what may be under way."""
        words = {"page": page, **self.traffic, **more}
        for name in ("flight", "window"):
            if name in words:
                words[name] = int(words[name]) // int(words.get("parts", 1))
        return " ".join(f"{key}={int(value) if isinstance(value, bool) else value}"
                        for key, value in words.items())


LENGTHS = (0, 1, 2, 4, 8)
MOST_L2_FLOWS = 2_000  # a node known by VLAN tags has 4094 flows and directions
FORWARDERS = ("weir", "ovs", "testpmd-io", "testpmd-macswap")


def established(name: str, flows: int, rules: int, *bars: Bar) -> Benchmark:
    return Benchmark(name, f"established TCP both ways, stateful firewall, {flows} connections, "
                     f"{rules} rule{'s' if rules > 1 else ''}",
                     {"work": "tcp", "flows": flows}, FORWARDERS, bars, rules)


def tunnelled(name: str, about: str, **more: object) -> Benchmark:
    traffic = {"work": "udp", "flows": 100_000, "tunnel": True, "answers": False, **more}
    return Benchmark(name, about, traffic, FORWARDERS[:3],
                     (Bar("OVS Geneve without ct", "ovs", 1.5),))


def over_ip6(bench: Benchmark) -> Benchmark:
    """The same over IPv6; its own bar is our IPv4 figure."""
    return replace(bench, name=bench.name + "_v6", about=bench.about + ", IPv6",
                   traffic={**bench.traffic, "ip6": True},
                   bars=(Bar(f"our {bench.name}", f"result:{bench.name}", 0.85, plain_only=True),))


IP4 = (
    established("est_1k", 1000, 1, Bar("OVS ct", "ovs", 5),
                Bar("testpmd macswap", "testpmd-macswap", 0.40, plain_only=True)),
    established("est_100k", 100_000, 10_000, Bar("OVS ct", "ovs", 7),
                Bar("our est_1k", "result:est_1k", 0.7, plain_only=True)),
    established("est_1m", 1_000_000, 10_000, Bar("OVS ct", "ovs", 7),
                Bar("our est_1k", "result:est_1k", 0.5, plain_only=True)),
    tunnelled("encap_100k", "routing, firewall (OVS: none), Geneve encapsulation, 100000 flows"),
    tunnelled("decap_100k", "Geneve decapsulation, firewall (OVS: none), 100000 flows",
              from_b=True),
    Benchmark("new_udp", "a new UDP flow in every packet, 12 s and more of it",
              {"work": "new_udp", "answers": False}, FORWARDERS[:3],
              (Bar("OVS ct", "ovs", 4),), unit="flows/s", warm_up=12.0, window=1.0,
              idle_times={"udp_s": 2, "udp_replied_s": 2}, records=10_000_000),
    Benchmark("full_tcp", "whole TCP connections of 8 packets", {"work": "full_tcp"},
              FORWARDERS[:3],
              (Bar("OVS ct", "ovs", 5), Bar("1 M connections/s", "absolute", 1e6)),
              packets_each=8, unit="connections/s", warm_up=12.0, window=1.0,
              idle_times={"tcp_closed_s": 1}, records=4_000_000),
)
ONLY_IP4 = (
    Benchmark("workers_2", "est_100k with two workers, on both CPUs; weir-2-handing: on ports with "
              "one queue", {"work": "tcp", "flows": 100_000, "flight": 256, "window": 256},
              ("weir", "weir-2", "weir-2-handing", "testpmd-io"),
              (Bar("one worker", "weir", 1.85, plain_only=True, of="weir-2"),), rules=10_000),
    Benchmark("latency", "delay at half of what OVS ct takes, 1000 connections",
              {"work": "tcp", "flows": 1000}, ("weir", "ovs", "testpmd-io"),
              (Bar("OVS ct, 99th percentile", "ovs", 0.5),), unit="ns", load_of="ovs"),
)
# The cross-check of the method: no bars, the generator's copying may be what limits.
BY_MEMIF = tuple(
    replace(bench, name=bench.name + "_memif", memif=True, bars=(), sides=FORWARDERS[:3],
            about=bench.about + "; memif, the generator on another core",
            traffic={**bench.traffic, "flight": 512, "window": 256})
    for bench in IP4[:3])
ON_A_WIRE = (
    Benchmark("nft_est", "established TCP both ways, routed, 1000 connections, between veth pairs",
              {"work": "tcp", "flows": 1000, "routed": True, "flight": 256, "window": 256},
              ("weir-wire", "nft"),
              (Bar("nftables", "nft", 1, plain_only=True, of="weir-wire"),), window=1.0),
)
UNDER_LOAD = (
    Benchmark("changes", "100 changes of rules a second, 1000000 connections established",
              {"work": "tcp", "flows": 1_000_000}, ("weir",),
              (Bar("the calm rate", "calm", 0.90),), changes=True, window=1.0),
    Benchmark("bad_input", "fragments, options, cut and forged headers, as many as good packets "
              "of the port", {"work": "tcp", "flows": 100_000, "noise": "bad"}, ("weir", "ovs"),
              (Bar("the calm rate", "calm", 0.80),), noise=50),
    Benchmark("syn_flood", "SYNs of random sources, as many as good packets of the port",
              {"work": "tcp", "flows": 100_000, "noise": "syn"}, ("weir", "ovs"),
              (Bar("the calm rate", "calm", 0.80),), noise=50, records=1_000_000,
              new_flows=1_000),
    Benchmark("syn_flood_unlimited", "the same without a limit of new flows: the table decides",
              {"work": "tcp", "flows": 100_000, "noise": "syn"}, ("weir", "ovs"),
              noise=50, records=1_000_000),
    Benchmark("bad_neighbour", "the same bad packets from a third port, as many as are asked for",
              {"work": "tcp", "flows": 100_000, "noise": "bad", "apart": True}, ("weir", "ovs"),
              (Bar("the calm rate", "calm", 0.80),), noise=50),
    Benchmark("syn_neighbour", "SYNs of random sources from a third port, as many as are asked for",
              {"work": "tcp", "flows": 100_000, "noise": "syn", "apart": True}, ("weir", "ovs"),
              (Bar("the calm rate", "calm", 0.80),), noise=50, records=1_000_000,
              new_flows=1_000),
    Benchmark("syn_neighbour_unlimited", "the same without a limit of new flows",
              {"work": "tcp", "flows": 100_000, "noise": "syn", "apart": True}, ("weir", "ovs"),
              (Bar("the calm rate", "calm", 0.80),), noise=50, records=1_000_000),
)


def chained(name: str, about: str, flows: int, chain: Chain) -> Benchmark:
    """Established TCP through chains of all lengths, beside the same without services, a peer that
    steers by flow rules, and what only receiving and sending as often costs."""
    sides = tuple(f"{side}/{hops}" for side in ("weir", "ovs", "testpmd-io") for hops in LENGTHS
                  if not (chain.far and side == "testpmd-io" and hops))
    traffic = {"work": "tcp", "flows": flows, "flight": 512, "window": 32}
    return Benchmark(name, f"{about}, {flows} connection{'s' if flows > 1 else ''}", traffic, sides,
                     chain=chain, warm_up=0.5)


CHAINS = tuple(
    chained(f"chain_{name}_{short}", about, flows, chain)
    for name, about, chain in (
        ("aware", "chains of aware nodes (NSH) of this host", Chain("aware")),
        ("l2", "chains of bumps in the wire of this host", Chain("l2")),
        ("far_smd", "chains of aware nodes, every other one on another host (SMD)",
         Chain("aware", "smd")),
        ("far_nsh", "chains of aware nodes, every other one on another host (NSH)",
         Chain("aware", "nsh")))
    for short, flows in (("1", 1), (("2k", MOST_L2_FLOWS) if chain.nodes == "l2"
                                    else ("100k", 100_000))))
CHAINS += tuple(
    Benchmark(f"chain_kernel_{short}", "chains of bumps in the wire between veth pairs, beside a "
              f"Linux bridge and nftables, {flows} connection{'s' if flows > 1 else ''}",
              {"work": "tcp", "flows": flows, "flight": 256, "window": 32},
              tuple(f"{side}/{hops}" for side in ("weir-wire", "bridge") for hops in LENGTHS),
              chain=Chain("l2"), warm_up=0.5, window=1.0)
    for short, flows in (("1", 1), ("2k", MOST_L2_FLOWS)))
ALL = {bench.name: bench for bench in IP4 + ONLY_IP4 + BY_MEMIF + ON_A_WIRE + UNDER_LOAD + CHAINS +
       tuple(over_ip6(b) for b in IP4)}
GROUPS = {"chain": tuple(bench.name for bench in CHAINS)}
