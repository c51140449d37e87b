#!/usr/bin/python3
"""Weir's main job on real traffic, narrated: ./dev demo."""
import argparse
import os
import sys
import time
from pathlib import Path

from demo_steps import evidence, failures, traffic
from demo_steps.stage_set import Set
from weirlab.build import SOURCE
from weirlab.lab import Lab
from weirlab.story import Story
from weirlab.two_hosts import EXAMPLE, TwoHosts
from weirlab.weir import Weir

TITLE = "Weir: guests on two hosts, a service chain between them, a firewall at every port"
LIMIT_S = 60


def set_up(lab: Lab, story: Story, folder: Path) -> Set:
    with story.step("Two hosts, three guests, two service nodes, and one file that says it all"):
        fabric = TwoHosts(lab)
        weir = Weir(fabric).start()
        story.tell(f"lab {lab.id}: a weir-host on h1 and on h2, a controller, an IPv4 underlay;")
        story.tell("g1, g3 on h1 (TAP), g2 on h2 (af_packet); n1 on h1: an example service that")
        story.tell("understands Weir; n2 on h2: a Linux bridge with nftables, that does not")
        story.show(f"weir apply -f {EXAMPLE.relative_to(SOURCE)}", weir.apply(EXAMPLE), 12)
        fabric.connect_taps()
        weir.wait()
        applied = weir.applied()
        story.expect("both hosts run the applied revision", len(set(applied.values())) == 1,
                     str(applied))
        said = weir.command("doctor", check=False)
        story.show("weir doctor", said, 20)
        story.expect("the doctor has no complaint", "problems: 0," in said)
        for guest in (fabric.g2, fabric.g3):
            guest.serve_http()
        fabric.g2.serve_iperf3()
        return Set(lab, story, fabric, weir, folder)
    raise SystemExit("the set-up did not come to its end")


def tell(lab: Lab, story: Story, folder: Path) -> None:
    d = set_up(lab, story, folder)
    traffic.pings(d)
    traffic.chain(d)
    traffic.node_firewall(d)
    traffic.firewall(d)
    evidence.trace(d)
    traffic.revoked_rule(d)
    failures.hung_nodes(d)
    failures.controller(d)
    failures.second_apply(d)
    evidence.figures(d)
    evidence.drops(d)
    d.weir.record_exits()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, help="build folder (default: build/release)")
    parser.add_argument("--out", type=Path, help="where to keep report and captures")
    arguments = parser.parse_args()
    if arguments.build:
        os.environ["WEIR_BUILD"] = str(arguments.build)
    unique = f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder = arguments.out or SOURCE / "out" / unique
    folder.mkdir(parents=True, exist_ok=True)
    story = Story(TITLE, folder / "report.txt")
    with Lab() as lab:
        try:
            tell(lab, story, folder)
        finally:
            if not story.all_met:
                lab.tell_logs()
    with story.step("Afterwards"):
        story.expect(f"the demo took less than {LIMIT_S} s", story.seconds() < LIMIT_S,
                     f"{story.seconds():.1f} s")
    story.table()
    story.close()
    print(f"\nreport and captures: {folder}")
    return 0 if story.all_met else 1


if __name__ == "__main__":
    sys.exit(main())
