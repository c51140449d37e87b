#pragma once
#include <cstdint>

#include "net/packet.hpp"

// Answers to packets that cannot go on: ICMP errors (RFC 792, RFC 1812, RFC 4443) and TCP resets.
namespace weir::net {

enum class IcmpErrorKind : std::uint8_t {
    time_exceeded,     // TTL or hop limit ran out in transit
    net_unreachable,   // no route
    host_unreachable,  // no neighbour
    port_unreachable,
    admin_prohibited,
    too_big,  // IPv4: fragmentation needed and DF set; carries the MTU
};

inline constexpr std::uint32_t max_icmp4_error_bytes = 576;   // IP packet, RFC 1812 §4.3.2.3
inline constexpr std::uint32_t max_icmp6_error_bytes = 1280;  // RFC 4443 §2.4 (c)

// Whether an error about the packet (parsed) may be sent at all: not about ICMP errors and
// redirects, later fragments, multicast or broadcast (IP or link layer; IPv6 "too big" excepted),
// nor to a source that is not one host (RFC 1122 §3.2.2, RFC 1812 §4.3.2.7, RFC 4443 §2.4 (e)).
bool may_report(const Packet& offending, IcmpErrorKind);

// Overwrites `out` with the error, quoting as much as the limits above allow and keeping the VLAN
// tags of `offending`. `mtu` (bytes of an IP packet) counts for too_big only; `source` is of the
// packet's family; `src` and `dst` are the error's MACs. False if the error may not be sent or has
// no room.
bool build_icmp_error(const Packet& offending, Packet& out, IcmpErrorKind, std::uint16_t mtu,
                      const Ip& source, const Mac& src, const Mac& dst);

// Overwrites `out` with the reset that answers a TCP segment (RFC 9293 §3.10.7.1), in the name of
// its destination and with its MACs swapped. False for resets, fragments, group addresses and
// anything but TCP, and without room.
bool build_tcp_reset(const Packet& offending, Packet& out);

// Overwrites `out` with a reset that ends the connection at the destination of `offending`, in the
// name of its sender, MACs and VLAN tags as they are. `sequence` is the number that the destination
// expects next (RFC 5961 §3.2). False as above.
bool build_tcp_abort(const Packet& offending, std::uint32_t sequence, Packet& out);

}  // namespace weir::net
