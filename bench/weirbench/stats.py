"""Medians, spreads, ratios. Pure functions; stats_test.py holds them."""
from statistics import median

FLOOR_SHARE = 0.40  # of our cycles: above it the bar holds for the ratio net of the I/O floor


def spread(values: list[float]) -> float:
    """(largest - smallest) / median; 0 for fewer than two values."""
    if len(values) < 2 or median(values) == 0:
        return 0.0
    return (max(values) - min(values)) / median(values)


def cycles(hz: float, rate: float) -> float:
    """TSC cycles for each packet at `rate` packets/s."""
    return hz / rate if rate > 0 else float("inf")


def net_cycles(hz: float, rate: float, floor_rate: float) -> float:
    """Cycles for each packet without those that only sending and receiving cost; at least 1."""
    return max(1.0, cycles(hz, rate) - cycles(hz, floor_rate))


def ratios(hz: float, ours: float, peer: float, floor: float) -> dict[str, float | str]:
    """Of our rate to a peer's, plain and net of the I/O floor, and which of the two counts."""
    plain = ours / peer if peer else float("inf")
    net = net_cycles(hz, peer, floor) / net_cycles(hz, ours, floor) if floor else plain
    share = cycles(hz, floor) / cycles(hz, ours) if floor and ours else 0.0
    return {"plain": plain, "net": net, "floor_share": share,
            "counts": "net" if share > FLOOR_SHARE else "plain"}


def rotated(sides: list[str], start: int) -> list[str]:
    """The order of start number `start`: every side is first equally often."""
    turn = start % len(sides) if sides else 0
    return sides[turn:] + sides[:turn]
