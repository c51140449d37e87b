"""Service metadata by the byte (spec service-plane §4): Geneve, the SMD option, NSH."""
import hashlib
import hmac
import struct
from dataclasses import dataclass, field, fields

from .raw import ETH_NSH, UDP, ethernet, ip, mac_bytes, mac_text, udp

GENEVE_PORT = 6081
OPTION_CLASS = 0xFF53
SMD_TYPE, CTRL_TYPE, AUTH_TYPE, LIVE_TYPE, TRACE_TYPE, SERVICED_TYPE = \
    0x81, 0x82, 0x83, 0x04, 0x05, 0x06
NSH_MD_CLASS = 0xFFF6
SERVICE_VNIS = (9001, 9002)
_FLAG_BITS = {"oam": 13, "reverse": 12, "at_ingress": 11, "returning": 10, "copy": 9,
              "live_query": 8, "live_ack": 7, "trace": 6, "moved": 5}
FLAGS = tuple(_FLAG_BITS)


@dataclass
class Smd:
    """Names as in net/smd.hpp."""
    spi: int = 0
    si: int = 0
    sci: int = 0
    initial_si: int = 0
    ttl: int = 63
    zz: int = 0
    version: int = 0
    path_epoch: int = 0
    skip_mask: int = 0
    tenant_vni: int = 0
    anchor_host: int = 0
    anchor_port: int = 0
    flow_handle: int = 0
    flow_tag: int = 0
    flags: set[str] = field(default_factory=set)
    original_dst: str = "00:00:00:00:00:00"
    original_src: str = "00:00:00:00:00:00"

    def flag_bits(self) -> int:
        return self.version << 14 | sum(1 << _FLAG_BITS[f] for f in self.flags)

    def encode(self) -> bytes:
        return struct.pack(
            "!HBBIIIIIII", self.flag_bits(), self.zz << 6 | self.ttl, self.initial_si,
            self.spi << 8 | self.si, self.sci << 8 | self.path_epoch,
            self.tenant_vni << 8 | self.skip_mask, self.anchor_host, self.anchor_port,
            self.flow_handle, self.flow_tag) + mac_bytes(self.original_dst) + \
            mac_bytes(self.original_src)


def _set_flags(smd: Smd, bits: int) -> Smd:
    smd.version = bits >> 14
    smd.flags = {f for f, bit in _FLAG_BITS.items() if bits >> bit & 1}
    return smd


def decode_smd(data: bytes) -> Smd:
    w = struct.unpack("!HBBIIIIIII", data[:32])
    return _set_flags(Smd(
        spi=w[3] >> 8, si=w[3] & 255, sci=w[4] >> 8, path_epoch=w[4] & 255, tenant_vni=w[5] >> 8,
        skip_mask=w[5] & 255, anchor_host=w[6], anchor_port=w[7], flow_handle=w[8], flow_tag=w[9],
        ttl=w[1] & 63, zz=w[1] >> 6, initial_si=w[2], original_dst=mac_text(data[32:38]),
        original_src=mac_text(data[38:44])), w[0])


def option(kind: int, content: bytes, option_class: int = OPTION_CLASS, words: int = -1) -> bytes:
    """A Geneve option; `words` may lie about the length."""
    return struct.pack("!HBB", option_class, kind,
                       (len(content) // 4 if words < 0 else words) & 31) + content


def smd_option(smd: Smd) -> bytes:
    return option(SMD_TYPE, smd.encode())


def auth_option(secret: bytes, vni: int, sender: int, receiver: int, sequence: int, smd: bytes,
                inner: bytes, ctrl: tuple[bytes, ...] = (), key_id: int = 1) -> bytes:
    """AUTH (§4.3, docs/decisions/auth.md) of a packet with the SMD option."""
    def mac(key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, hashlib.sha256).digest()
    pair = mac(secret, b"weir service plane AUTH 1" + struct.pack("!III", vni, sender, receiver))
    head = struct.pack("!BB", key_id, 1) + sequence.to_bytes(6)
    shape = struct.pack("!BH", len(ctrl), len(inner))
    covered = head + shape + smd + b"".join(ctrl) + inner[:64]
    return option(AUTH_TYPE, head + mac(pair, covered)[:16])


def geneve(vni: int, inner: bytes, options: bytes = b"", protocol: int = 0x6558, version: int = 0,
           words: int = -1, oam: bool = False) -> bytes:
    critical = any(kind & 0x80 for kind in _option_types(options))
    return struct.pack("!BBHI", version << 6 | (len(options) // 4 if words < 0 else words),
                       oam << 7 | critical << 6, protocol, vni << 8) + options + inner


def _option_types(options: bytes) -> list[int]:
    kinds, at = [], 0
    while at + 4 <= len(options):
        kinds.append(options[at + 2])
        at += 4 + (options[at + 3] & 31) * 4
    return kinds


@dataclass
class Tunnelled:
    """One Geneve packet as caught on the underlay."""
    vni: int
    options: list[tuple[int, int, bytes]]  # class, type, content
    inner: bytes

    def content(self, kind: int) -> bytes | None:
        return next((c for option_class, k, c in self.options
                     if (option_class, k) == (OPTION_CLASS, kind)), None)

    def has_option(self, kind: int) -> bool:
        return self.content(kind) is not None

    @property
    def is_nsh(self) -> bool:
        """Metadata in the frame (HD-3), on service VNIs only: guests may send what they like."""
        return self.vni in SERVICE_VNIS and self.inner[12:14] == ETH_NSH.to_bytes(2)

    @property
    def smd(self) -> Smd | None:
        if self.is_nsh:
            nsh, frame = decode_nsh(self.inner[14:])
            nsh.smd.original_dst, nsh.smd.original_src = mac_text(frame[:6]), mac_text(frame[6:12])
            return nsh.smd
        content = self.content(SMD_TYPE)
        return decode_smd(content) if content and len(content) == 44 else None

    @property
    def frame(self) -> bytes:
        """The guest's frame with the addresses of the service plane, whatever the profile."""
        if not self.is_nsh:
            return self.inner
        return self.inner[:12] + decode_nsh(self.inner[14:])[1][12:]


def tunnelled(frame) -> Tunnelled | None:
    """The Geneve packet in a parsed frame, if it is one."""
    p = frame.payload
    if frame.proto != UDP or frame.dst_port != GENEVE_PORT or len(p) < 8:
        return None
    end = 8 + (p[0] & 63) * 4
    options, at = [], 8
    while at + 4 <= min(end, len(p)):
        size = (p[at + 3] & 31) * 4
        options.append((int.from_bytes(p[at:at + 2]), p[at + 2], p[at + 4:at + 4 + size]))
        at += 4 + size
    return Tunnelled(int.from_bytes(p[4:7]), options, p[end:])


def tunnel_frame(dst_mac: str, src_mac: str, src: str, dst: str, vni: int, inner: bytes,
                 options: bytes = b"", src_port: int = 50000, **lies) -> bytes:
    """A whole underlay frame; `lies` go to geneve()."""
    datagram = udp(src, dst, src_port, GENEVE_PORT, geneve(vni, inner, options, **lies))
    ethertype, packet = ip(src, dst, UDP, datagram)
    return ethernet(dst_mac, src_mac, ethertype, packet)


@dataclass
class Nsh:
    """NSH towards a service node, MD type 2 (HD-3) or 1 (HD-4)."""
    smd: Smd
    md_type: int = 2
    cookie: int = 0
    flow_action: int = 0
    next_protocol: int = 3
    length_words: int = -1  # -1: the right one

    def encode(self, inner: bytes = b"") -> bytes:
        s = self.smd
        words = {1: 6, 2: 11}.get(self.md_type, 2) if self.length_words < 0 else self.length_words
        protocol = self.next_protocol if inner or "oam" not in s.flags else 0  # RFC 8393
        head = struct.pack("!HBBI", ("oam" in s.flags) << 13 | s.ttl << 6 | words, self.md_type,
                           protocol, s.spi << 8 | s.si)
        if self.md_type == 2:
            head += struct.pack("!HBB", NSH_MD_CLASS, 1, 32)
            head += struct.pack("!HBBIIIIIII", s.flag_bits(), s.initial_si, s.skip_mask,
                                s.sci << 8 | s.path_epoch, s.tenant_vni << 8, s.anchor_host,
                                s.anchor_port, s.flow_handle, s.flow_tag, self.cookie)
        elif self.md_type == 1:
            # The first twelve bits of word 0, then four of the flow action.
            head += struct.pack("!HBBIII", (s.flag_bits() & 0xFFF0) | self.flow_action,
                                s.initial_si, 0, s.sci << 8 | s.path_epoch, s.flow_tag, self.cookie)
        return head + inner


def decode_nsh(data: bytes) -> tuple[Nsh, bytes]:
    """NSH and what is behind it."""
    base, md_type, next_protocol, path = struct.unpack("!HBBI", data[:8])
    length = (base & 63) * 4
    smd = Smd(ttl=base >> 6 & 63, spi=path >> 8, si=path & 255)
    nsh = Nsh(smd, md_type, next_protocol=next_protocol)
    bits = 0
    if md_type == 2 and length >= 44:
        w = struct.unpack("!HBBIIIIIII", data[12:44])
        bits, smd.initial_si, smd.skip_mask = w[0], w[1], w[2]
        smd.sci, smd.path_epoch, smd.tenant_vni = w[3] >> 8, w[3] & 255, w[4] >> 8
        smd.anchor_host, smd.anchor_port, smd.flow_handle, smd.flow_tag, nsh.cookie = w[5:]
    elif md_type == 1 and length >= 24:
        w = struct.unpack("!HBBIII", data[8:24])
        bits, nsh.flow_action, smd.initial_si = w[0] & 0xFFF0, w[0] & 15, w[1]
        smd.sci, smd.path_epoch, smd.flow_tag, nsh.cookie = w[3] >> 8, w[3] & 255, w[4], w[5]
    _set_flags(smd, bits)
    if base >> 13 & 1:
        smd.flags.add("oam")
    return nsh, data[length:]


def node_frame(dst: str, src: str, nsh: Nsh, inner: bytes = b"") -> bytes:
    """Ethernet(0x894F)/NSH/original frame, as a service-metadata-aware node gets and returns it."""
    return ethernet(dst, src, ETH_NSH, nsh.encode(inner))


def changed(smd: Smd, **values) -> Smd:
    """A copy with other values; `flags` replaces the set."""
    copy = Smd(**{f.name: getattr(smd, f.name) for f in fields(Smd)})
    copy.flags = set(smd.flags)
    for name, value in values.items():
        setattr(copy, name, value)
    return copy
