"""The counters of the generator (bench/gen/page.hpp), a file of 8-byte words."""
import mmap
import struct
from pathlib import Path

MAGIC = 0x31304E4547524957
VERSION = 2
WORD = 8
HEADER = ("magic", "version", "command", "phase", "rate", "tsc_hz", "attached",
          "noise")
SIDE = ("sent", "sent_bytes", "sent_sum", "came", "came_bytes", "came_sum", "other", "asked",
        "idle", "wrong_length", "wrong_header", "wrong_ip_checksum", "wrong_l4_checksum",
        "wrong_tuple", "opened", "finished", "noise_sent", "noise_came")
SIDE_AT = (64, 256)
DELAYS_AT = 448
DELAY_BUCKETS = 4096
BYTES = DELAYS_AT + DELAY_BUCKETS * WORD
HOLD, RUN = 0, 1
STEADY = 2


class Page:
    """One process start's pages: one, or one for each queue of a side's port. What is told is told
    to all; what is counted is added up."""

    def __init__(self, path: Path, parts: int = 1):
        self.path = path
        path.write_bytes(bytes(BYTES * parts))
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), BYTES * parts)
        self.begins = [BYTES * part for part in range(parts)]

    def close(self) -> None:
        self.memory.close()
        self.path.unlink(missing_ok=True)

    def word(self, at: int) -> int:
        return struct.unpack_from("<Q", self.memory, at)[0]

    def set_word(self, at: int, value: int) -> None:
        struct.pack_into("<Q", self.memory, at, value)

    def get(self, name: str) -> int:
        """Of the part that has got least far."""
        return min(self.word(begin + HEADER.index(name) * WORD) for begin in self.begins)

    def set(self, name: str, value: int) -> None:
        for begin in self.begins:
            self.set_word(begin + HEADER.index(name) * WORD, value)

    def parts(self, number: int) -> list[dict[str, int]]:
        """A side's counters, part by part."""
        return [dict(zip(SIDE, struct.unpack_from(f"<{len(SIDE)}Q", self.memory,
                                                  begin + SIDE_AT[number])))
                for begin in self.begins]

    def side(self, number: int) -> dict[str, int]:
        parts = self.parts(number)
        return {name: sum(part[name] for part in parts) for name in SIDE}

    def total(self, name: str) -> int:
        return sum(self.word(begin + at + SIDE.index(name) * WORD)
                   for begin in self.begins for at in SIDE_AT)

    def came(self) -> int:
        """Packets that came back at both sides."""
        return self.total("came")

    def sent(self) -> int:
        return self.total("sent")

    def ready(self) -> bool:
        """Both ports have started, and generator and driver mean the same by a page."""
        if self.get("magic") == 0:
            return False
        if self.get("magic") != MAGIC or self.get("version") != VERSION:
            raise RuntimeError("the generator's page has another layout: build it again")
        return self.get("attached") >= 2

    def delays(self) -> list[int]:
        parts = [struct.unpack_from(f"<{DELAY_BUCKETS}Q", self.memory, begin + DELAYS_AT)
                 for begin in self.begins]
        return [sum(bucket) for bucket in zip(*parts)]


def delay_cycles(bucket: int) -> float:
    """The middle of a bucket (bench/gen/delay.hpp)."""
    if bucket < 16:
        return float(bucket)
    power, part = divmod(bucket, 16)
    return (16 + part + 0.5) * 2.0 ** (power - 1)


def percentile(counts: list[int], share: float) -> float:
    """Cycles that `share` of the packets counted did not exceed; 0 when there are none."""
    left = sum(counts) * share
    for bucket, count in enumerate(counts):
        left -= count
        if count and left <= 0:
            return delay_cycles(bucket)
    return 0.0


def complaints(a: dict[str, int], b: dict[str, int], same_bytes: bool) -> list[str]:
    """What is wrong with the counters of the two sides after everything has come back."""
    found = []
    for here, there, way in ((a, b, "a to b"), (b, a, "b to a")):
        if here["sent"] != there["came"]:
            found.append(f"{way}: {here['sent']} packets sent, {there['came']} came back")
        elif here["sent_sum"] != there["came_sum"]:
            found.append(f"{way}: other flows came back than were sent")
        elif same_bytes and here["sent_bytes"] != there["came_bytes"]:
            found.append(f"{way}: {here['sent_bytes']} bytes sent, {there['came_bytes']} came")
    for name, side in (("a", a), ("b", b)):
        found += [f"side {name}: {value} packets with {key.replace('_', ' ')}"
                  for key, value in side.items() if key.startswith("wrong_") and value]
    return found
