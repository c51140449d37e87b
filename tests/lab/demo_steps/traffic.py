"""Steps on what passes and what does not: switching, routing, the chain, two firewalls."""
from weirlab.guest import Guest, at
from weirlab.underlay import Underlay
from weirlab.wait import stays, wait_until

from .stage_set import FAMILIES, Set, legs_of_handshake, way


FEW = 100  # packets; a download has thousands, and n1 writes now and then what it has counted


def is_question(frame: bytes) -> bool:
    """ARP, or a neighbour solicitation or advertisement. Other multicast (router solicitations,
    listener reports) is everybody's and is meant to reach everybody."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == 0x86DD:
        return frame[20] == 58 and frame[54] in (135, 136)
    return ethertype == 0x0806


def pings(d: Set) -> None:
    with d.story.step("Guests reach each other: switched and routed, IPv4 and IPv6"):
        pairs = [(d.fabric.g1, d.fabric.g2, "one segment, two hosts"),
                 (d.fabric.g1, d.fabric.g3, "routed, one host"),
                 (d.fabric.g3, d.fabric.g2, "routed, two hosts")]
        with Underlay(d.fabric) as under:
            for source, target, what in pairs:
                for family, name in FAMILIES:
                    got = source.ping(getattr(target, name), count=3)
                    d.story.expect(f"{source.name} pings {target.name}, {family}, {what}",
                                   got.all_answered,
                                   f"{got.received} of {got.sent}, {got.avg_ms:.2f} ms")
            asked = [leg for leg in under.legs() if is_question(leg.packet.inner)]
        d.story.expect("ARP and neighbour discovery are answered at home: none was flooded",
                       not asked, f"{len(asked)} of them in tunnels")


def chain(d: Set) -> None:
    with d.story.step("Web traffic from g1 to g2 passes n1, then n2; replies pass n2, then n1"):
        for family, name in FAMILIES:
            _download(d, d.fabric.g1, d.fabric.g2, family, name)
        _order(d)
        flow = d.weir.describe("flow", "g1", "--service", "tcp/80")
        d.story.show("weir describe flow g1 --service tcp/80", flow, 16)
        d.story.expect("`weir describe flow` names the chain and both nodes in order",
                       "web-inspect" in flow and -1 < flow.find("n1") < flow.find("n2"))
    with d.story.step("The same between g1 and g3, which are on one host but not in one segment"):
        for family, name in FAMILIES:
            _download(d, d.fabric.g1, d.fabric.g3, family, name)


def _download(d: Set, client: Guest, server: Guest, family: str, name: str) -> None:
    before = d.nodes_seen()
    download = client.download(at(getattr(server, name), path="/file"))
    whole = download.finished(15) and download.digest() == server.file_digest
    d.story.expect(f"{client.name} downloads from {server.name} over {family}, unharmed", whole,
                   f"{download.size} bytes, SHA-256 {download.digest()[:12]}…")
    n1, n2 = wait_until("the nodes have counted", lambda: _grown(d, before), 5)
    d.story.expect(f"both nodes saw that traffic, {family}", min(n1, n2) > FEW,
                   f"n1 counts {n1} packets, n2's nftables {n2}")


def _grown(d: Set, before: tuple[int, int]) -> tuple[int, int] | None:
    now = d.nodes_seen()
    grown = now[0] - before[0], now[1] - before[1]
    return grown if min(grown) > FEW else None


def _order(d: Set) -> None:
    """The legs of one handshake on the underlay, and what n1 wrote down about it."""
    with Underlay(d.fabric) as under:
        d.fabric.g1.fetch(at(d.fabric.g2.ip4))
        syn = next(f for leg in under.wait_for(1, flags=0x02) for f in [leg.inner])
        there, back = legs_of_handshake(under, syn.src_port)
    d.story.tell("The SYN:")
    for leg in there:
        d.story.tell("  " + way(leg))
    d.story.tell("Its answer:")
    for leg in back:
        d.story.tell("  " + way(leg))
    d.story.expect("the SYN goes from n1 (on h1) to n2 (h2), back to its anchor, then to g2",
                   [(leg.sender, leg.smd.si if leg.smd else None) for leg in there]
                   == [("h1", 1), ("h2", 0), ("h1", None)])
    d.story.expect("its answer comes to g1's host first, then goes to n2, then to n1",
                   [(leg.sender, leg.smd.si if leg.smd else None) for leg in back]
                   == [("h2", None), ("h1", 2), ("h2", 1)])
    visits = [(v["d"], v["si"]) for v in d.fabric.n1.visits()
              if f":{syn.src_port}" in v["tuple"]]
    d.story.expect("n1's own log: first on the way there (SI 2), last on the way back (SI 1)",
                   sorted(visits) == [(0, 2), (1, 1)], f"(D, SI) = {sorted(visits)}")


def node_firewall(d: Set) -> None:
    with d.story.step("n2's nftables cuts port 8080, which Weir's firewall allows"):
        before = d.fabric.n2.counters()["denied_8080"]
        for family, name in FAMILIES:
            got = d.fabric.g1.fetch(at(getattr(d.fabric.g2, name), 8080), timeout_s=1.2)
            d.story.expect(f"g1 gets nothing from port 8080, {family}", got.code == 0, got.error)
        denied = d.fabric.n2.counters()["denied_8080"] - before
        d.story.expect("n2's own rule counted it", denied >= 2, f"{denied} packets dropped by n2")
        local = d.fabric.g2.fetch(at("127.0.0.1", 8080))
        d.story.expect("g2 itself serves port 8080", local.ok, local.body.decode().strip())


def firewall(d: Set) -> None:
    with d.story.step("The distributed firewall denies ssh where the traffic starts"):
        before = d.weir.rule_hits("deny-ssh")
        with Underlay(d.fabric) as under:
            for family, name in FAMILIES:
                address = getattr(d.fabric.g2, name)
                d.story.expect(f"g1 cannot connect to port 22 of g2 over {family}",
                               not d.fabric.g1.can_connect(address, 22, 0.6))
            sent = under.legs(dst_port=22)
        hits = wait_until("the rule counts", lambda: d.weir.rule_hits("deny-ssh") - before, 5)
        d.story.expect("the rule counted it", hits >= 2, f"deny-ssh: {hits} hits")
        d.story.expect("nothing of it left g1's host", not sent, f"{len(sent)} frames in tunnels")


def revoked_rule(d: Set) -> None:
    with d.story.step("A rule that is revoked stops a running download at its next packet"):
        download = d.fabric.g1.download(at(d.fabric.g2.ip4, path="/slow"))
        download.must_grow(100_000)
        d.story.tell(f"{download.size} bytes have come")
        d.change("firewall-rule", "allow-web", enabled=False)
        size = download.settled_size()
        stays("the download stands still", lambda: download.size == size, for_s=1.0)
        d.story.expect("nothing more comes, though nobody closed the connection",
                       download.daemon.running(), f"not a byte within a second after {size}")
        download.daemon.stop()
        d.change("firewall-rule", "allow-web", enabled=True)
        d.story.expect("with the rule back, new downloads work",
                       d.fabric.g1.fetch(at(d.fabric.g2.ip4)).ok)
