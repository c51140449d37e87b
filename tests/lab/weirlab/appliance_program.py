#!/usr/bin/python3
"""A virtual appliance that speaks only what AWS Gateway Load Balancers speak to their targets.

It knows nothing of Weir: Geneve on UDP 6081 with the IP packet inside, three options of class
0x0108; what it lets pass goes back with the outer addresses swapped and the header as it was.
Its policy: TCP to port 8080 is dropped. Usage: appliance_program.py HEALTH_PORT STATUS_FILE
"""
import json
import os
import socket
import struct
import sys
import threading

GENEVE = 6081
OPTION_CLASS, OPTION_BYTES = 0x0108, {1: 8, 2: 8, 3: 4}
DENIED_PORT = 8080


def accept_health_checks(port: int) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(64)

    def accept() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                pass
    threading.Thread(target=accept, daemon=True).start()


def read_header(data: bytes) -> tuple[int, int, dict[int, int]] | None:
    """(header length, ethertype, options by type); nothing for what no load balancer sends."""
    if len(data) < 8 or data[0] >> 6 != 0:
        return None
    length, ethertype = 8 + (data[0] & 63) * 4, struct.unpack("!H", data[2:4])[0]
    if length > len(data) or ethertype not in (0x0800, 0x86dd):
        return None
    options, at = {}, 8
    while at + 4 <= length:
        number, kind, words = struct.unpack("!HBB", data[at:at + 4])
        content = data[at + 4:at + 4 + (words & 31) * 4]
        if number == OPTION_CLASS and OPTION_BYTES.get(kind) == len(content):
            options[kind] = int.from_bytes(content, "big")
        at += 4 + (words & 31) * 4
    return (length, ethertype, options) if set(options) == {1, 2, 3} else None


def is_denied(packet: bytes, ethertype: int) -> bool:
    head = (packet[0] & 15) * 4 if ethertype == 0x0800 else 40
    proto = packet[9] if ethertype == 0x0800 else packet[6]
    return proto == 6 and struct.unpack("!H", packet[head + 2:head + 4])[0] == DENIED_PORT


def main() -> None:
    health_port, status_path = int(sys.argv[1]), sys.argv[2]
    accept_health_checks(health_port)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    receiver.bind(("", GENEVE))
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
    seen = {"passed": 0, "denied": 0, "strange": 0, "endpoints": [], "attachments": [],
            "cookies": {}}
    receiver.settimeout(0.1)
    while True:
        try:
            data, (source, port) = receiver.recvfrom(65536)
        except TimeoutError:
            with open(status_path + ".new", "w", encoding="utf-8") as out:
                json.dump({**seen, "cookies": {k: sorted(v) for k, v in seen["cookies"].items()}},
                          out)
            os.replace(status_path + ".new", status_path)
            continue
        header = read_header(data)
        if header is None:
            seen["strange"] += 1
            continue
        length, ethertype, options = header
        packet = data[length:]
        for name, kind in (("endpoints", 1), ("attachments", 2)):
            if options[kind] not in seen[name]:
                seen[name].append(options[kind])
        if is_denied(packet, ethertype):
            seen["denied"] += 1
            continue
        if ethertype == 0x0800 and packet[9] in (6, 17):
            head = (packet[0] & 15) * 4
            ends = sorted([packet[12:16] + packet[head:head + 2],
                           packet[16:20] + packet[head + 2:head + 4]])
            seen["cookies"].setdefault(b"".join(ends).hex(), set()).add(options[3])
        # The ports stay: the balancer listens on 6081, the other one is its own.
        sender.sendto(struct.pack("!HHHH", port, GENEVE, 8 + len(data), 0) + data, (source, 0))
        seen["passed"] += 1


if __name__ == "__main__":
    main()
