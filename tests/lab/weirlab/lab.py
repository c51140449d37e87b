"""One lab: its namespaces, programs and files, and the promise that all of it goes away.

Everything a lab makes carries its id (w + 4 hexadecimal digits). Only names of namespaces and files
are global; no address, interface or port of the machine itself is used, so labs do not meet.
"""
import atexit
import json
import os
import secrets
import shutil
import signal
import sys
from pathlib import Path

from .namespace import Namespace, veth
from .process import Daemon, end_process, run, start_time

ROOT = Path("/dev/shm/weir-lab")  # a tmpfs: the vaults of the hosts live below it
ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Lab:
    """Use as a context manager, or with keep=True to leave it standing (see state.json)."""

    def __init__(self, keep: bool = False):
        sweep()
        self.keep = keep
        self.id = _new_id()
        self.folder = ROOT / self.id
        self.folder.mkdir(parents=True)
        self.namespaces: dict[str, Namespace] = {}
        self.daemons: list[Daemon] = []
        self.notes: dict[str, object] = {}
        self._closed = False
        self._save()
        atexit.register(self._at_exit)
        for number in ENDING:
            signal.signal(number, _exit_on_signal)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, kind, value, trace) -> None:
        if kind is not None and not issubclass(kind, SystemExit):
            self.tell_logs()
        if not self.keep or kind is not None:
            self.close()

    def namespace(self, name: str) -> Namespace:
        space = Namespace(name, f"{self.id}-{name}")
        self.namespaces[name] = space
        self._save()  # before it is made: a crash in between leaves nothing that is not on file
        return space.make()

    def cable(self, left: Namespace, left_name: str, right: Namespace, right_name: str) -> None:
        veth(left, left_name, right, right_name)

    def start(self, name: str, command: list[str], space: Namespace | None = None,
              environment: dict[str, str] | None = None) -> Daemon:
        command = space.command(command) if space else command
        daemon = Daemon(name, command, self.folder / f"{name}.log", self.keep, environment)
        self.daemons.append(daemon)
        self._save()
        return daemon

    def note(self, **facts: object) -> None:
        """Facts that whoever finds a kept lab wants to know."""
        self.notes.update(facts)
        self._save()

    def tell_logs(self, lines: int = 15) -> None:
        for daemon in self.daemons:
            tail = daemon.output().splitlines()[-lines:]
            state = "running" if daemon.running() else "ended"
            print(f"--- {daemon.name} ({state})", *tail, sep="\n    ", file=sys.stderr)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            remove(self.id)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _at_exit(self) -> None:
        if not self.keep:
            self.close()

    def _save(self) -> None:
        state = {
            "owner": os.getpid(), "owner_started": start_time(os.getpid()), "keep": self.keep,
            "namespaces": {n: s.full for n, s in self.namespaces.items()},
            "daemons": [{"name": d.name, "pid": d.pid, "started": d.started, "log": str(d.log)}
                        for d in self.daemons],
            "notes": self.notes,
        }
        draft = self.folder / "state.json.new"
        draft.write_text(json.dumps(state, indent=1))
        draft.rename(self.folder / "state.json")


def _exit_on_signal(number: int, _frame) -> None:
    raise SystemExit(128 + number)


def _new_id() -> str:
    ROOT.mkdir(parents=True, exist_ok=True)
    while True:
        lab_id = f"w{secrets.token_hex(2)}"
        if not (ROOT / lab_id).exists():
            return lab_id


def labs() -> dict[str, dict]:
    """All labs on this machine by id, with their state."""
    found = {}
    for path in sorted(ROOT.glob("w*/state.json")):
        try:
            found[path.parent.name] = json.loads(path.read_text())
        except (OSError, ValueError):
            continue  # just being removed
    return found


def remove(lab_id: str) -> None:
    """Ends the lab's programs, then removes its namespaces and files. Also after a crash."""
    folder = ROOT / lab_id
    try:
        state = json.loads((folder / "state.json").read_text())
    except (OSError, ValueError):
        state = {"daemons": [], "namespaces": {}}
    for daemon in reversed(state["daemons"]):
        end_process(daemon["pid"], daemon["started"])
    for full in state["namespaces"].values():
        space = Namespace(full, full)
        for pid in space.pids():
            end_process(pid, start_time(pid))
        run(["ip", "netns", "del", full], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Removes labs whose owner died without cleaning up; kept ones stay."""
    for lab_id, state in labs().items():
        if not state["keep"] and start_time(state["owner"]) != state["owner_started"]:
            remove(lab_id)
