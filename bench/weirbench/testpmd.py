"""testpmd of Debian's dpdk: what only receiving and sending costs."""
from pathlib import Path

from .process import Program


class Testpmd:
    needs = ("dpdk-testpmd",)
    thread = "rte-worker"
    dpdk: tuple[str, ...] = ()

    def __init__(self, mode: str, ports: tuple[int, ...] = (0, 1)):
        self.mode = mode
        self.ports = ports  # what one of a pair receives leaves at the other
        self.programs: list[Program] = []
        # It knows no tunnel: the floor of those benchmarks is that of plain frames.
        self.traffic: dict[str, object] = {"swapped": mode == "macswap", "tunnel": False}

    def device(self, number: int) -> str:
        return f"net_null{number},no-rx=1"

    def start(self, bench, room: Path, generator: dict[str, str]) -> list[Program]:
        argv = ["dpdk-testpmd", "-l", "0,1", "--in-memory", "--no-pci", "-m", "512", *self.dpdk]
        for number in self.ports:
            argv += ["--vdev", self.device(number)]
        argv += ["--", f"--forward-mode={self.mode}", "--nb-cores=1",
                 "--total-num-mbufs=8192",
                 f"--portlist={','.join(map(str, range(len(self.ports))))}",
                 "--no-flush-rx"]  # it would throw the first packets away
        self.programs = [Program(argv, room / "testpmd.log", generator)]
        return self.programs

    def cleanup(self) -> None:
        for program in self.programs:
            program.stop()
        self.programs = []
