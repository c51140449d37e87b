#!/usr/bin/python3
"""What a failing service node costs ten thousand live flows, for each failure policy.

node_failures.py [--flows N] [--rate PACKETS_A_SECOND] [--out FILE]

UDP flows of one guest to another on another host, each packet numbered, through a chain of one
aware service. A node of the chain is killed, stopped, slowed or flaps, with and without another in
its place; the table says what was lost, what the sender was told, and whether anything arrived
where it does not belong."""
import argparse
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "lab"))

from weirlab.example_node import ExampleNode
from weirlab.lab import Lab
from weirlab.raw import ETH_IPV4, UDP, ethernet, ipv4
from weirlab.t0 import GUESTS, T0
from weirlab.wait import wait_until

PORT, FIRST = 9999, 10_000
MARK = b"weir-failures"
PAYLOAD_AT = 14 + 20 + 8
CALM_S, FAULT_S, AFTER_S = 2.0, 8.0, 6.0


@dataclass
class Run:
    sent: list[tuple[float, int]] = field(default_factory=list)  # time, flow; index = number
    arrived: dict[int, float] = field(default_factory=dict)  # number -> time
    duplicates: int = 0
    misdirected: int = 0
    told: int = 0  # ICMP errors to the sender


def capture(space, interface: str) -> socket.socket:
    sock = space.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    sock.bind((interface, 0x0003))
    sock.settimeout(0.1)
    return sock


def number_in(frame: bytes) -> int | None:
    if frame[PAYLOAD_AT:PAYLOAD_AT + len(MARK)] != MARK:
        return None
    return struct.unpack_from("!I", frame, PAYLOAD_AT + len(MARK))[0]


class Traffic:
    """From g1 to g2, all flows in turn; watched at g2, g1 and g3."""

    def __init__(self, t0: T0, flows: int, rate: int):
        self.t0, self.flows, self.rate = t0, flows, rate
        self.run = Run()
        self._stop, self._sent_all = threading.Event(), threading.Event()
        self._frames = [self._frame(FIRST + n) for n in range(flows)]
        watched = ((self._at_target, "g2"), (self._at_sender, "g1"), (self._at_other, "g3"))
        self._threads = [threading.Thread(target=self._watch, args=(see, capture(
            t0.guests[name].space, t0.guests[name].interface))) for see, name in watched]
        self._threads.append(threading.Thread(target=self._send, args=(capture(
            t0.guests["g1"].space, "eth0"),)))

    def _frame(self, source_port: int) -> bytearray:
        (_, mac, source), (_, target_mac, target) = GUESTS["g1"], GUESTS["g2"]
        payload = MARK + bytes(4)
        datagram = struct.pack("!HHHH", source_port, PORT, 8 + len(payload), 0) + payload
        return bytearray(ethernet(target_mac, mac, ETH_IPV4, ipv4(source, target, UDP, datagram)))

    def _send(self, sock: socket.socket) -> None:
        began, count = time.monotonic(), 0
        while not self._stop.is_set():
            due = int((time.monotonic() - began) * self.rate)
            for _ in range(min(due - count, 256)):
                frame = self._frames[count % self.flows]
                struct.pack_into("!I", frame, PAYLOAD_AT + len(MARK), count)
                sock.send(frame)
                self.run.sent.append((time.monotonic(), count % self.flows))
                count += 1
            self._stop.wait(0.001)
        self._sent_all.set()

    def _watch(self, see: Callable[[bytes], None], sock: socket.socket) -> None:
        quiet_since = None
        while True:
            try:
                frame, address = sock.recvfrom(2048)
                if address[2] != 4:  # not what the guest sends itself
                    see(frame)
                quiet_since = None
            except TimeoutError:
                quiet_since = quiet_since or time.monotonic()
                if self._sent_all.is_set() and time.monotonic() - quiet_since > 1:
                    return

    def _at_target(self, frame: bytes) -> None:
        number = number_in(frame)
        if number is None:
            return
        sender = struct.unpack_from("!H", frame, 14 + 20)[0]
        if sender != FIRST + number % self.flows:
            self.run.misdirected += 1  # the numbers of one flow in another
        elif number in self.run.arrived:
            self.run.duplicates += 1
        else:
            self.run.arrived[number] = time.monotonic()

    def _at_sender(self, frame: bytes) -> None:
        if number_in(frame) is not None:
            self.run.misdirected += 1
        elif frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 3:
            self.run.told += 1

    def _at_other(self, frame: bytes) -> None:
        self.run.misdirected += number_in(frame) is not None

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def kill(node: ExampleNode, lasts_s: float) -> None:
    node.daemon.kill()
    time.sleep(lasts_s)
    node.start()


def stop(node: ExampleNode, lasts_s: float) -> None:
    node.hang()
    time.sleep(lasts_s)
    node.recover()


def slow(node: ExampleNode, lasts_s: float) -> None:
    """Works for a tenth of the time: a packet waits up to 90 ms."""
    until = time.monotonic() + lasts_s
    while time.monotonic() < until:
        node.hang()
        time.sleep(0.09)
        node.recover()
        time.sleep(0.01)


def flap(node: ExampleNode, lasts_s: float) -> None:
    for _ in range(int(lasts_s / 2)):
        node.hang()
        time.sleep(1.0)
        node.recover()
        time.sleep(1.0)


FAULTS = {"killed": kill, "stopped": stop, "slow (waits of 90 ms)": slow,
          "flapping (1 s / 1 s)": flap}


def visits_of_others(t0: T0) -> int:
    return sum(visit["sci"] != 2 for node in t0.fabric.aware.values() for visit in node.visits())


def measure(t0: T0, fault: Callable, flows: int, rate: int) -> dict:
    traffic = Traffic(t0, flows, rate)
    chains = lambda: {c["name"]: c for c in t0.weir.ask("h1", "insert.chains")}["c2"]
    before = chains()
    with traffic:
        time.sleep(flows / rate + CALM_S)  # every flow has a record by then
        began = time.monotonic()
        fault(t0.aware("n1"), FAULT_S)
        time.sleep(AFTER_S)
    run, after = traffic.run, chains()
    lost = [when - began for number, (when, _) in enumerate(run.sent) if number not in run.arrived]
    in_fault = [when for when in lost if when >= -0.2]
    return {"sent": len(run.sent), "lost": len(lost), "early": len(lost) - len(in_fault),
            "last": max(in_fault, default=0.0), "told": run.told, "duplicates": run.duplicates,
            "misdirected": run.misdirected + visits_of_others(t0),
            "moved": after["path_switch"] - before["path_switch"],
            "bypassed": after["bypass_engaged"] - before["bypass_engaged"]}


def set_up(lab: Lab, nodes: tuple[str, ...], policy: str) -> T0:
    t0 = T0(lab, nodes, every_packet=False)
    chain = t0.weir.get("service-chain", "c2")
    t0.weir.put({"kind": "service-chain", **chain, "failure_policy": policy,
                 "path_selection": "weighted"})
    t0.redirect("g1", "g2", chain="c2", protocol="udp", port=PORT)
    t0.guests["g1"].ping(GUESTS["g2"][2])
    wait_until("n1 is up", lambda: t0.weir.node_state("n1") == "up")
    wait_until("every tunnel is up", lambda: all(
        row["state"] == "up" for row in t0.weir.ask("h1", "bfd.sessions")))
    return t0


HEAD = ("| node | other node | policy | sent | lost | until, s | sender told | moved flows "
        "| bypassed flows | duplicates | misdirected |\n" + "|---" * 11 + "|\n")


def row(fault: str, nodes: tuple[str, ...], policy: str, m: dict) -> str:
    share = 100 * m["lost"] / max(m["sent"], 1)
    return (f"| {fault} | {'yes' if len(nodes) > 1 else 'no'} | {policy} | {m['sent']} "
            f"| {m['lost']} ({share:.1f} %) | {m['last']:.1f} | {m['told']} | {m['moved']} "
            f"| {m['bypassed']} | {m['duplicates']} | {m['misdirected']} |\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--flows", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=4_000)
    parser.add_argument("--out", help="file for the table; else it is printed")
    wanted = parser.parse_args()
    table, bad = HEAD, 0
    for nodes in (("n1", "n3"), ("n1",)):
        for policy in ("block", "allow"):
            for name, fault in FAULTS.items():
                with Lab() as lab:
                    measured = measure(set_up(lab, nodes, policy), fault, wanted.flows, wanted.rate)
                line = row(name, nodes, policy, measured)
                print(line, end="", flush=True)
                table += line
                bad += measured["misdirected"]
    if wanted.out:
        with open(wanted.out, "w", encoding="utf-8") as out:
            out.write(table)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main() if os.geteuid() == 0 else "root is needed: this makes network namespaces")
