"""Running programs: to their end, or as daemons that are ended by their id."""
import ctypes
import os
import signal
import subprocess
from pathlib import Path

from .wait import NotInTime, wait_until

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class CommandFailed(RuntimeError):
    def __init__(self, command: list[str], code: int, output: str):
        super().__init__(f"{' '.join(command)}: exit code {code}: {output.strip()[-2000:]}")
        self.code = code
        self.output = output


def run(command: list[str], *, check: bool = True, text_in: str | None = None,
        timeout_s: float = 60.0) -> str:
    """Runs to the end; returns standard output. With `check`, a non-zero exit raises."""
    try:
        done = subprocess.run(command, input=text_in, capture_output=True, text=True,
                              errors="replace", timeout=timeout_s,
                              stdin=None if text_in is not None else subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(command, -1, f"no end within {timeout_s:g} s") from error
    if check and done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stdout + done.stderr)
    return done.stdout


def start_time(pid: int) -> int:
    """Clock ticks after boot at which the process began; 0 when there is none (or a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in ("Z", "X") else int(fields[19])


def end_process(pid: int, started: int, grace_s: float = 5.0) -> None:
    """Ends a process that may be stopped or stubborn. A reused id is left alone."""
    def gone() -> bool:
        try:
            os.waitpid(pid, os.WNOHANG)
        except OSError:
            pass
        return start_time(pid) != started

    for number in (signal.SIGTERM, signal.SIGKILL):
        if gone():
            return
        try:
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return
        try:
            wait_until(f"process {pid} ends", gone, timeout_s=grace_s)
            return
        except NotInTime:
            continue


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Daemon:
    """A program that runs until it is ended; its output goes to `log`."""

    def __init__(self, name: str, command: list[str], log: Path, outlives_us: bool = False,
                 environment: dict[str, str] | None = None):
        self.name = name
        self.command = command
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                env={**os.environ, **(environment or {})},
                preexec_fn=None if outlives_us else _die_with_parent)
        self.pid = self._process.pid
        self.started = start_time(self.pid)

    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def stop(self) -> None:
        end_process(self.pid, self.started)
        self._process.poll()

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        if self.running():
            self.signal(signal.SIGKILL)
        self._process.wait(10)

    def wait(self, timeout_s: float = 60.0) -> int:
        return self._process.wait(timeout_s)

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def must_run(self) -> None:
        if not self.running():
            raise CommandFailed(self.command, self._process.returncode, self.output())
