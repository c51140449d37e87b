"""Polling with a bound: the only place of the lab that pauses."""
import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# How many times slower than a release build the build under test may be: bounds of time that say
# nothing of Weir's own timers are so much longer. `./dev test --asan` and `--tsan` set it.
SLOWNESS = float(os.environ.get("WEIR_SLOWNESS", "1"))


class NotInTime(AssertionError):
    """What was waited for did not happen."""


def wait_until(what: str, condition: Callable[[], T], timeout_s: float = 20.0,
               every_s: float = 0.02) -> T:
    """Calls `condition` until it returns something true, and returns that.

    A CommandFailed, OSError or ValueError counts as "not yet"; the last one is told at the end.
    """
    timeout_s *= SLOWNESS
    end = time.monotonic() + timeout_s
    last: Exception | None = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            last = error
        if time.monotonic() >= end:
            why = f": {last}" if last else ""
            raise NotInTime(f"not within {timeout_s:g} s: {what}{why}")
        time.sleep(every_s)


def settled(what: str, value: Callable[[], T], every_s: float = 0.25) -> T:
    """What two looks in a row agree on."""
    seen = [value()]

    def agreed() -> bool:
        seen.append(value())
        return seen[-1] == seen[-2]
    time.sleep(every_s)
    wait_until(f"settled: {what}", agreed, every_s=every_s)
    return seen[-1]


def stays(what: str, condition: Callable[[], object], for_s: float, every_s: float = 0.02) -> None:
    """Checks that `condition` holds at every look for `for_s` seconds."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"did not stay so for {for_s:g} s: {what}")
        time.sleep(every_s)
