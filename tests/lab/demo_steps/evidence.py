"""Steps that measure and compare: trace against capture, figures, the drop table."""
from weirlab.capture import Capture
from weirlab.guest import at
from weirlab.metadata import tunnelled
from weirlab.raw import parse
from weirlab.wait import wait_until

from .stage_set import Set


def trace(d: Set) -> None:
    with d.story.step("`weir trace` says where a packet will go; a real one goes just there"):
        said = d.weir.command("trace", "g1", "g2", "tcp/80")
        d.story.show("weir trace g1 g2 tcp/80", said, 60)
        positions = [said.find(word) for word in
                     ("allow-web", "inspect-web", "n1", "n2", "delivered")]
        d.story.expect("it names the rule, the service rule, both nodes in order and the end",
                       -1 not in positions and positions == sorted(positions))
        path = d.folder / "traced-packet.pcap"
        capture = Capture(d.lab, d.fabric.under, "h1", path, "udp port 6081")
        before = d.weir.counters()
        d.fabric.g1.fetch(at(d.fabric.g2.ip4))
        wait_until("the capture has the SYN", lambda: len(_syn_legs(capture)) >= 3)
        capture.stop()
        legs = _syn_legs(capture)
        d.story.expect("the capture of a real packet shows the same legs", len(legs) == 3,
                       f"{', '.join(legs)}; saved as {path.name}")
        spi = next((leg.split()[1] for leg in legs if leg.startswith("SPI")), "none")
        d.story.expect("on the path that the trace names", spi in said, f"SPI {spi}")
        after = d.weir.counters()
        key = ("weir_firewall_rule_hits_total", "allow-web")
        d.story.expect("and the rule that the trace names counted it", after[key] > before[key],
                       f"allow-web: {before[key]} → {after[key]}")


def _syn_legs(capture: Capture) -> list[str]:
    """The SYN's legs past h1's plug: to n2, back, and on to g2's host."""
    legs = []
    for frame in capture.frames():
        packet = tunnelled(frame)
        if packet and parse(packet.inner).flags == 0x02:
            smd = packet.smd
            legs.append(f"SPI {smd.spi} SI {smd.si}" if smd else f"VNI {packet.vni}")
    return legs


def figures(d: Set) -> None:
    with d.story.step("What the chain costs here (two cores for everything; not a benchmark)"):
        with_chain = _measure_tcp(d)
        ping_without = d.fabric.g1.ping(d.fabric.g2.ip4, count=20, interval_s=0.02).avg_ms
        ping_rule = {"kind": "service-rule", "name": "inspect-ping", "protocol": "icmp",
                     "applied_to": ["clients"], "chain": "web-inspect"}
        d.weir.put(ping_rule)
        d.change("service-rule", "inspect-web", enabled=False)
        before = d.nodes_seen()
        ping_with = d.fabric.g1.ping(d.fabric.g2.ip4, count=20, interval_s=0.02).avg_ms
        seen = d.nodes_seen()[0] - before[0]
        without = _measure_tcp(d)
        d.apply_example()
        d.story.tell(f"{'':24}{'without chain':>16}{'with chain':>16}")
        d.story.tell(f"{'ping round trip, ms':24}{ping_without:>16.2f}{ping_with:>16.2f}")
        d.story.tell(f"{'TCP g1 → g2, Gbit/s':24}{without[0]:>16.2f}{with_chain[0]:>16.2f}")
        d.story.tell(f"{'TCP g2 → g1, Gbit/s':24}{without[1]:>16.2f}{with_chain[1]:>16.2f}")
        d.story.expect("all were measured, and the pings with chain did pass n1",
                       min(*with_chain, *without, ping_with, ping_without) > 0 and seen >= 20)


def _measure_tcp(d: Set) -> tuple[float, float]:
    address = d.fabric.g2.ip4
    return d.fabric.g1.iperf3(address, 1), d.fabric.g1.iperf3(address, 1, reverse=True)


def drops(d: Set) -> None:
    with d.story.step("Every packet that was lost has a name"):
        d.story.show("weir drops", d.weir.command("drops"), 60)
        lost = d.weir.drops()
        for name, why in (("firewall.denied", "ssh"), ("NO_ACTIVE_PATH", "the hung nodes")):
            d.story.expect(f"{name} counts {why}", lost.get(name, 0) > 0, f"{lost.get(name, 0)}")
        nameless = {k: v for k, v in lost.items() if "no_outcome" in k or not k}
        d.story.expect("none without a name", not nameless, nameless or f"{len(lost)} reasons")
