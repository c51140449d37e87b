"""Processes that a run starts, and ends by their number."""
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable


class Failed(RuntimeError):
    """Something did not come up, or was wrong; the text is for the user."""


def wait(until: Callable[[], bool], what: str, seconds: float = 30.0, pause: float = 0.02) -> None:
    limit = time.monotonic() + seconds
    while not until():
        if time.monotonic() > limit:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)


def call(*argv: str, env: dict[str, str] | None = None, text: str | None = None) -> str:
    done = subprocess.run(argv, env=env, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Program:
    """A running program; its output is in `log`."""

    def __init__(self, argv: list[str], log: Path, env: dict[str, str] | None = None,
                 prefix: list[str] | None = None):
        self.log = log
        self.name = Path(argv[0]).name
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                (prefix or []) + argv, stdin=subprocess.PIPE, stdout=out,
                stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                start_new_session=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> bool:
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
        return True

    def tail(self, lines: int = 6) -> str:
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, seconds: float = 20.0) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()

    def threads(self) -> dict[int, str]:
        found = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                found[int(task.name)] = (task / "comm").read_text().strip()
            except OSError:
                continue  # it has just ended
        return found

    def pin(self, forwarding: str, cpus: list[int]) -> list[int]:
        """Threads whose name begins with `forwarding` get the `cpus` in turn, all others CPU 0.
        They come before everything else that runs there, in their autogroup too."""
        autogroup = Path(f"/proc/{self.pid}/autogroup")
        if autogroup.exists():
            autogroup.write_text("-20")
        chosen = sorted((t for t, name in self.threads().items() if name.startswith(forwarding)),
                        key=lambda t: self.threads()[t])
        if len(chosen) < len(cpus):
            raise Failed(f"{self.name} has no thread {forwarding}: {self.threads()}")
        for thread in self.threads():
            at = chosen.index(thread) if thread in chosen else -1
            os.sched_setaffinity(thread, {cpus[at % len(cpus)] if at >= 0 else 0})
            if at >= 0:
                os.setpriority(os.PRIO_PROCESS, thread, -20)
        return chosen

    def cpu_seconds(self, thread: int) -> float:
        fields = Path(f"/proc/{self.pid}/task/{thread}/schedstat").read_text().split()
        return int(fields[0]) / 1e9
