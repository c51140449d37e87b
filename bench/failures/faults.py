"""What befalls n1, a service node on h3: each lasts a while and is over when the call returns."""
import time
from collections.abc import Callable

from weirlab.t0 import T0

Fault = Callable[[T0, float], None]


def killed(t0: T0, lasts_s: float) -> None:
    node = t0.aware("n1")
    node.daemon.kill()
    time.sleep(lasts_s)
    node.start()


def stopped(t0: T0, lasts_s: float) -> None:
    node = t0.aware("n1")
    node.hang()
    time.sleep(lasts_s)
    node.recover()


def slow(t0: T0, lasts_s: float) -> None:
    """Works for a tenth of the time: a packet waits up to 90 ms."""
    node, until = t0.aware("n1"), time.monotonic() + lasts_s
    while time.monotonic() < until:
        node.hang()
        time.sleep(0.09)
        node.recover()
        time.sleep(0.01)


def flapping(t0: T0, lasts_s: float) -> None:
    node = t0.aware("n1")
    for _ in range(int(lasts_s / 2)):
        node.hang()
        time.sleep(1.0)
        node.recover()
        time.sleep(1.0)


def host_cut_off(t0: T0, lasts_s: float) -> None:
    t0.fabric.under.down("h3")
    time.sleep(lasts_s)
    t0.fabric.under.up("h3")


# Name → what happens, and how long a flow may be without its service where another node can take
# over (LV-10); no bound: the node is never away for good.
FAULTS: dict[str, tuple[Fault, float | None]] = {
    "killed": (killed, 1.5),
    "stopped": (stopped, 1.5),
    "slow": (slow, None),
    "flapping": (flapping, None),
    "host-cut-off": (host_cut_off, 3.5),
}
