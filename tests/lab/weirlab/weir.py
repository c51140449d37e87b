"""Weir itself in the lab: the controller, a host program per host, the command."""
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from . import rest
from .build import library, program
from .fabric import CONTROLLER, Fabric
from .process import CommandFailed, Daemon, run
from .wait import wait_until

_PORT = 8443


class Weir:
    def __init__(self, fabric: Fabric, workers: int = 2):
        self.fabric, self.lab = fabric, fabric.lab
        self.workers = workers
        self.folder = self.lab.folder / "controller"
        self.socket = str(self.lab.folder / "controller.sock")
        self.controller: Daemon | None = None
        self.hosts: dict[str, Daemon] = {}
        self._starts: Counter[str] = Counter()
        run([program("weir-controller"), "init", "--dir", str(self.folder),
             "--address", CONTROLLER])
        for host in fabric.hosts:
            run([program("weir-controller"), "issue", "--dir", str(self.folder), "host", host,
                 "--out", str(self.credentials(host))])
        self._command = [program("weir"), "--server", f"unix:{self.socket}"]
        self.lab.note(command=self.command_line())

    def start(self) -> "Weir":
        self.start_controller()
        for host in self.fabric.hosts:
            self.start_host(host)
        wait_until("every host is connected", lambda: self.connected() == set(self.fabric.hosts))
        return self

    # The programs.

    def credentials(self, host: str) -> Path:
        return self.lab.folder / f"{host}-credentials"

    def run_dir(self, host: str) -> Path:
        """Where the host's vault and sockets are."""
        return self.lab.folder / f"{host}-run"

    def state_dir(self, host: str) -> Path:
        """Where what the host has applied last is."""
        return self.lab.folder / f"{host}-state"

    def start_controller(self) -> None:
        self.controller = self._start(
            "controller", self.fabric.ctl,
            [program("weir-controller"), "run", "--dir", str(self.folder),
             "--listen", f"{CONTROLLER}:{_PORT}", "--socket", self.socket])
        wait_until("the controller answers", self.revision_or_nothing)

    def new_authority(self, name: str) -> Path:
        """Credentials for h1 that another authority than ours has issued."""
        folder = self.lab.folder / name
        run([program("weir-controller"), "init", "--dir", str(folder)])
        out = self.lab.folder / f"{name}-credentials"
        run([program("weir-controller"), "issue", "--dir", str(folder), "host", "h1",
             "--out", str(out)])
        return out

    def start_host(self, host: str, credentials: Path | None = None) -> Daemon:
        self.hosts[host] = self._start(
            host, self.fabric.hosts[host], self.fabric.as_seen_by(host, [
             program("weir-host"), "run", "--name", host, "--run-dir", str(self.run_dir(host)),
             "--state-dir", str(self.state_dir(host)),
             "--engine", library("libweir-engine.so"), "--workers", str(self.workers),
             "--controller", f"{CONTROLLER}:{_PORT}",
             "--cert-dir", str(credentials or self.credentials(host))]))
        return self.hosts[host]

    def kill_controller(self) -> None:
        self.controller.kill()

    def kill_host(self, host: str) -> None:
        """SIGKILL; the controller knows that it is gone when this returns."""
        self.hosts[host].kill()
        self._is_gone(host)

    def stop_host(self, host: str) -> None:
        self.hosts[host].stop()
        self._is_gone(host)

    def _is_gone(self, host: str) -> None:
        wait_until(f"{host} is not connected", lambda: host not in self.connected())

    def _start(self, name: str, space, command: list[str]) -> Daemon:
        self._starts[name] += 1
        count = self._starts[name]
        return self.lab.start(name if count == 1 else f"{name}-{count}", command, space)

    # Intent.

    def command(self, *words: str, text_in: str | None = None, check: bool = True) -> str:
        """The `weir` command, as an administrator on the controller's machine types it."""
        return run([*self._command, *words], text_in=text_in, check=check)

    def command_line(self) -> str:
        """The same for a person."""
        return " ".join(self._command)

    def apply(self, what: Path | list[dict], prune: bool = False, dry_run: bool = False) -> str:
        """`weir apply`; what it said."""
        options = ["--prune"] * prune + ["--dry-run"] * dry_run
        if isinstance(what, Path):
            return self.command("apply", *options, "-f", str(what))
        return self.command("apply", *options, "-f", "-", text_in=json.dumps(what))

    def put(self, *resources: dict) -> int:
        """The same over REST; the revision."""
        return self.call("POST", "/v1/apply", list(resources))["revision"]

    def call(self, method: str, target: str, body: object = None):
        return rest.call(self.socket, method, target, body)

    def get(self, kind: str, name: str) -> dict:
        one = self.call("GET", f"/v1/{kind}/{name}")
        return {k: v for k, v in one.items() if k != "kind"}

    def describe(self, *words: str) -> str:
        return self.command("describe", *words)

    # Realisation.

    def revision(self) -> int:
        return self.call("GET", "/v1/revision")["revision"]

    def revision_or_nothing(self) -> bool:
        self.controller.must_run()
        return self.revision() >= 0

    def host_states(self) -> dict[str, dict]:
        return {h["name"]: h for h in self.call("GET", "/v1/hosts")["items"]}

    def connected(self) -> set[str]:
        return {name for name, host in self.host_states().items() if host["connected"]}

    def applied(self) -> dict[str, int]:
        return {name: host["applied"] for name, host in self.host_states().items()}

    def wait(self, timeout_s: float = 20.0) -> int:
        """Until every host is connected and runs the newest revision; a refusal is an error at
        once."""
        revision = self.revision()

        def realised() -> bool:
            states = self.host_states()
            for name, host in states.items():
                if host.get("refused") and host["refused"]["revision"] >= revision:
                    raise AssertionError(f"{name} refuses: {host['refused']}")
            return all(host["connected"] and host["applied"] >= revision
                       for host in states.values())
        wait_until(f"revision {revision} is applied everywhere", realised, timeout_s)
        return revision

    # Observation.

    def ask(self, host: str, what: str, **details: object) -> list[dict]:
        """A question of dataplane/queries.md; its rows."""
        answer = self.call("POST", f"/v1/host/{host}/query", {"what": what, **details})
        return answer.get("rows", [])

    def counters(self, hosts: Iterable[str] = ()) -> Counter:
        """(metric, label values in the order of their names) → value, summed over hosts."""
        total: Counter = Counter()
        for host in hosts or self.fabric.hosts:
            for row in self.ask(host, "counters"):
                labels = tuple(str(v) for _, v in sorted(row.get("labels", {}).items()))
                total[row["metric"], *labels] += row["value"]
        return total

    def drops(self, *hosts: str) -> dict[str, int]:
        """Exit → packets, those that were taken at least once."""
        return {key[1]: value for key, value in self.counters(hosts).items()
                if key[0] == "weir_drops_total" and value}

    def rule_hits(self, rule: str) -> int:
        return self.counters()["weir_firewall_rule_hits_total", rule]

    def flows(self, host: str, **filters: object) -> list[dict]:
        return self.ask(host, "flows", **filters)

    def grant(self, service: str, *privileges: str) -> None:
        """The service has these privileges, and no others."""
        self.put({"kind": "service", **self.get("service", service),
                  "privileges": list(privileges)})
        self.wait()

    def node_state(self, node: str, host: str = "h1") -> str:
        """up or down, as the host sees it when it chooses paths."""
        for path in self.ask(host, "insert.paths"):
            for hop in path["forward"]:
                if hop["node"] == node:
                    return hop["state"]
        return "on no path"

    def record_exits(self) -> None:
        """For tools/check_exits: which exits this run has taken."""
        folder = os.environ.get("WEIR_EXITS_DIR")
        if not folder:
            return
        for host in self.fabric.hosts:
            try:
                drops = self.drops(host)
            except (OSError, rest.Refused, CommandFailed):
                continue  # a host that this test has ended
            lines = "".join(f"{name} {count}\n" for name, count in drops.items())
            Path(folder, f"{self.lab.id}-{host}").write_text(lines)
