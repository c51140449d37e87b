"""What a run needs of the machine, and gives back: huge pages, a tmpfs with huge pages."""
import mmap
import os
import shutil
import subprocess
from pathlib import Path

from .process import Failed, call

HUGE = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


ROOM_MEGABYTES = 1024  # more than the largest table of a benchmark needs
_HUGE_BYTES = 2 << 20
_MAP_HUGETLB = 0x40000  # of <linux/mman.h>


def _touch(count: int, flags: int) -> None:
    """A virtual machine gets its memory from its host when it touches it first, which costs
    whoever does: nobody who is measured."""
    with mmap.mmap(-1, count, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | flags) as memory:
        for at in range(0, count, _HUGE_BYTES):
            memory[at] = 1


def _fill(path: Path, megabytes: int) -> None:
    """The same of a file's memory, for the files that come after it."""
    block = bytes(1 << 20)
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
    path.unlink()


class HugePages:
    """`megabytes` of 2 MB pages while the context lasts."""

    def __init__(self, megabytes: int, say):
        self.wanted = megabytes // 2
        self.say = say
        self.before = 0

    def __enter__(self) -> "HugePages":
        if not HUGE.exists():
            raise Failed("this kernel has no 2 MB huge pages")
        self.before = int(HUGE.read_text())
        if self.before < self.wanted:
            self.say(f"huge pages: {self.before} of 2 MB → {self.wanted}, given back at the end")
            HUGE.write_text(str(self.wanted))
        if int(HUGE.read_text()) < self.wanted:
            raise Failed(f"only {HUGE.read_text().strip()} of {self.wanted} huge pages: "
                         "the memory is in pieces or too small")
        try:
            _touch(self.wanted * _HUGE_BYTES, _MAP_HUGETLB)
        except OSError as why:
            self.__exit__()
            raise Failed(f"huge pages are in use by others: {why}") from why
        return self

    def __exit__(self, *_: object) -> None:
        if int(HUGE.read_text()) == self.wanted > self.before:  # else somebody else has spoken
            HUGE.write_text(str(self.before))


class Room:
    """A directory of our own on a tmpfs with huge pages; gone at the end."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        call("mount", "-t", "tmpfs", "-o", "huge=always,mode=0700", "weir-bench", str(self.path))
        try:
            _fill(self.path / "touched", ROOM_MEGABYTES)
        except OSError as why:
            self.__exit__()
            raise Failed(f"no {ROOM_MEGABYTES} MB of memory for {self.path}: {why}") from why
        return self.path

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=False)
        shutil.rmtree(self.path, ignore_errors=True)


def describe() -> dict[str, object]:
    """Where the figures come from."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    kernel = os.uname().release
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": kernel,
            "load_at_start": os.getloadavg()[0]}


def busy_elsewhere() -> float:
    return os.getloadavg()[0]
