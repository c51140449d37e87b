"""The table and the file of one benchmark."""
import json
from pathlib import Path
from statistics import median

from . import machine, stats

OURS, FLOOR = "weir", "testpmd-io"


def start_rate(start: dict, packets_each: int = 1) -> float:
    return median(start["rates"]) / packets_each if start["rates"] else 0.0


def line(bench, side: str, number: int, start: dict) -> str:
    if not start["rates"]:
        return f"  start {number + 1} {side:16} FAILED: {start['wrong'][0]}"
    share = start.get("cpu_share", 1.0)
    text = f"  start {number + 1} {side:16} "
    if "offered" in start:
        text += f"{start_rate(start):7.0f} ns"
    else:
        text += f"{start_rate(start, bench.packets_each) / 1e6:7.2f} M/s"
    if share < 0.97:
        text += f"  (had {share:.0%} of its core)"
    return text + "".join(f"\n      WRONG: {wrong}" for wrong in start["wrong"])


def rates_of(bench, starts: list[dict]) -> list[float]:
    return [start_rate(s, bench.packets_each) for s in starts if s["rates"] and not s["wrong"]]


def result(bench, starts: dict[str, list[dict]], results: Path) -> dict:
    """What is written: per-start medians, cycles, bars, raw counts."""
    rates = {side: rates_of(bench, of) for side, of in starts.items()}
    middle = {side: median(values) for side, values in rates.items() if values}
    hz = next((s["tsc_hz"] for of in starts.values() for s in of if s.get("tsc_hz")), 0)
    floor = middle.get(FLOOR, 0.0)
    net = {side: stats.net_cycles(hz, rate, floor)
           for side, rate in middle.items() if floor and not side.startswith("testpmd")}
    out = {
        "name": bench.name, "about": bench.about, "unit": bench.unit,
        "ours": {"starts": rates.get(OURS, [])},
        "peers": {s: {"starts": v} for s, v in rates.items()
                  if s != OURS and not s.startswith("testpmd")},
        "io_bound": {"starts": rates.get(FLOOR, []),
                     "macswap": {"starts": rates.get("testpmd-macswap", [])}},
        "cycles": {side: stats.cycles(hz, rate) for side, rate in middle.items()},
        "cycles_net": {("ours" if s == OURS else s): c for s, c in net.items()},
        "medians": middle, "spread": {s: stats.spread(v) for s, v in rates.items() if v},
        "tsc_hz": hz, "machine": machine.describe(), "bars": [],
        "wrong": [f"{side}: start {i + 1}: {wrong}" for side, of in starts.items()
                  for i, one in enumerate(of) for wrong in one["wrong"]],
        "raw": starts,
    }
    out["bars"] = [judge(bar, middle, hz, floor, results) for bar in bench.bars]
    return out


def judge(bar, middle: dict[str, float], hz: float, floor: float, results: Path) -> dict:
    """Whether a bar is met; None where a side is not there to compare with."""
    other = middle.get(bar.to)
    if bar.to.startswith("result:"):
        other = earlier(results, bar.to.removeprefix("result:"))
    if bar.to == "absolute":
        other = 1.0
    ours = middle.get(bar.of)
    said = {"bar": bar.text, "least": bar.least, "met": None}
    if not ours or not other:
        return said | {"why": "nothing to compare with: run it first, or see above"}
    ratios = stats.ratios(hz, ours, other, 0.0 if bar.plain_only else floor)
    counts = "plain" if bar.plain_only else ratios["counts"]
    return said | ratios | {"counts": counts, "met": ratios[counts] >= bar.least}


def earlier(results: Path, name: str) -> float | None:
    """Our median in the latest result of another benchmark."""
    path = results / f"{name}.json"
    if not path.exists():
        return None
    starts = json.loads(path.read_text())["ours"]["starts"]
    return median(starts) if starts else None


def table(bench, out: dict) -> str:
    rows = [f"{bench.name}: {bench.about}", f"{'side':18}{'M ' + out['unit']:>16}{'spread':>9}"
            f"{'cycles':>9}{'net':>8}{'starts':>8}"]
    for side, rate in out["medians"].items():
        net = out["cycles_net"].get("ours" if side == OURS else side)
        rows.append(f"{side:18}{rate / 1e6:16.3f}{out['spread'][side]:9.0%}"
                    f"{out['cycles'][side]:9.0f}{net and format(net, '8.0f') or '':>8}"
                    f"{len(rates_of(bench, out['raw'][side])):8}")
    for side, cycles in own_cycles(out).items():
        rows.append(f"{side}: of these cycles {cycles:.0f} outside the kernel")
    for bar in out["bars"]:
        if bar["met"] is None:
            rows.append(f"bar {bar['least']:g} × {bar['bar']}: unknown: {bar['why']}")
            continue
        net = "" if "net" not in bar or bar["net"] == bar["plain"] else f", net {bar['net']:.2f}"
        rows.append(f"bar {bar['least']:g} × {bar['bar']}: {'met' if bar['met'] else 'NOT MET'}: "
                    f"{bar['plain']:.2f}{net} ({bar['counts']} counts, floor "
                    f"{bar['floor_share']:.0%} of our cycles)")
    rows += [f"WRONG {wrong}" for wrong in out["wrong"]]
    return "\n".join(rows)


def own_cycles(out: dict) -> dict[str, float]:
    """Cycles for each packet that a side spent in its own code, where that is told."""
    made = {}
    for side, starts in out["raw"].items():
        each = [row["own_seconds"] * out["tsc_hz"] / row["came"] for one in starts
                for row in one["windows"] if row.get("own_seconds") is not None and row["came"]]
        if each:
            made[side] = median(each)
    return made


def write(out: dict, results: Path) -> Path:
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{out['name']}.json"
    path.write_text(json.dumps(out, indent=1) + "\n")
    return path
