"""The command line: which benchmarks, how often, in which order."""
import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

from . import catalogue, chains, delays, machine, memif, report, stats, under_load
from .ovs import Ovs
from .process import Failed
from .run import WINDOWS, run_once
from .testpmd import Testpmd
from .weir import Weir
from .wire import Nft, WireWeir

ROOT = Path(__file__).resolve().parents[2]
HUGE_MEGABYTES = 3072
WIRED = {"nft": Nft, "weir-wire": WireWeir}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_side(name: str, build: Path, bench):
    if bench.memif:
        return memif.make_side(name, build)
    if "/" in name:
        return chains.make_side(name, build)
    if name in WIRED:
        return WIRED[name](build)
    if name.startswith("weir"):
        workers = 1 if name == "weir" else 2
        return Weir(build, workers, 1 if name == "weir-2-handing" else workers)
    if name == "ovs":
        return Ovs()
    return Testpmd(name.removeprefix("testpmd-"))


def missing(side) -> list[str]:
    return [need for need in side.needs if not shutil.which(need) and not Path(need).exists()]


def compare(bench, options, room: Path, load: float = 0.0) -> dict:
    """All starts of all sides: {side: [start]}; a side that cannot be had is left out."""
    build = Path(options.build).resolve()
    sides = []
    for name in options.sides or bench.sides:
        lacks = missing(make_side(name, build, bench))
        if lacks:
            say(f"{bench.name}: no {name}: {', '.join(lacks)} is not there")
        else:
            sides.append(name)
    starts: dict[str, list[dict]] = {name: [] for name in sides}
    for number in range(options.starts):
        for name in stats.rotated(sides, number):
            try:
                one = run_once(bench, make_side(name, build, bench), room,
                               build / "lib/libweir-gen.so", options.windows, load)
            except Failed as why:
                one = {"rates": [], "wrong": [str(why)], "windows": []}
                keep_logs(room, ROOT / "bench/results" / f"{bench.name}-{name}-logs")
            starts[name].append(one)
            say(report.line(bench, name, number, one))
    return starts


def half_of(bench, options, room: Path) -> float:
    """Half of the rate that the side `load_of` takes, in one start of its own."""
    build = Path(options.build).resolve()
    side = make_side(bench.load_of, build, bench)
    if lacks := missing(side):
        raise Failed(f"no {bench.load_of} to take half the load of: {', '.join(lacks)}")
    one = run_once(bench, side, room, build / "lib/libweir-gen.so", options.windows)
    return report.start_rate(one) / 2


def keep_logs(room: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for log in room.glob("side/*.log"):
        shutil.copy(log, to)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks; none: list them")
    parser.add_argument("--starts", type=int, default=5, help="process starts of every side")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="of half a second, each start")
    parser.add_argument("--sides", nargs="+", help="only these")
    parser.add_argument("--build", default=str(ROOT / "build/release"))
    parser.add_argument("--results", default=str(ROOT / "bench/results"))
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if not options.names:
        for bench in catalogue.ALL.values():
            print(f"{bench.name:18} {bench.about}")
        for group, members in catalogue.GROUPS.items():
            print(f"{group:18} {' '.join(members)}")
        return 0
    options.names = [one for name in options.names for one in catalogue.GROUPS.get(name, (name,))]
    unknown = [name for name in options.names if name not in catalogue.ALL]
    if unknown:
        say(f"bench: no benchmark {', '.join(unknown)}; ./dev bench lists them")
        return 2
    if os.geteuid() != 0:
        say("bench: huge pages, thread priorities and namespaces need root")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and clean up on the way
    failed = False
    for name in options.names:
        bench = catalogue.ALL[name]
        say(f"{name}: {bench.about}; load {machine.busy_elsewhere():.1f}")
        try:
            with machine.HugePages(HUGE_MEGABYTES, say), \
                    machine.Room(Path(f"/run/weir-bench-{os.getpid()}")) as room:
                load = half_of(bench, options, room) if bench.load_of else 0.0
                starts = compare(bench, options, room, load)
        except Failed as why:
            say(f"{name}: {why}")
            failed = True
            continue
        if load:
            result = delays.result(bench, starts, load)
            print(delays.table(bench, result))
        elif bench.chain:
            result = chains.result(bench, starts, Path(options.results))
            print(chains.table(bench, result))
        elif bench.troubled:
            result = under_load.result(bench, starts)
            print(under_load.table(bench, result))
        else:
            result = report.result(bench, starts, Path(options.results))
            print(report.table(bench, result))
        path = report.write(result, Path(options.results))
        print(f"{path}\n", flush=True)
        failed |= bool(result["wrong"])
    return 1 if failed else 0
