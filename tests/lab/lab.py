#!/usr/bin/python3
"""The demo's set-up, left running to play with: ./dev lab up, ./dev lab down."""
import argparse
import os
import sys
from pathlib import Path

from weirlab import lab as labs
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
lab {lab.id} is up. The Weir command for it:
    alias weir='{weir.command_line()}'
    weir get port; weir trace g1 g2 tcp/80; weir top; weir drops
A shell in a guest, and traffic through the chain and around it:
    ip netns exec {g1} bash
    ip netns exec {g1} curl http://{fabric.g2.ip4}/
    ip netns exec {g1} ping {fabric.g3.ip4}
Logs and state: {lab.folder}. To remove every trace: ./dev lab down {lab.id}""")
    return 0


def down(which: str) -> int:
    kept = [lab_id for lab_id, state in labs.labs().items() if state["keep"]]
    if which and which not in labs.labs():
        print(f"there is no lab {which}; running: {' '.join(kept) or 'none'}", file=sys.stderr)
        return 1
    for lab_id in [which] if which else kept:
        labs.remove(lab_id)
        print(f"lab {lab_id} is gone")
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
