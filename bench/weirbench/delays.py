"""The delay a side adds, all sides at the same load: half of what one of them takes."""
import time
from statistics import median

from . import page as pages
from . import report, stats

SETTLE = 1.0
WINDOW = 1.0
SHARES = {"p50": 0.50, "p99": 0.99, "p999": 0.999}


def measure(bench, page, main, rate: float, windows: int) -> dict:
    """Percentiles in nanoseconds of every window, while each port is offered half of `rate`."""
    page.set("rate", int(rate / 2))
    time.sleep(SETTLE)
    hz = page.get("tsc_hz")
    rows = []
    for _ in range(windows):
        before, came, start = page.delays(), page.came(), time.monotonic()
        time.sleep(WINDOW)
        main.check()
        counts = [b - a for a, b in zip(before, page.delays())]
        row: dict[str, float] = {"came": page.came() - came, "seconds": time.monotonic() - start}
        for name, share in SHARES.items():
            row[name] = pages.percentile(counts, share) / hz * 1e9
        rows.append(row)
    return {"windows": rows, "rates": [row["p99"] for row in rows], "offered": rate}


def result(bench, starts: dict[str, list[dict]], rate: float) -> dict:
    """Per-start medians of the 99th percentile; the bar wants ours below the peer's."""
    good = {side: [s for s in of if s["rates"] and not s["wrong"]] for side, of in starts.items()}
    rates = {side: [median(s["rates"]) for s in of] for side, of in good.items()}
    middle = {side: median(values) for side, values in rates.items() if values}
    bars = []
    for bar in bench.bars:
        said: dict[str, object] = {"bar": bar.text, "least": bar.least, "met": None}
        if middle.get(bar.of) and middle.get(bar.to):
            ratio = middle[bar.of] / middle[bar.to]
            said |= {"plain": ratio, "met": ratio <= bar.least}
        bars.append(said)
    return {"name": bench.name, "about": bench.about, "unit": "ns, 99th percentile",
            "load": rate, "ours": {"starts": rates.get(report.OURS, [])},
            "peers": {s: {"starts": v} for s, v in rates.items()
                      if s != report.OURS and not s.startswith("testpmd")},
            "io_bound": {"starts": rates.get(report.FLOOR, [])},
            "medians": middle, "spread": {s: stats.spread(v) for s, v in rates.items() if v},
            "percentiles": {side: {name: median(row[name] for s in of for row in s["windows"])
                                   for name in SHARES} for side, of in good.items() if of},
            "bars": bars, "raw": starts,
            "wrong": [f"{side}: start {i + 1}: {wrong}" for side, of in starts.items()
                      for i, one in enumerate(of) for wrong in one["wrong"]]}


def table(bench, out: dict) -> str:
    rows = [f"{bench.name}: {bench.about}; {out['load'] / 1e6:.2f} M packets/s offered",
            f"{'side':18}" + "".join(f"{name + ' ns':>12}" for name in SHARES) + f"{'spread':>9}"]
    for side, values in out["percentiles"].items():
        rows.append(f"{side:18}" + "".join(f"{values[name]:12.0f}" for name in SHARES)
                    + f"{out['spread'][side]:9.0%}")
    for bar in out["bars"]:
        met = "unknown" if bar["met"] is None else "met" if bar["met"] else "NOT MET"
        rows.append(f"bar at most {bar['least']:g} × {bar['bar']}: {met}"
                    + (f": {bar['plain']:.2f}" if "plain" in bar else ""))
    return "\n".join(rows + [f"WRONG {wrong}" for wrong in out["wrong"]])
