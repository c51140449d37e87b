"""One start of one side: set up, warm up, windows, and whether what came back was right."""
import shutil
import time
from pathlib import Path

from . import delays, under_load
from . import page as pages
from .process import Failed, wait

WINDOWS = 5
SETUP_LIMIT = 120.0
STALL_LIMIT = 5.0


def run_once(bench, side, room: Path, generator: Path, windows: int = WINDOWS,
             load: float = 0.0) -> dict:
    """Rates of every window in packets for each second that the forwarding threads had a core:
    what others take from them is no slowness of theirs. Raw counts and wall time beside them."""
    own = room / "side"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700)
    page = pages.Page(own / "page", int(side.traffic.get("parts", 1)))
    settings = bench.settings(str(page.path), **side.traffic)
    environment = {"LD_PRELOAD": str(generator), "WEIR_GEN": settings}
    try:
        programs = side.start(bench, own, environment)
        main = programs[0]
        wait(lambda: main.check() and page.ready(), f"{main.name}: ports", 60)
        wait(lambda: main.check() and has_thread(main, side.thread), f"{main.name}: threads")
        threads = main.pin(side.thread, [1, 0][:getattr(side, "workers", 1)])
        return measure(bench, side, page, main, threads, windows, load)
    finally:
        side.cleanup()
        page.close()


def has_thread(program, name: str) -> bool:
    return any(comm.startswith(name) for comm in program.threads().values())


def measure(bench, side, page, main, threads: list[int], windows: int, load: float) -> dict:
    page.set("command", pages.RUN)
    begun = time.monotonic()
    open_flows(side, page, main)
    opened = time.monotonic() - begun
    rest(page, main, bench)
    before = side.decisions(page.path.parent) if hasattr(side, "decisions") else None
    if load:
        out = delays.measure(bench, page, main, load, windows)
    elif bench.troubled:
        out = under_load.measure(bench, side, page, main,
                                 lambda: window(page, main, threads, bench.window), windows)
    else:
        rows = [window(page, main, threads, bench.window) for _ in range(windows)]
        out = {"rates": [row["came"] / row["cpu_seconds"] for row in rows], "windows": rows,
               "cpu_share": min(row["cpu_share"] for row in rows)}
    if before is not None:
        out["decisions"] = {"before": before, "after": side.decisions(page.path.parent)}
    page.set("command", pages.HOLD)
    try:
        wait(lambda: page.sent() == page.came(), "what was sent", 3)
    except Failed:
        pass  # the complaints say what is missing
    a, b = page.side(0), page.side(1)
    same_bytes = not bench.tunnel and not getattr(side, "trims", False)
    wrong = [text for part in zip(page.parts(0), page.parts(1))
             for text in pages.complaints(*part, same_bytes)]
    wrong += side.complaints(a, b) if hasattr(side, "complaints") else []
    wrong += redecided(**out["decisions"]) if before is not None else []
    if wrong:
        wrong += drops(side, page)
    return {**out, "setup_seconds": opened, "tsc_hz": page.get("tsc_hz"), "side_a": a, "side_b": b,
            "wrong": wrong}


def redecided(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """What is wrong, by what a side with services says of its decisions around the windows."""
    if not before:
        return ["it does not say how often it decides"]
    if before != after:
        return [f"flows that were decided were decided again: {before} → {after}"]
    return []


def drops(side, page) -> list[str]:
    """What the side under test says of its losses, if it says anything."""
    try:
        return side.drops(page.path.parent) if hasattr(side, "drops") else []
    except OSError as why:
        return [f"it does not answer: {why}"]


def open_flows(side, page, main) -> None:
    """Waits for the steady phase, as long as there is progress."""
    came, moved = -1, time.monotonic()
    while main.check() and page.get("phase") != pages.STEADY:
        if page.came() != came:
            came, moved = page.came(), time.monotonic()
        if time.monotonic() - moved > STALL_LIMIT:
            lost = "; ".join(drops(side, page))
            raise Failed(f"opening the connections stalls after {came} packets: {lost}")
        time.sleep(0.02)


def rest(page, main, bench) -> None:
    """Warm-up: at least as long as is said, and every flow seen twice in both directions."""
    enough = page.came() + 4 * bench.flows
    time.sleep(bench.warm_up)
    wait(lambda: main.check() and page.came() >= enough, "warm-up", SETUP_LIMIT)


def window(page, main, threads: list[int], seconds: float) -> dict:
    cpu = sum(main.cpu_seconds(t) for t in threads)
    own = main.own_seconds() if hasattr(main, "own_seconds") else None
    before, start = page.came(), time.monotonic()
    time.sleep(seconds)
    after, end = page.came(), time.monotonic()
    used = sum(main.cpu_seconds(t) for t in threads) - cpu
    main.check()
    row = {"came": after - before, "seconds": end - start, "cpu_seconds": used / len(threads),
           "cpu_share": round(used / len(threads) / (end - start), 4)}
    if own is not None:
        row["own_seconds"] = main.own_seconds() - own
    return row
