#!/usr/bin/python3
"""What a failing service node costs ten thousand live connections, for each failure policy.

A node of a chain of one aware service is killed, stopped (as if it hung), slowed (a packet waits up
to 90 ms), flaps (a second each way), or its host is cut off for eight seconds, with and without
another node in its place. The table says what was lost, which connections either end saw reset, and
whether anything arrived where it does not belong. Before that, twenty changes of weights and of
hops while all connections go on. Exit status 1: something went astray, or PS-5, PS-7 or LV-10 of
spec service-plane was broken."""
import argparse
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "lab"))

from weirlab.lab import Lab
from weirlab.t0 import GUESTS, T0
from weirlab.wait import wait_until

import changes
from faults import FAULTS, Fault
from traffic import PORT, Traffic

CALM_S, FAULT_S, AFTER_S = 2.0, 8.0, 6.0
WITH_OTHER, ALONE = ("n1", "n3"), ("n1",)
# Name → nodes, fields of the chain.
CASES: dict[str, tuple[tuple[str, ...], dict]] = {
    "block": (WITH_OTHER, {"failure_policy": "block"}),
    "allow": (WITH_OTHER, {"failure_policy": "allow"}),
    "reset": (WITH_OTHER, {"failure_policy": "reset"}),
    "block-without-rebalance": (WITH_OTHER, {"failure_policy": "block",
                                             "reselect_midflow": False}),
    "block-alone": (ALONE, {"failure_policy": "block"}),
    "allow-alone": (ALONE, {"failure_policy": "allow"}),
    "reset-alone": (ALONE, {"failure_policy": "reset"}),
    "hold-alone": (ALONE, {"failure_policy": "block", "hold_packets": 4, "hold_ms": 10_000}),
}


def set_up(lab: Lab, nodes: tuple[str, ...], fields: dict) -> T0:
    t0 = T0(lab, nodes, every_packet=False)
    t0.weir.put({"kind": "service-chain", **t0.weir.get("service-chain", "c2"),
                 "path_selection": "weighted", **fields})
    t0.redirect("g1", "g2", chain="c2", port=PORT)
    t0.guests["g1"].ping(GUESTS["g2"][2])
    wait_until("n1 is up", lambda: t0.weir.node_state("n1") == "up")
    wait_until("every tunnel is up", lambda: all(
        row["state"] == "up" for row in t0.weir.ask("h1", "bfd.sessions")))
    return t0


class DownWatch:
    """When h1 first held a path for unusable, in seconds from now."""

    def __init__(self, t0: T0):
        self.t0, self.after_s = t0, None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "DownWatch":
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while self.after_s is None and not self._stop.wait(0.05):
            if any(chain["usable_paths"] < chain["paths"]
                   for chain in self.t0.weir.ask("h1", "insert.chains")):
                self.after_s = time.monotonic() - self._began


def count(t0: T0, metric: str) -> int:
    return t0.weir.counters(["h1"])[metric, "c2"]


MOVED = "weir_service_chain_path_switch_total"
BYPASSED = "weir_service_chain_bypass_engaged_total"


def visits_of_others(t0: T0) -> int:
    return sum(visit["sci"] != 2 for node in t0.fabric.aware.values() for visit in node.visits())


def measure(t0: T0, fault: Fault, flows: int, rate: int) -> dict:
    traffic = Traffic(t0, flows, rate)
    before = {metric: count(t0, metric) for metric in (MOVED, BYPASSED)}
    with traffic:
        time.sleep(CALM_S)
        with DownWatch(t0) as watch:
            began = time.monotonic()
            fault(t0, FAULT_S)
            time.sleep(AFTER_S)
    run = traffic.run
    lost = [when - began for number, when in enumerate(run.sent) if number not in run.arrived]
    return {"sent": len(run.sent), "lost": len(lost), "early": sum(when < -0.2 for when in lost),
            "first": min((w for w in lost if w >= -0.2), default=0.0), "last": max(lost, default=0),
            "down_after": watch.after_s, "resets": len(run.resets), "duplicates": run.duplicates,
            "misdirected": run.misdirected + visits_of_others(t0),
            "moved": count(t0, MOVED) - before[MOVED],
            "bypassed": count(t0, BYPASSED) - before[BYPASSED]}


HEAD = ("| node | policy | down after, s | packets | lost | last lost after, s | reset "
        "| moved | bypassed | doubled | misdirected |\n" + "|---" * 11 + "|\n")


def row(fault: str, policy: str, m: dict) -> str:
    share = 100 * m["lost"] / max(m["sent"], 1)
    down = "never" if m["down_after"] is None else f"{m['down_after']:.2f}"
    early = f", {m['early']} before" if m["early"] else ""
    last = f"{m['last']:.2f}" if m["lost"] else "–"
    return (f"| {fault} | {policy} | {down} | {m['sent']} | {m['lost']} ({share:.1f} %){early} "
            f"| {last} | {m['resets']} | {m['moved']} | {m['bypassed']} | {m['duplicates']} "
            f"| {m['misdirected']} |\n")


def complaint(fault: str, policy: str, m: dict) -> str:
    """What the spec forbids; empty when there is nothing."""
    if m["misdirected"]:
        return f"{fault}, {policy}: {m['misdirected']} packets where they do not belong"
    bound = FAULTS[fault][1]
    nodes, fields = CASES[policy]
    heals = nodes == WITH_OTHER and fields.get("reselect_midflow", True)
    took = max(m["last"], m["down_after"] or FAULT_S)
    if bound and heals and took > bound:
        return f"{fault}, {policy}: flows moved after {took:.2f} s, {bound} s allowed (LV-10)"
    return ""


CHANGES = {"weights": changes.weights_turn, "hops": changes.hops_turn}
CHANGES_HEAD = ("| twenty changes of | n1's share of connections | packets | lost | dropped, by "
                "exit | moved | doubled | misdirected |\n" + "|---" * 8 + "|\n")


def changes_row(name: str, flows: int, rate: int) -> tuple[str, str]:
    """The row and what the spec forbids of it."""
    with Lab() as lab:
        t0 = set_up(lab, WITH_OTHER, {"failure_policy": "block"})
        changes.set_weights(t0, 300, 100)
        t0.weir.wait()
        traffic, moved = Traffic(t0, flows, rate), count(t0, MOVED)
        before = t0.weir.drops()
        changes.go_on_through(t0, traffic, CHANGES[name])
        run, share = traffic.run, changes.share_of_n1(t0)
        moved = count(t0, MOVED) - moved
        astray = run.misdirected + visits_of_others(t0)
        drops = {exit: n - before.get(exit, 0) for exit, n in t0.weir.drops().items()
                 if n > before.get(exit, 0)}
    lost = len(run.sent) - len(run.arrived)
    spread = f"{100 * share:.1f} %" if name == "weights" else "all: it is on every path in turn"
    line = (f"| {name} | {spread} | {len(run.sent)} | {lost} "
            f"| {', '.join(f'`{e}` {n}' for e, n in sorted(drops.items())) or '–'} | {moved} "
            f"| {run.duplicates} | {astray} |\n")
    wrong = [f"{astray} packets where they do not belong"] * (astray > 0)
    if name == "weights":
        wrong += [f"{moved} connections moved (PS-7)"] * (moved > 0)
        if abs(share - changes.SHARE_OF_N1) > 0.03:
            wrong += [f"n1 has {share:.3f} instead of {changes.SHARE_OF_N1} of them (PS-5)"]
    return line, "; ".join(f"{name}: {what}" for what in wrong)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench --failures",
                                     description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--flows", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=4_000, help="packets a second, of all together")
    parser.add_argument("--nodes", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="FAULT",
                        help=", ".join(FAULTS))
    parser.add_argument("--policies", nargs="+", choices=CASES, default=list(CASES),
                        metavar="POLICY", help=", ".join(CASES))
    parser.add_argument("--changes", nargs="*", choices=CHANGES, default=list(CHANGES),
                        metavar="CHANGE", help=", ".join(CHANGES))
    wanted = parser.parse_args()
    complaints = []
    print(CHANGES_HEAD, end="", flush=True)
    for name in wanted.changes:
        line, complaint_of_it = changes_row(name, wanted.flows, wanted.rate)
        print(line, end="", flush=True)
        complaints += filter(None, [complaint_of_it])
    print("\n" + HEAD, end="", flush=True)
    for policy in wanted.policies:
        for name in wanted.nodes:
            with Lab() as lab:
                t0 = set_up(lab, *CASES[policy])
                measured = measure(t0, FAULTS[name][0], wanted.flows, wanted.rate)
            print(row(name, policy, measured), end="", flush=True)
            complaints += filter(None, [complaint(name, policy, measured)])
    for line in complaints:
        print(line, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main() if os.geteuid() == 0 else "root is needed: this makes network namespaces")
