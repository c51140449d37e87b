"""A narrated run: steps, what was expected in each, the evidence, and a table at the end."""
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BOLD, _GREEN, _RED, _DIM, _PLAIN = "\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m"


@dataclass
class Expectation:
    step: int
    what: str
    met: bool
    evidence: str


class Story:
    """Prints as it goes; `report` gets the same without colours."""

    def __init__(self, title: str, report: Path, say: Callable[[str], None] | None = None):
        self.expectations: list[Expectation] = []
        self._report = report.open("w", encoding="utf-8")
        self._say = say or print
        self._colours = sys.stdout.isatty()
        self._started = time.monotonic()
        self._steps = 0
        self._line(title, _BOLD)
        self._line("=" * len(title))

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """What goes wrong inside is an expectation that is not met; the story goes on."""
        self._steps += 1
        self._line("")
        self._line(f"{self._steps}. {title}   [{self.seconds():.1f} s]", _BOLD)
        try:
            yield
        except (AssertionError, RuntimeError, OSError, LookupError, ValueError) as error:
            text = str(error).strip() or type(error).__name__
            self.expect("the step comes to its end", False, text.replace("\n", " ")[:400])

    def tell(self, text: str) -> None:
        for line in text.splitlines():
            self._line(f"   {line}")

    def show(self, command: str, output: str, limit: int = 40) -> None:
        """A command as typed, and what it said."""
        self._line(f"   $ {command}", _DIM)
        lines = output.rstrip().splitlines()
        for line in lines[:limit]:
            self._line(f"   │ {line}")
        if len(lines) > limit:
            self._line(f"   │ … {len(lines) - limit} more lines")

    def expect(self, what: str, met: object, evidence: object = "") -> bool:
        one = Expectation(self._steps, what, bool(met), str(evidence))
        self.expectations.append(one)
        mark, colour = ("✔", _GREEN) if one.met else ("✘", _RED)
        text = f"{what}: {one.evidence}" if one.evidence else what
        self._line(f"   {mark} {text}", colour)
        return one.met

    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def all_met(self) -> bool:
        return bool(self.expectations) and all(e.met for e in self.expectations)

    def table(self) -> None:
        self._line("")
        self._line("Expectations", _BOLD)
        width = min(max((len(e.what) for e in self.expectations), default=0), 84)
        for e in self.expectations:
            colour = _GREEN if e.met else _RED
            self._line(f"  {e.step:>2}  {e.what[:width]:<{width}}  {'met' if e.met else 'NOT MET'}",
                       colour if not e.met else "")
        met = sum(e.met for e in self.expectations)
        self._line(f"  {met} of {len(self.expectations)} met in {self.seconds():.1f} s",
                   _GREEN if self.all_met else _RED)

    def close(self) -> None:
        self._report.close()

    def _line(self, text: str, colour: str = "") -> None:
        self._report.write(text + "\n")
        self._report.flush()
        self._say(f"{colour}{text}{_PLAIN}" if colour and self._colours else text)
