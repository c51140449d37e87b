"""The text format that Prometheus collects, read strictly."""
import re
from dataclasses import dataclass, field

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (\S+)")


@dataclass
class Family:
    type: str
    help: str
    samples: dict[tuple, float] = field(default_factory=dict)  # labels (and suffix) -> value


def parse(page: str) -> dict[str, Family]:
    families: dict[str, Family] = {}
    helps: dict[str, str] = {}
    current = ""
    if not page.endswith("\n"):
        raise AssertionError("the last line has no end")
    for line in page.splitlines():
        if line.startswith("# HELP "):
            _, _, current, *text = line.split(" ", 3)
            if current in helps:
                raise AssertionError(f"two families {current}")
            helps[current] = text[0] if text else ""
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name != current or kind not in ("counter", "gauge", "histogram"):
                raise AssertionError(line)
            families[name] = Family(kind, helps[name])
        else:
            _sample(families[current], current, line)
    for name, family in families.items():
        if family.type == "histogram":
            _buckets(name, family)
    return families


def _sample(family: Family, name: str, line: str) -> None:
    found = _SAMPLE.fullmatch(line)
    if not found or not found[1].startswith(name):
        raise AssertionError(line)
    suffix = found[1].removeprefix(name)
    if suffix not in (("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)):
        raise AssertionError(line)
    labels = tuple(tuple(one.split("=", 1)) for one in re.findall(_LABEL, found[2] or ""))
    key = tuple((k, v[1:-1]) for k, v in labels) + ((suffix,) if suffix else ())
    if key in family.samples:
        raise AssertionError(f"twice: {line}")
    family.samples[key] = float(found[3])


def _buckets(name: str, family: Family) -> None:
    """Bounds rise, counts do not fall, the last one is +Inf and equals the count."""
    series: dict[tuple, list[tuple[float, float]]] = {}
    for key, value in family.samples.items():
        if key[-1] != "_bucket":
            continue
        bound = next(float(k[1]) for k in key[:-1] if k[0] == "le")
        rest = tuple(k for k in key[:-1] if k[0] != "le")
        series.setdefault(rest, []).append((bound, value))
    for labels, buckets in series.items():
        if buckets != sorted(buckets) or [v for _, v in buckets] != sorted(v for _, v in buckets):
            raise AssertionError(f"{name}{labels}: {buckets}")
        if buckets[-1] != (float("inf"), family.samples[labels + ("_count",)]):
            raise AssertionError(f"{name}{labels}: its count is not its last bucket")
