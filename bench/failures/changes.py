"""How new connections spread over paths, and what changes of the intent do to those that live."""
import time
from collections.abc import Callable

from weirlab.t0 import T0

from traffic import Traffic

SHARE_OF_N1 = 0.75
ROUNDS, EVERY_S = 20, 0.3


def set_weights(t0: T0, n1: int, n3: int) -> None:
    t0.weir.put(*({"kind": "service-node", **t0.weir.get("service-node", node), "weight": weight}
                  for node, weight in (("n1", n1), ("n3", n3))))


def share_of_n1(t0: T0) -> float:
    """Of connections by now, those that n1 has seen."""
    seen = {node: len({visit["tuple"] for visit in t0.aware(node).visits() if visit["d"] == 0})
            for node in ("n1", "n3")}
    return seen["n1"] / max(sum(seen.values()), 1)


def weights_turn(t0: T0, turn: int) -> None:
    set_weights(t0, *((100, 300) if turn % 2 == 0 else (300, 100)))


def hops_turn(t0: T0, turn: int) -> None:
    """One node of the service or both in turn: every path has other hops, so another epoch."""
    if turn == 0:
        t0.weir.put({"kind": "service-profile", "name": "again", "service": "fw"})
    t0.weir.put({"kind": "service-chain", **t0.weir.get("service-chain", "c2"),
                 "forward": ["fw", "again"] if turn % 2 == 0 else ["fw"]})


def go_on_through(t0: T0, traffic: Traffic, turn_to: Callable[[T0, int], None]) -> None:
    """`ROUNDS` changes while all connections go on; the last is realised when this returns."""
    with traffic:
        time.sleep(1)
        for turn in range(ROUNDS):
            turn_to(t0, turn)
            time.sleep(EVERY_S)
        t0.weir.wait()
        time.sleep(3)
