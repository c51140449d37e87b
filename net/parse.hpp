#pragma once
#include <cstdint>
#include <span>

#include "net/packet.hpp"

namespace weir::net {

// Why a frame cannot be used. One enumerator per distinct reason; each is an exit of its own.
enum class ParseError : std::uint8_t {
    none = 0,
    short_frame,      // ends inside the Ethernet header or a VLAN tag
    bad_vlan,         // more than two VLAN tags
    short_ip_header,  // ends inside the IP header or its options
    bad_ip_version,   // version field and ethertype disagree
    bad_ip_header,    // IPv4 header length below 20, or malformed options
    bad_ip_length,    // total/payload length shorter than the header, longer than the frame or >
                      // 65535
    bad_ip_checksum,  // IPv4 header
    bad_address,      // IPv4-mapped IPv6 address on the wire (RFC 4942 §2.2): would read as IPv4
    source_routed,    // loose/strict source route, or a routing header with segments left
    bad_extension,    // IPv6 extension header truncated, out of order, or more than 8 of them
    bad_fragment,     // beyond 65535, not a multiple of 8, or overlapping the TCP header (RFC 1858)
    short_l4,        // ends inside the TCP, UDP, SCTP or ICMP header (RFC 7112 for first fragments)
    bad_tcp_header,  // data offset below 5 or beyond the segment
    bad_udp_length,  // length field below 8 or beyond the packet
    bad_icmp_embedded,  // ICMP error whose quoted packet is unreadable or itself an ICMP error
    count_
};
const char* name(ParseError);  // the enumerator as text

inline constexpr unsigned max_vlan_tags = 2;
inline constexpr unsigned max_extension_headers = 8;

// Reads Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with extension headers and the
// TCP/UDP/SCTP/ICMP/ICMPv6 header; fills Packet::headers and Packet::tuple. Anything but IP keeps
// family `none` and an empty tuple. Never reads outside the packet, never allocates.
//
// Transport checksums are not looked at (l4_checksum_ok in net/checksum.hpp does that).
//
// The tuple of
//  - a later fragment has ports 0 and proto of the packet it belongs to;
//  - an ICMP query is {identifier, request type}, of its reply {request type, identifier}: replies
//    find their request under Tuple::reversed(), and two hosts that ping each other with one
//    identifier do not share a key;
//  - an ICMP error (headers.icmp_error) is that of the packet it quotes, reversed, so that it seems
//  to
//    travel in the error's own direction; src is the quoted destination, not the error's sender;
//  - any other ICMP message (neighbour discovery, MLD, …) has its type in both ports.
ParseError parse(Packet&);

// The same for a frame that is not (yet) a packet of its own, e.g. the inner frame of a tunnel.
// Offsets in `headers` count from the start of `frame`.
ParseError parse_inner(std::span<const std::uint8_t> frame, Headers& headers, Tuple& tuple);

}  // namespace weir::net
