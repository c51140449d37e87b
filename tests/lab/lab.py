#!/usr/bin/python3
"""The demo's set-up, left running to play with: ./dev lab up, ./dev lab down."""
import argparse
import os
import sys
from pathlib import Path

from weirlab import lab as labs
from weirlab.build import SOURCE, build_folder
from weirlab.lab import Lab
from weirlab.two_hosts import EXAMPLE, TwoHosts
from weirlab.weir import Weir


def up() -> int:
    lab = Lab(keep=True)
    try:
        fabric = TwoHosts(lab)
        weir = Weir(fabric).start()
        print(weir.apply(EXAMPLE))
        fabric.connect_taps()
        weir.wait()
        fabric.g2.serve_http()
        fabric.g3.serve_http()
        fabric.g2.serve_iperf3()
    except BaseException:
        lab.tell_logs()
        labs.remove(lab.id)
        raise
    g1 = fabric.g1.space.full
    print(f"""
lab {lab.id} is up: g1, g3 on h1, g2 on h2; service nodes n1 (h1) and n2 (h2). In this shell:

    export WEIR_SERVER=unix:{weir.socket}
    export PATH={build_folder() / "bin"}:$PATH
    source <(weir completion bash)

What goes on:
    weir get port; weir hosts; weir trace g1 g2 tcp/80; weir flows g1; weir top
    weir drops; weir doctor
Traffic through the chain, past it, and what the firewall and n2 refuse:
    ip netns exec {g1} curl http://{fabric.g2.ip4}/
    ip netns exec {g1} ping -c3 {fabric.g3.ip4}
    ip netns exec {g1} curl -m2 http://{fabric.g2.ip4}:22/
    ip netns exec {g1} curl -m2 http://{fabric.g2.ip4}:8080/
Change it: edit a copy of {EXAMPLE.relative_to(SOURCE)}, then
    weir apply -f COPY --dry-run && weir apply -f COPY && weir wait
Logs and state: {lab.folder}. To remove every trace: ./dev lab down {lab.id}""")
    return 0


def down(which: str) -> int:
    kept = [lab_id for lab_id, state in labs.labs().items() if state["keep"]]
    gone = [lab_id for lab_id in kept if which in ("", lab_id)]
    for lab_id in gone:
        labs.remove(lab_id)
        print(f"lab {lab_id} is gone")
    if not gone:
        print(f"no lab {which} is up; these are: {' '.join(kept)}" if kept else "no lab is up")
    labs.sweep()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["up", "down"])
    parser.add_argument("lab", nargs="?", default="", help="down: which one (default: all)")
    parser.add_argument("--build", type=Path, help="build folder (default: build/release)")
    arguments = parser.parse_args()
    if arguments.build:
        os.environ["WEIR_BUILD"] = str(arguments.build.resolve())
    return up() if arguments.action == "up" else down(arguments.lab)


if __name__ == "__main__":
    sys.exit(main())
