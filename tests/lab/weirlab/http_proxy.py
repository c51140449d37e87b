"""What makes a router of the lab a transparent web proxy: HAProxy and the kernel's TPROXY.

It ends the connections of clients and opens others to the servers, in the clients' name
(`usesrc clientip`) but from ports of its own. Everything else is routed as before."""
import json
import socket

from .lab import Lab
from .router import Router
from .wait import wait_until

PORT = 3129
# Of connections that the proxy has a part in, packets belong to this machine (mark 1).
_RULES = f"""
table inet proxy {{
    chain divert {{
        type filter hook prerouting priority mangle; policy accept;
        meta l4proto tcp socket transparent 1 meta mark set 1 accept
        iifname "left" meta nfproto ipv4 tcp dport 80 \\
            tproxy ip to 127.0.0.1:{PORT} meta mark set 1 accept
        iifname "left" meta nfproto ipv6 tcp dport 80 \\
            tproxy ip6 to [::1]:{PORT} meta mark set 1 accept
    }}
}}
"""

_CONFIG = """
global
    maxconn 400
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse never
frontend clients
    bind 127.0.0.1:{port} transparent interface left
    bind ::1:{port} transparent interface left
    http-request deny deny_status 403 if {{ path_beg /forbidden }}
    http-request set-header X-Proxied-By haproxy
    http-response set-header X-Proxied-By haproxy
    default_backend servers
backend servers
    source 0.0.0.0 usesrc clientip interface right
    server original 0.0.0.0
"""


class HttpProxy:
    def __init__(self, lab: Lab, router: Router, gateways: tuple[list[str], list[str]]):
        self.lab, self.space = lab, router.space
        self.space.run(["nft", "-f", "-"], text_in=_RULES)
        for family, anything in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
            self.space.ip(family, "rule", "add", "fwmark", "1", "priority", "100",
                          "lookup", "100")
            self.space.ip(family, "route", "add", "local", anything, "dev", "lo", "table", "100")
        # What the proxy itself says leaves on the side that its socket is bound to.
        for side, metric in (("left", 200), ("right", 100)):
            for gateway in gateways[0 if side == "left" else 1]:
                self.space.ip("-6" if ":" in gateway else "-4", "route", "add", "default",
                              "via", gateway, "dev", side, "metric", str(metric))
        base = lab.folder / f"{self.space.name}-haproxy"
        self.socket = str(base.with_suffix(".sock"))
        config = base.with_suffix(".cfg")
        config.write_text(_CONFIG.format(socket=self.socket, port=PORT))
        self.daemon = lab.start(base.name, ["haproxy", "-db", "-f", str(config)], self.space)

        def serves() -> bool:
            self.daemon.must_run()
            return bool(self.sessions() >= 0)
        wait_until("HAProxy serves", serves)

    def sessions(self) -> int:
        """How many connections of clients it has had."""
        for row in json.loads(self._ask("show stat json")):
            fields = {f["field"]["name"]: f["value"]["value"] for f in row}
            if fields["pxname"] == "clients" and fields["svname"] == "FRONTEND":
                return int(fields["stot"])
        raise ValueError("no frontend")

    def _ask(self, command: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(10)
            talk.connect(self.socket)
            talk.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: talk.recv(65536), b""))
