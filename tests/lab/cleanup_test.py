#!/usr/bin/python3
"""Labs leave nothing behind and do not disturb each other: Ctrl-C in the demo, lab up and down."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from weirlab import lab as labs
from weirlab.build import build_folder
from weirlab.wait import wait_until

HERE = Path(__file__).parent
DPDK_BEFORE = set(Path("/run/dpdk").glob("*-*"))


def traces(lab_id: str) -> list[str]:
    """What there is of a lab: namespaces, programs, files."""
    found = [f"namespace {name.name}" for name in Path("/run/netns").glob(f"{lab_id}-*")]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if lab_id in command and int(folder.name) != os.getpid():
            found.append(f"process {folder.name} {command}")
    if (labs.ROOT / lab_id).exists():
        found.append(f"files {labs.ROOT / lab_id}")
    return found


def dpdk_folders(pids: set[int]) -> list[str]:
    """Those of these programs; one that stood there before had the same id by chance."""
    return [path.name for path in Path("/run/dpdk").glob("*-*")
            if path not in DPDK_BEFORE and path.name.rpartition("-")[2] in map(str, pids)]


def run_lab(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-B", str(HERE / "lab.py"), *words, "--build",
                           str(build_folder())], capture_output=True, text=True, timeout=120)


class Demo:
    """A demo of its own; `lab` is known once it has said so."""

    def __init__(self, folder: Path):
        self.output = folder / "output"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-uB", str(HERE / "demo.py"), "--build", str(build_folder()),
                 "--out", str(folder / "out")], stdout=out, stderr=out, start_new_session=True)
        said = wait_until("the demo has a lab", lambda: re.search(
            r"lab (w[0-9a-f]{4}):", self.output.read_text()), 60)
        self.lab = said[1]

    def has_begun(self, step: int) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(self.output.read_text()[-2000:])
        return f"\n{step}. " in self.output.read_text()

    def pids(self) -> set[int]:
        return {daemon["pid"] for daemon in labs.labs()[self.lab]["daemons"]}

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


class Cleanup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-cleanup-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def interrupt(self, demo: Demo, number: int) -> None:
        pids = demo.pids()
        self.assertGreater(len(pids), 5)
        os.killpg(demo.process.pid, number)  # as a terminal does: the whole group
        self.assertEqual(demo.process.wait(60), 128 + number, demo.output.read_text()[-2000:])
        self.assertEqual(traces(demo.lab), [])
        self.assertEqual(dpdk_folders(pids), [])

    def test_interrupted_demos_leave_nothing_and_a_lab_beside_them_goes_on(self):
        up = run_lab("up")
        self.assertEqual(up.returncode, 0, up.stdout + up.stderr)
        lab = re.search(r"lab (w[0-9a-f]{4}) is up", up.stdout)[1]
        self.addCleanup(lambda: run_lab("down", lab))
        socket = re.search(r"export WEIR_SERVER=(\S+)", up.stdout)[1]

        first = Demo(self.folder)
        self.addCleanup(first.end)
        other = self.folder / "other"
        other.mkdir()
        second = Demo(other)
        self.addCleanup(second.end)
        self.assertEqual(len({lab, first.lab, second.lab}), 3)
        wait_until("both demos have traffic", lambda: first.has_begun(3) and second.has_begun(3),
                   120)
        for demo in (first, second):
            self.assertNotIn("✘", demo.output.read_text())
        self.interrupt(first, signal.SIGINT)
        self.interrupt(second, signal.SIGTERM)

        fetched = subprocess.run(["ip", "netns", "exec", f"{lab}-g1", "curl", "-sS", "-m", "5",
                                  "--noproxy", "*", "http://192.168.10.12/"],
                                 capture_output=True, text=True)
        self.assertEqual(fetched.stdout, "hello from g2\n", fetched.stderr)
        self.assertTrue(Path(socket.removeprefix("unix:")).exists())
        pids = {daemon["pid"] for daemon in labs.labs()[lab]["daemons"]}
        for _ in range(2):  # the second time there is nothing to do, and that is fine
            down = run_lab("down", lab)
            self.assertEqual(down.returncode, 0, down.stdout + down.stderr)
            self.assertEqual(traces(lab), [])
        self.assertEqual(dpdk_folders(pids), [])


if __name__ == "__main__":
    unittest.main()
