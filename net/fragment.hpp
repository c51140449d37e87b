#pragma once
#include <cstdint>

#include "net/function_ref.hpp"
#include "net/packet.hpp"

// One packet becomes several: IPv4 fragments, TCP segments or UDP datagrams of a super-frame.
namespace weir::net {

enum class SplitError : std::uint8_t {
    none = 0,
    not_splittable,    // not IPv4 / TCP / UDP, or (segments) a fragment or TCP with SYN, RST or URG
    dont_fragment,     // DF is set
    bad_size,          // the wanted size leaves no room for payload
    partial_checksum,  // fragments only: resolve_partial_checksum() comes first
    no_packets,        // `allocate` gave none; what was emitted until then stands
    count_
};
const char* name(SplitError);  // the enumerator as text

using AllocatePacket = FunctionRef<Packet*(std::uint32_t bytes)>;  // with room for `bytes`, or null
using EmitPacket = FunctionRef<void(Packet&)>;  // takes the packet over; called in order

// Cuts an IPv4 packet without DF (parsed) into fragments whose IP packet has at most `mtu` bytes
// (RFC 791 §3.2). Fragments of fragments are fragments of the whole; options go along as their copy
// bit says; Ethernet and VLAN headers are copied. The emitted packets are parsed. A packet that
// fits comes out as one copy.
SplitError fragment_ip4(const Packet&, std::uint32_t mtu, AllocatePacket, EmitPacket);

// Cuts a TCP packet over IPv4 or IPv6 (parsed; its checksums need not be right) into segments of at
// most `mss` payload bytes: sequence numbers and IPv4 ids count up, FIN and PSH stay on the last
// one, CWR on the first (RFC 3168), checksums are computed. The emitted packets are parsed and
// complete.
SplitError segment_tcp(const Packet&, std::uint16_t mss, AllocatePacket, EmitPacket);

// Cuts a UDP packet over IPv4 or IPv6 in the same way into datagrams of `payload_bytes`; the last
// one has what is left.
SplitError segment_udp(const Packet&, std::uint16_t payload_bytes, AllocatePacket, EmitPacket);

}  // namespace weir::net
