"""The cross-check: the same sides behind memif ports, with the generator on a core of its own. A
side is the client and shares its packet memory, so that all copying is the generator's; but Open
vSwitch, whose packet memory memif cannot share, copies."""
from pathlib import Path

from . import ovs, testpmd, weir
from .process import Program, wait

GENERATOR_CPU = 0


class Generator:
    """weir-memif, which has to be there before its clients."""

    def __init__(self, build: Path):
        self.path = str(build / "bin/weir-memif")
        self.socket = Path()
        self.program: Program | None = None

    def start(self, room: Path, words: dict[str, str], queues: int = 1) -> None:
        self.socket = room / "memif.sock"
        self.program = Program([self.path, str(self.socket), str(queues)], room / "memif.log",
                               {"WEIR_GEN": words["WEIR_GEN"]})
        wait(lambda: self.program.check() and self.socket.exists(), "weir-memif")
        self.program.pin("weir-memif", [GENERATOR_CPU])

    def stop(self) -> None:
        if self.program:
            self.program.stop()


class ByMemif:
    """What all sides behind memif do; stands before the side's own class."""
    queues = 1  # that it sends on
    zero_copy = "yes"

    def __init__(self, build: Path, *more):
        super().__init__(*more)
        self.generator = Generator(build)
        self.needs += (self.generator.path,)

    def start(self, bench, room: Path, generator: dict[str, str]) -> list[Program]:
        self.generator.start(room, generator, self.queues)
        return super().start(bench, room, {})

    def device(self, number: int) -> str:
        return (f"net_memif{number},role=client,id={number},rsize=10,socket-abstract=no,"
                f"zero-copy={self.zero_copy},socket={self.generator.socket}")

    def cleanup(self) -> None:
        super().cleanup()
        self.generator.stop()


class Weir(ByMemif, weir.Weir):
    def make_resources(self, bench) -> list[dict]:
        made = super().make_resources(bench)
        for one in made:
            if one["kind"] == "port":
                number = "ab".index(one["name"])
                one["device"] = {"type": "dpdk", "devargs": self.device(number)}
        return made


class Ovs(ByMemif, ovs.Ovs):
    queues = 2  # one for each thread, the main one included
    zero_copy = "no"


class Testpmd(ByMemif, testpmd.Testpmd):
    dpdk = ("--single-file-segments",)


def make_side(name: str, build: Path):
    if name == "weir":
        return Weir(build, build)
    if name == "ovs":
        return Ovs(build)
    return Testpmd(build, name.removeprefix("testpmd-"))
