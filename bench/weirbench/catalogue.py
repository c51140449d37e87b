"""The benchmarks: traffic, sides, bars."""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bar:
    """`of` is a rate to be reached relative to `to`: a side, or another benchmark of ours."""
    text: str
    to: str
    least: float
    plain_only: bool = False


@dataclass(frozen=True)
class Benchmark:
    name: str
    about: str
    traffic: dict[str, object]
    sides: tuple[str, ...]
    bars: tuple[Bar, ...] = ()
    rules: int = 1
    peer_tracks: bool = True  # OVS with ct
    packets_each: int = 1     # of a unit: 8 for a connection
    unit: str = "packets/s"
    workers: int = 1
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def ip6(self) -> bool:
        return bool(self.traffic.get("ip6"))

    @property
    def tunnel(self) -> bool:
        return bool(self.traffic.get("tunnel"))

    @property
    def flows(self) -> int:
        return int(self.traffic.get("flows", 1000))

    def settings(self, page: str, **more: object) -> str:
        """The generator's words (bench/gen/settings.hpp)."""
        return " ".join(f"{key}={int(value) if isinstance(value, bool) else value}"
                        for key, value in {"page": page, **self.traffic, **more}.items())


FORWARDERS = ("weir", "ovs", "testpmd-io", "testpmd-macswap")


def established(name: str, flows: int, rules: int, *bars: Bar) -> Benchmark:
    return Benchmark(name, f"established TCP both ways, stateful firewall, {flows} connections, "
                     f"{rules} rule{'s' if rules > 1 else ''}",
                     {"work": "tcp", "flows": flows}, FORWARDERS, bars, rules)


ALL = {b.name: b for b in (
    established("est_1k", 1000, 1, Bar("OVS ct", "ovs", 5),
                Bar("testpmd macswap", "testpmd-macswap", 0.40, plain_only=True)),
    established("est_100k", 100_000, 10_000, Bar("OVS ct", "ovs", 7),
                Bar("our est_1k", "result:est_1k", 0.7, plain_only=True)),
    established("est_1m", 1_000_000, 10_000, Bar("OVS ct", "ovs", 7),
                Bar("our est_1k", "result:est_1k", 0.5, plain_only=True)),
)}
