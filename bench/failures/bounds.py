"""How new connections are spread, and what changes of the intent do to those that live."""
import time
from collections import Counter

from weirlab.t0 import T0

from traffic import Traffic

SHARE_OF_N1 = 0.75  # by its weight
CHANGES, EVERY_S = 20, 0.3


def set_weight(t0: T0, node: str, weight: int) -> None:
    t0.weir.put({"kind": "service-node", **t0.weir.get("service-node", node), "weight": weight})


def first_visits(t0: T0) -> Counter[str]:
    """Node → connections whose SYN it saw."""
    return Counter({name: len({visit["src_port"] for visit in node.visits()
                               if visit["d"] == 0}) for name, node in t0.fabric.aware.items()})


def change_chain(t0: T0, turn: int) -> None:
    """One of four changes that leave every path usable, in turn."""
    chain = {"kind": "service-chain", **t0.weir.get("service-chain", "c2")}
    if turn % 4 == 0:
        set_weight(t0, "n1", 100 + turn)
    elif turn % 4 == 1:
        t0.weir.put({**chain, "failure_policy": "allow" if turn % 8 == 1 else "block"})
    elif turn % 4 == 2:
        t0.weir.put({**chain, "reverse": ["fw"] if turn % 8 == 2 else []})
    else:
        t0.weir.put({**chain, "max_static_paths": 8 + turn})
