"""Weir: weir-host with the production engine and a configuration file, as an operator runs it
alone, on huge pages and with workers that never sleep."""
import json
import signal
import socket
from pathlib import Path

from . import world
from .process import Failed, Program, wait

CHANGES = 8  # different words of the rule that changes
MOST_RECORDS = 16_777_216  # of all workers together


class Weir:
    thread = "worker-"

    def __init__(self, build: Path, workers: int = 1, queues: int = 1):
        self.workers, self.queues = workers, queues
        self.traffic: dict[str, object] = {"parts": queues} if queues > 1 else {}
        self.needs = (str(build / "bin/weir-host"), str(build / "lib/libweir-engine.so"))
        self.programs: list[Program] = []

    def start(self, bench, room: Path, generator: dict[str, str]) -> list[Program]:
        self.config = room / "config.yaml"
        self.resources = self.make_resources(bench)
        if self.queues > 1:
            for one in self.resources:
                if one["kind"] == "port":
                    one["device"]["queues"] = self.queues
        self.config.write_text(documents(self.resources))
        if bench.table * self.workers > MOST_RECORDS:
            raise Failed(f"{bench.flows} flows need {bench.table} records of each worker; "
                         f"--flows takes {MOST_RECORDS // self.workers}")
        argv = [self.needs[0], "run", "--name", "h1", "--run-dir", str(room / "run"),
                "--state-dir", str(room / "state"), "--engine", self.needs[1],
                "--config", str(self.config), "--workers",
                str(self.workers),
                "--flows", str(bench.table), "--busy-poll", "--huge-pages"]
        host = Program(argv, room / "weir-host.log", generator)
        self.programs = [host]
        wait(lambda: host.check() and "host.ready" in host.log.read_text(), "weir-host", 120)
        return [host]

    def make_resources(self, bench) -> list[dict]:
        return resources(bench)

    def cleanup(self) -> None:
        for program in self.programs:
            program.stop()
        self.programs = []

    def change(self, number: int) -> None:
        """Another configuration: one rule, which fits no flow there is, changes its words."""
        number %= CHANGES
        other = {"kind": "firewall-rule", "name": "changing", "id": 9, "priority": 500,
                 "protocol": "tcp", "action": "drop",
                 "source_addresses": [world.foreign_source(number, False)],
                 "ports": [world.foreign_port(number)]}
        new = self.config.with_suffix(".new")
        new.write_text(documents([*self.resources, other]))
        new.rename(self.config)
        self.programs[0].process.send_signal(signal.SIGHUP)

    def counters(self, room: Path) -> list[str]:
        return metrics(room)

    def drops(self, room: Path) -> list[str]:
        return drops(room)


def metrics(room: Path) -> list[str]:
    """What weir-host says of itself, line by line."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with connection:
        connection.settimeout(5)
        connection.connect(str(room / "run/host.sock"))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n")
        text = b""
        while part := connection.recv(65536):
            text += part
    return text.decode(errors="replace").splitlines()


def drops(room: Path) -> list[str]:
    """Why weir-host lost packets, as it says itself."""
    return [line for line in metrics(room)
            if line.startswith("weir_drops_total") and not line.endswith(" 0")]


def documents(made: list[dict]) -> str:
    return "\n---\n".join(json.dumps(one) for one in made)


def null(number: int) -> dict[str, str]:
    return {"type": "dpdk", "devargs": f"net_null{number},no-rx=1"}


def resources(bench) -> list[dict]:
    routed = bench.tunnel or bool(bench.traffic.get("routed"))
    far = "far" if routed else "near"
    host = {"kind": "host", "name": "h1", "id": 1, "tunnel_address": world.HOST_TUNNEL}
    if bench.tunnel:
        host["underlay"] = null(1)
    made = [host, {"kind": "segment", "name": "near", "vni": world.VNI_NEAR}]
    if bench.tunnel:
        made.append({"kind": "host", "name": "h2", "id": 2, "tunnel_address": world.PEER_TUNNEL})
    if routed:
        made += [{"kind": "segment", "name": "far", "vni": world.VNI_FAR}, router(bench.ip6)]
    made += [
        {"kind": "port", "name": "a", "host": "h1", "segment": "near", "mac": world.CLIENT_MAC,
         "addresses": world.clients(bench.ip6), "device": null(0),
         "spoof_guard": bench.apart or bench.traffic.get("noise") != "syn"},
        {"kind": "port", "name": "b", "host": "h2" if bench.tunnel else "h1", "segment": far,
         "mac": world.SERVER_MAC, "addresses": [world.server(bench.ip6, routed)],
         "device": {"type": "none"} if bench.tunnel else null(1)}]
    if bench.apart:
        made.append({"kind": "port", "name": "c", "host": "h1", "segment": "near",
                     "mac": world.NOISE_MAC, "addresses": [world.NOISE_ADDRESS],
                     "device": null(world.NOISE_PORT),
                     "spoof_guard": bench.traffic.get("noise") != "syn"})
    if bench.idle_times:
        made.append({"kind": "flow-timeouts", "name": "bench", **bench.idle_times})
    if bench.new_flows:
        made.append({"kind": "flow-limits", "name": "bench", "burst": 2 * bench.flows,
                     "new_flows_per_second": bench.new_flows})
    return made + rules(bench)


def router(ip6: bool) -> dict:
    near, far = ("fd00:1::ff:1/64", "fd00:2::ff:1/64") if ip6 else ("10.1.255.1/16",
                                                                     "10.2.255.1/16")
    return {"kind": "router", "name": "r", "mac": world.ROUTER_MAC,
            "interfaces": [{"segment": "near", "addresses": [near]},
                           {"segment": "far", "addresses": [far]}]}


def rules(bench) -> list[dict]:
    """The last one allows the traffic; none of those before it fits."""
    protocol = "tcp" if "tcp" in str(bench.traffic["work"]) else "udp"
    made: list[dict] = [{"kind": "firewall-settings", "name": "default", "default_action": "drop"}]
    for number in range(bench.rules - 1):
        made.append({"kind": "firewall-rule", "name": f"no-{number}", "id": number + 10,
                     "priority": number, "protocol": protocol, "action": "drop",
                     "source_addresses": [world.foreign_source(number, bench.ip6)],
                     "ports": [world.foreign_port(number)]})
    made.append({"kind": "firewall-rule", "name": "yes", "id": 1, "priority": 1000000,
                 "protocol": protocol, "action": "allow"})
    return made
