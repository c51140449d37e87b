"""The cross-check: the same sides behind memif ports, with the generator on a core of its own. A
side is the client and shares its packet memory, so that all copying is the generator's; but Open
vSwitch, whose packet memory memif cannot share, copies."""
from pathlib import Path

from . import ovs, testpmd, weir
from .process import Program, wait

GENERATOR_CPU = 0


def device(number: int, socket: Path, zero_copy: str = "yes") -> str:
    return (f"net_memif{number},role=client,id={number},rsize=10,socket-abstract=no,"
            f"zero-copy={zero_copy},socket={socket}")


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


class Weir(weir.Weir):
    def __init__(self, build: Path):
        super().__init__(build)
        self.generator = Generator(build)
        self.needs += (self.generator.path,)

    def start(self, bench, room: Path, generator: dict[str, str]) -> list[Program]:
        self.generator.start(room, generator)
        return super().start(bench, room, {})

    def make_resources(self, bench) -> list[dict]:
        made = super().make_resources(bench)
        for one in made:
            if one["kind"] == "port":
                number = "ab".index(one["name"])
                one["device"] = {"type": "dpdk", "devargs": device(number, self.generator.socket)}
        return made

    def cleanup(self) -> None:
        super().cleanup()
        self.generator.stop()


class Ovs(ovs.Ovs):
    dpdk = ovs.Ovs.dpdk + " --single-file-segments"
    queues = 2  # it sends on one for each thread, the main one included

    def __init__(self, build: Path):
        super().__init__()
        self.generator = Generator(build)
        self.needs += (self.generator.path,)

    def start(self, bench, room: Path, generator: dict[str, str]) -> list[Program]:
        self.generator.start(room, generator, self.queues)
        return super().start(bench, room, {})

    def device(self, number: int) -> str:
        return device(number, self.generator.socket, "no")

    def cleanup(self) -> None:
        super().cleanup()
        self.generator.stop()


class Testpmd(testpmd.Testpmd):
    dpdk = ("--single-file-segments",)

    def __init__(self, mode: str, build: Path):
        super().__init__(mode)
        self.generator = Generator(build)
        self.needs += (self.generator.path,)

    def start(self, bench, room: Path, generator: dict[str, str]) -> list[Program]:
        self.generator.start(room, generator)
        return super().start(bench, room, {})

    def device(self, number: int) -> str:
        return device(number, self.generator.socket)

    def cleanup(self) -> None:
        super().cleanup()
        self.generator.stop()


def make_side(name: str, build: Path):
    if name == "weir":
        return Weir(build)
    if name == "ovs":
        return Ovs(build)
    return Testpmd(name.removeprefix("testpmd-"), build)
