"""What trouble costs connections that are established: each start alternates windows without and
with it, so that both are measured in one process, in the same minute."""
import threading
import time
from statistics import median

from . import page as pages
from . import report, stats
from .process import Failed

SETTLE = 1.0
CHANGES_A_SECOND = 100
COUNTED = ("weir_drops_total", "weir_flows_evicted_total", "weir_flows_by_kind",
           "weir_flows_refused_total", "weir_flows_renewed_total",
           "weir_firewall_decisions_total", "weir_express_packets_total")


class Changes:
    """Asks the side for so many changes a second while the context lasts."""

    def __init__(self, side):
        self.side = side
        self.stop = threading.Event()
        self.made = 0
        self.failed: list[str] = []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        due = time.monotonic()
        try:
            while not self.stop.wait(max(0.0, due - time.monotonic())):
                self.side.change(self.made)
                self.made += 1
                due += 1 / CHANGES_A_SECOND
        except (Failed, OSError) as why:
            self.failed.append(f"change {self.made}: {why}")

    def __enter__(self) -> "Changes":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


class Noise:
    """Of each hundred packets of side a, so many are noise while the context lasts."""

    def __init__(self, page, share: int):
        self.page = page
        self.share = share
        self.failed: list[str] = []

    def __enter__(self) -> "Noise":
        self.page.set("noise", self.share)
        return self

    def __exit__(self, *_: object) -> None:
        self.page.set("noise", 0)


def trouble(bench, side, page):
    return Noise(page, bench.noise) if bench.noise else Changes(side)


def counters(side, room) -> dict[str, float]:
    """What the side counts of its own, if it counts."""
    lines = side.counters(room) if hasattr(side, "counters") else []
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)
            if name.startswith(COUNTED)}


def measure(bench, side, page, main, one_window, windows: int) -> dict:
    """Rates of calm windows and of troubled ones, and how long packets took at worst meanwhile."""
    room = page.path.parent
    calm, loaded, wrong = [], [], []
    before = counters(side, room)
    for _ in range(windows):
        time.sleep(SETTLE)
        calm.append(one_window())
        with trouble(bench, side, page) as going:
            time.sleep(SETTLE)
            noise = page.side(0)["noise_sent"]
            row = one_window()
            row["noise"] = page.side(0)["noise_sent"] - noise
            loaded.append(row)
        wrong += going.failed
    said = {name: value - (0 if "by_kind" in name else before.get(name, 0.0))
            for name, value in counters(side, room).items()}
    middle = median(rate(row) for row in loaded)
    worst = worst_delays(bench, side, page, main, middle)
    page.set("rate", 0)
    return {"rates": [rate(row) for row in loaded], "calm": [rate(row) for row in calm],
            "windows": loaded, "calm_windows": calm, "delays_ns": worst,
            "cpu_share": min(row["cpu_share"] for row in loaded),
            "counted": {name: value for name, value in said.items() if value}, "trouble": wrong}


def rate(row: dict) -> float:
    return row["came"] / row["cpu_seconds"]


def worst_delays(bench, side, page, main, full: float) -> dict[str, float]:
    """Nanoseconds at half of the troubled rate, where nothing waits for want of time."""
    page.set("rate", int(full / 4))
    time.sleep(SETTLE)
    out = {}
    for name, go in (("calm", False), ("loaded", True)):
        if go:
            with trouble(bench, side, page):
                counts = delays_of(page, main)
        else:
            counts = delays_of(page, main)
        for share, text in ((0.99, "p99"), (1.0, "worst")):
            out[f"{name}_{text}"] = pages.percentile(counts, share) / page.get("tsc_hz") * 1e9
    return out


def delays_of(page, main) -> list[int]:
    before = page.delays()
    time.sleep(2 * SETTLE)
    main.check()
    return [b - a for a, b in zip(before, page.delays())]


def result(bench, starts: dict[str, list[dict]]) -> dict:
    """Of each start: the share of the calm rate that was left."""
    good = {side: [s for s in of if s["rates"] and not s["wrong"]] for side, of in starts.items()}
    kept = {side: [median(s["rates"]) / median(s["calm"]) for s in of]
            for side, of in good.items() if of}
    middle = {side: median(values) for side, values in kept.items()}
    bars = [{"bar": bar.text, "least": bar.least, "plain": middle.get(bar.of),
             "met": middle[bar.of] >= bar.least if bar.of in middle else None}
            for bar in bench.bars]
    return {"name": bench.name, "about": bench.about, "unit": "of the calm rate",
            "ours": {"starts": kept.get(report.OURS, [])},
            "peers": {s: {"starts": v} for s, v in kept.items() if s != report.OURS},
            "medians": middle, "spread": {s: stats.spread(v) for s, v in kept.items()},
            "rates": {side: {"calm": median(median(s["calm"]) for s in of),
                             "loaded": median(median(s["rates"]) for s in of),
                             "noise": median(row["noise"] / row["seconds"] for s in of
                                             for row in s["windows"]),
                             "noise_ns": median(noise_ns(s) for s in of)}
                      for side, of in good.items() if of},
            "delays_ns": {side: {name: max(s["delays_ns"][name] for s in of)
                                 for name in of[0]["delays_ns"]}
                          for side, of in good.items() if of},
            "counted": {side: of[-1]["counted"] for side, of in good.items() if of},
            "bars": bars, "raw": starts,
            "wrong": [f"{side}: start {i + 1}: {wrong}" for side, of in starts.items()
                      for i, one in enumerate(of)
                      for wrong in one["wrong"] + one.get("trouble", [])]}


def noise_ns(start: dict) -> float:
    """What one packet of noise took of the core: the time of the loaded windows that the good
    packets did not need. 0 where the trouble is no noise."""
    each = [(row["cpu_seconds"] - row["came"] / median(start["calm"])) / row["noise"] * 1e9
            for row in start["windows"] if row["noise"]]
    return median(each) if each else 0.0


def table(bench, out: dict) -> str:
    rows = [f"{bench.name}: {bench.about}",
            f"{'side':12}{'calm M/s':>10}{'loaded':>8}{'noise':>8}{'ns each':>9}{'kept':>7}"
            f"{'spread':>8}{'p99 µs':>8}{'loaded':>8}{'worst µs':>10}{'loaded':>8}"]
    for side, of in out["rates"].items():
        delays = out["delays_ns"][side]
        rows.append(f"{side:12}{of['calm'] / 1e6:10.2f}{of['loaded'] / 1e6:8.2f}"
                    f"{of['noise'] / 1e6:8.2f}{of['noise_ns']:9.0f}"
                    f"{out['medians'][side]:7.0%}{out['spread'][side]:8.0%}"
                    f"{delays['calm_p99'] / 1e3:8.1f}{delays['loaded_p99'] / 1e3:8.1f}"
                    f"{delays['calm_worst'] / 1e3:10.0f}{delays['loaded_worst'] / 1e3:8.0f}")
    for side, counted in out["counted"].items():
        rows += [f"  {side}: {name} {value:.0f}" for name, value in counted.items()]
    for bar in out["bars"]:
        met = "unknown" if bar["met"] is None else "met" if bar["met"] else "NOT MET"
        rows.append(f"bar at least {bar['least']:.0%} of {bar['bar']}: {met}")
    return "\n".join(rows + [f"WRONG {wrong}" for wrong in out["wrong"]])
