"""A guest: a namespace with one interface, and the real programs that run in it."""
import hashlib
import json
import random
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from .lab import Lab
from .namespace import Namespace
from .process import CommandFailed, Daemon
from .wait import SLOWNESS, wait_until

FILE_BYTES = 4 << 20
WHOLE_RATE = "400k"  # ten seconds for the file
SLOW_BYTES, SLOW_RATE = 64 << 20, "200k"  # five minutes: no test sees the end


@dataclass
class Ping:
    sent: int
    received: int
    min_ms: float = 0.0
    avg_ms: float = 0.0
    max_ms: float = 0.0

    @property
    def all_answered(self) -> bool:
        return self.sent == self.received > 0


@dataclass
class Fetch:
    code: int          # HTTP status; 0 when there was none
    size: int
    seconds: float
    body: bytes
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 200 and not self.error


def at(address: str, port: int = 80, path: str = "/") -> str:
    """A URL."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{path}"


class Download:
    """A transfer in the background; `size` grows while it runs."""

    def __init__(self, daemon: Daemon, path: Path):
        self.daemon, self.path = daemon, path

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def settled_size(self, timeout_s: float = 3.0) -> int:
        """The size once what was already under way has come."""
        looks = [-1]

        def settled() -> bool:
            looks.append(self.size)
            return looks[-1] == looks[-2]
        wait_until(f"{self.daemon.name} stands still", settled, timeout_s, every_s=0.2)
        return looks[-1]

    def must_grow(self, by: int = 1, timeout_s: float = 10.0) -> None:
        start = self.size
        wait_until(f"{self.daemon.name} grows beyond {start} bytes",
                   lambda: self.size >= start + by, timeout_s)

    @staticmethod
    def all_grow(downloads: list["Download"], by: int = 1, timeout_s: float = 20.0) -> None:
        start = [one.size for one in downloads]
        wait_until(f"{len(downloads)} downloads grow by {by} bytes", lambda: all(
            one.size >= then + by for one, then in zip(downloads, start)), timeout_s)

    def finished(self, timeout_s: float = 30.0) -> bool:
        """Waits for its end; True when the transfer was whole."""
        return self.daemon.wait(timeout_s) == 0

    def digest(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


class Guest:
    """`interface` comes later, when Weir has made it (TAP), or at once (veth)."""

    def __init__(self, lab: Lab, space: Namespace, interface: str, mac: str,
                 addresses: tuple[str, ...], gateways: tuple[str, ...]):
        self.lab, self.space, self.interface, self.mac = lab, space, interface, mac
        self.name = space.name
        self.addresses = addresses            # with prefix lengths, IPv4 first
        self.gateways = gateways
        self.ip4, self.ip6 = (a.partition("/")[0] for a in addresses)
        self.file_digest = ""
        self._downloads = 0

    def configure(self, mtu: int = 1500) -> None:
        self.space.up(self.interface, mtu, self.mac)
        self.space.address(self.interface, *self.addresses)
        for gateway in self.gateways:
            self.space.route("default", gateway)

    def run(self, *command: str, **options) -> str:
        return self.space.run(list(command), **options)

    def ping(self, address: str, count: int = 3, interval_s: float = 0.05, size: int = 56,
             wait_s: float = 1.0, dont_fragment: bool = False) -> Ping:
        command = ["ping", "-n", "-q", "-c", str(count), "-i", str(interval_s),
                   "-W", str(wait_s * SLOWNESS), "-s", str(size)] + \
            ["-M", "do"] * dont_fragment + [address]
        output = self.space.run(command, check=False)
        counts = re.search(r"(\d+) packets transmitted, (\d+) received", output)
        if not counts:
            raise CommandFailed(command, -1, output)
        times = re.search(r"= ([\d.]+)/([\d.]+)/([\d.]+)/", output)
        return Ping(int(counts[1]), int(counts[2]), *(float(t) for t in times.groups() if times)) \
            if times else Ping(int(counts[1]), int(counts[2]))

    def fetch(self, url: str, timeout_s: float = 10.0) -> Fetch:
        timeout_s *= SLOWNESS
        body = self.lab.folder / f"{self.name}.body"
        body.unlink(missing_ok=True)
        command = ["curl", "-sS", "--noproxy", "*", "-o", str(body), "-m", str(timeout_s),
                   "-w", "%{http_code} %{time_total} %{errormsg}", "-g", url]
        # Not %{json}: it tells curl's version too, for which libldap looks up this machine's name,
        # for ten seconds where that stands in no file.
        told = self.space.run(command, check=False, timeout_s=timeout_s + 10).split(" ", 2)
        content = body.read_bytes() if body.exists() else b""
        return Fetch(int(told[0]), len(content), float(told[1]), content, told[2].strip())

    def download(self, url: str) -> Download:
        self._downloads += 1
        name = f"{self.name}-download{self._downloads}"
        path = self.lab.folder / name
        command = ["curl", "-sS", "--noproxy", "*", "-o", str(path), "-N", "-g", url]
        return Download(self.lab.start(name, command, self.space), path)

    def can_connect(self, address: str, port: int, timeout_s: float = 1.0) -> bool:
        """Whether a TCP connection can be made, whatever is spoken there."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.space.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            try:
                connection.connect((address, port))
                return True
            except OSError:
                return False

    def iperf3(self, address: str, seconds: float = 2.0, reverse: bool = False,
               streams: int = 1) -> float:
        """Gbit/s received; the other end runs serve_iperf3()."""
        told = json.loads(self.space.run(
            ["iperf3", "-J", "-c", address, "-t", str(int(seconds) or 1), "-P", str(streams)]
            + ["-R"] * reverse, timeout_s=seconds + 20))
        return told["end"]["sum_received"]["bits_per_second"] / 1e9

    def iperf3_bytes(self, address: str, count: int) -> int:
        """Sends that many bytes; how many were received."""
        told = json.loads(self.space.run(["iperf3", "-J", "-c", address, "-n", str(count)]))
        return told["end"]["sum_received"]["bytes"]

    def send_udp(self, address: str, port: int, source_port: int = 0, count: int = 1,
                 payload: bytes = b"x") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.space.socket(family, socket.SOCK_DGRAM) as sender:
            sender.bind(("", source_port))
            for _ in range(count):
                sender.sendto(payload, (address, port))

    def serve_iperf3(self) -> Daemon:
        command = ["iperf3", "-s", "--forceflush"]
        daemon = self.lab.start(f"{self.name}-iperf3", command, self.space)
        wait_until("iperf3 listens", lambda: "listening" in daemon.output())
        return daemon

    def serve_http(self) -> Daemon:
        """nginx on ports 80 and 8080: / says who it is, /file random bytes, /whole the same within
        ten seconds, /slow zeros for longer than any test."""
        base = self.lab.folder / f"{self.name}-nginx"
        root = base / "root"
        root.mkdir(parents=True)
        (root / "index.html").write_text(f"hello from {self.name}\n")
        content = random.Random(self.name).randbytes(FILE_BYTES)
        (root / "file").write_bytes(content)
        (root / "whole").write_bytes(content)
        with (root / "slow").open("wb") as zeros:
            zeros.truncate(SLOW_BYTES)
        self.file_digest = hashlib.sha256(content).hexdigest()
        config = base / "nginx.conf"
        config.write_text(_nginx_config(base, root))
        command = ["nginx", "-p", str(base), "-c", str(config), "-e", str(base / "error.log")]
        daemon = self.lab.start(f"{self.name}-nginx", command, self.space)

        def answers() -> bool:
            daemon.must_run()
            return self.fetch(at("127.0.0.1", 80)).ok
        wait_until(f"nginx of {self.name} answers itself", answers)
        return daemon


def _nginx_config(base: Path, root: Path) -> str:
    temporary = "\n    ".join(f"{kind}_temp_path {base}/{kind};" for kind in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""
daemon off;
user root;
worker_processes 1;
pid {base}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log {base}/access.log;
    {temporary}
    keepalive_timeout 60s;
    server {{
        listen 80; listen 8080; listen [::]:80; listen [::]:8080;
        root {root};
        location = /whole {{ limit_rate {WHOLE_RATE}; output_buffers 2 8k; }}
        location = /slow {{ limit_rate {SLOW_RATE}; output_buffers 2 8k; }}
    }}
}}
"""
