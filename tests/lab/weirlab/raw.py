"""Frames by the byte: building, sending and catching them with AF_PACKET."""
import ipaddress
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .namespace import Namespace
from .wait import SLOWNESS

ETH_IPV4, ETH_ARP, ETH_VLAN, ETH_IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
ETH_NSH, ETH_HEARTBEAT = 0x894F, 0x88B5
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
BROADCAST = "ff:ff:ff:ff:ff:ff"

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_AUXDATA, _TP_STATUS_VLAN_VALID = 263, 8, 0x10
_PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING = 6, 23
_SO_RCVBUFFORCE = 33
_ROOM = 32 << 20  # bytes that wait for a test that looks late


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(mac: bytes) -> str:
    return mac.hex(":")


def ip_bytes(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(dst: str, src: str, ethertype: int, payload: bytes,
             vlans: tuple[int, ...] = ()) -> bytes:
    """`vlans`: tag control words from the outside in."""
    tags = b"".join(struct.pack("!HH", ETH_VLAN, tci) for tci in vlans)
    return mac_bytes(dst) + mac_bytes(src) + tags + struct.pack("!H", ethertype) + payload


def ipv4(src: str, dst: str, proto: int, payload: bytes, ttl: int = 64, ident: int = 0,
         fragment: int = 0x4000) -> bytes:
    """`fragment`: flags and offset as they stand in the header (default: don't fragment)."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, fragment, ttl, proto, 0,
                       ip_bytes(src), ip_bytes(dst))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(src: str, dst: str, proto: int, payload: bytes, hops: int = 64) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, hops) + ip_bytes(src) + \
        ip_bytes(dst) + payload


def ip(src: str, dst: str, proto: int, payload: bytes, ttl: int = 64) -> tuple[int, bytes]:
    """The ethertype and the packet, of whichever family the addresses are."""
    if ":" in src:
        return ETH_IPV6, ipv6(src, dst, proto, payload, ttl)
    return ETH_IPV4, ipv4(src, dst, proto, payload, ttl)


def _pseudo(src: str, dst: str, proto: int, length: int) -> bytes:
    if ":" in src:
        return ip_bytes(src) + ip_bytes(dst) + struct.pack("!II", length, proto)
    return ip_bytes(src) + ip_bytes(dst) + struct.pack("!BBH", 0, proto, length)


def tcp(src: str, dst: str, src_port: int, dst_port: int, flags: int, seq: int = 0, ack: int = 0,
        payload: bytes = b"", window: int = 65535) -> bytes:
    segment = struct.pack("!HHIIBBHHH", src_port, dst_port, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                          5 << 4, flags, window, 0, 0) + payload
    total = checksum(_pseudo(src, dst, TCP, len(segment)) + segment)
    return segment[:16] + struct.pack("!H", total) + segment[18:]


def udp(src: str, dst: str, src_port: int, dst_port: int, payload: bytes = b"") -> bytes:
    datagram = struct.pack("!HHHH", src_port, dst_port, 8 + len(payload), 0) + payload
    total = checksum(_pseudo(src, dst, UDP, len(datagram)) + datagram) or 0xFFFF
    return datagram[:6] + struct.pack("!H", total) + datagram[8:]


def tcp_frame(dst_mac: str, src_mac: str, src: str, dst: str, src_port: int, dst_port: int,
              flags: int, vlans: tuple[int, ...] = (), ttl: int = 64, **rest) -> bytes:
    ethertype, packet = ip(src, dst, TCP, tcp(src, dst, src_port, dst_port, flags, **rest), ttl)
    return ethernet(dst_mac, src_mac, ethertype, packet, vlans)


def udp_frame(dst_mac: str, src_mac: str, src: str, dst: str, src_port: int, dst_port: int,
              payload: bytes = b"", vlans: tuple[int, ...] = (), ttl: int = 64) -> bytes:
    ethertype, packet = ip(src, dst, UDP, udp(src, dst, src_port, dst_port, payload), ttl)
    return ethernet(dst_mac, src_mac, ethertype, packet, vlans)


@dataclass
class Frame:
    """What a frame says, as far as it can be read; fields that are not there are empty or 0."""
    raw: bytes
    dst: str = ""
    src: str = ""
    vlans: list[int] = field(default_factory=list)
    ethertype: int = 0
    packet: bytes = b""   # behind the Ethernet header
    ip_src: str = ""
    ip_dst: str = ""
    ttl: int = 0
    proto: int = 0
    src_port: int = 0
    dst_port: int = 0
    flags: int = 0
    seq: int = 0
    ack: int = 0
    payload: bytes = b""  # of TCP or UDP; of any other protocol all behind the IP header

    @property
    def tuple(self) -> tuple:
        return (self.proto, self.ip_src, self.src_port, self.ip_dst, self.dst_port)


def parse(raw: bytes) -> Frame:
    frame = Frame(raw)
    if len(raw) < 14:
        return frame
    frame.dst, frame.src = mac_text(raw[:6]), mac_text(raw[6:12])
    at = 12
    while (kind := int.from_bytes(raw[at:at + 2])) == ETH_VLAN and len(raw) >= at + 6:
        frame.vlans.append(int.from_bytes(raw[at + 2:at + 4]))
        at += 4
    frame.ethertype = kind
    frame.packet = raw[at + 2:]
    _parse_ip(frame)
    return frame


def _parse_ip(frame: Frame) -> None:
    p = frame.packet
    if frame.ethertype == ETH_IPV4 and len(p) >= 20:
        head = (p[0] & 15) * 4
        frame.ttl, frame.proto = p[8], p[9]
        frame.ip_src, frame.ip_dst = socket.inet_ntoa(p[12:16]), socket.inet_ntoa(p[16:20])
        body = p[head:int.from_bytes(p[2:4])]
        if int.from_bytes(p[6:8]) & 0x1FFF:
            frame.payload = body
            return
    elif frame.ethertype == ETH_IPV6 and len(p) >= 40:
        frame.proto, frame.ttl = p[6], p[7]
        frame.ip_src = socket.inet_ntop(socket.AF_INET6, p[8:24])
        frame.ip_dst = socket.inet_ntop(socket.AF_INET6, p[24:40])
        body = p[40:40 + int.from_bytes(p[4:6])]
    else:
        return
    frame.payload = body
    if frame.proto in (TCP, UDP) and len(body) >= 8:
        frame.src_port, frame.dst_port = struct.unpack("!HH", body[:4])
        frame.payload = body[8:]
    if frame.proto == TCP and len(body) >= 20:
        frame.seq, frame.ack = struct.unpack("!II", body[4:12])
        frame.flags = body[13]
        frame.payload = body[(body[12] >> 4) * 4:]


def make_room(receiver: socket.socket, size: int = _ROOM) -> None:
    """Room for what is not read at once, whatever the machine's limit (net.core.rmem_max) is."""
    receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)


class RawPort:
    """A network interface by the frame. Frames the namespace itself sends are not received."""

    def __init__(self, space: Namespace, interface: str):
        self.name = f"{space.name}/{interface}"
        self._socket = space.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        make_room(self._socket)
        self._socket.bind((interface, _ETH_P_ALL))
        self.discard()

    def __enter__(self) -> "RawPort":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For select()."""
        return self._socket.fileno()

    def send(self, raw: bytes) -> None:
        self._socket.send(raw)

    def receive(self, timeout_s: float = 0.0) -> Frame | None:
        """The next frame, or None when there is none in time."""
        self._socket.settimeout(timeout_s)
        try:
            raw, auxiliary, _, _ = self._socket.recvmsg(65536, 256)
        except (TimeoutError, BlockingIOError):
            return None
        return parse(_with_vlan(raw, auxiliary))

    def lost(self) -> int:
        """Frames for which there was no room since this was asked last."""
        counted = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return struct.unpack("=II", counted)[1]

    def discard(self) -> None:
        """Throws away what is there now, and forgets what was lost."""
        self._socket.settimeout(0.0)
        try:
            while True:
                self._socket.recv(1)
        except BlockingIOError:
            self.lost()

    def drain(self) -> list[Frame]:
        """All frames that are there now."""
        found = []
        while frame := self.receive():
            found.append(frame)
        return found

    def expect(self, what: str, match: Callable[[Frame], object], timeout_s: float = 10.0) -> Frame:
        """The first frame that fits; frames that do not are skipped."""
        timeout_s *= SLOWNESS
        end = time.monotonic() + timeout_s
        seen = 0
        while (left := end - time.monotonic()) > 0:
            frame = self.receive(left)
            if frame and match(frame):
                return frame
            seen += frame is not None
        raise AssertionError(f"{self.name}: no {what} in {timeout_s:g} s, {seen} others, "
                             f"{self.lost()} lost for want of room")

    def expect_none(self, what: str, match: Callable[[Frame], object], for_s: float = 0.3) -> None:
        """No frame fits for that long. Better: send a marker behind it and expect() that."""
        end = time.monotonic() + for_s
        while (left := end - time.monotonic()) > 0:
            frame = self.receive(left)
            if frame and match(frame):
                raise AssertionError(f"{self.name}: {what} came: {frame.raw.hex()}")


def _with_vlan(raw: bytes, auxiliary: list) -> bytes:
    """The kernel takes the outer tag off; puts it back."""
    for level, kind, data in auxiliary:
        if level == _SOL_PACKET and kind == _PACKET_AUXDATA and len(data) >= 20:
            status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
            if status & _TP_STATUS_VLAN_VALID:
                return raw[:12] + struct.pack("!HH", tpid or ETH_VLAN, tci) + raw[12:]
    return raw
