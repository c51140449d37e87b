#include "net/parse.hpp"

#include <array>

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/parse_icmp.hpp"
#include "net/parse_l3.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint32_t sctp_bytes = 12;

ParseError parse_ethernet(std::span<const std::uint8_t> frame, Headers& headers) {
    std::uint32_t offset = ethernet_bytes;
    if (frame.size() < offset) return ParseError::short_frame;
    headers.ethertype = load16(frame.data() + 12);
    while (headers.ethertype == ethertype_vlan || headers.ethertype == ethertype_qinq) {
        if (headers.vlan_count == max_vlan_tags) return ParseError::bad_vlan;
        if (frame.size() < offset + vlan_bytes) return ParseError::short_frame;
        if (headers.vlan_count++ == 0) headers.vlan = load16(frame.data() + offset);
        headers.ethertype = load16(frame.data() + offset + 2);
        offset += vlan_bytes;
    }
    headers.l3 = static_cast<std::uint16_t>(offset);
    return ParseError::none;
}

ParseError parse_tcp(std::span<const std::uint8_t> segment, Headers& headers, Tuple& tuple) {
    if (segment.size() < tcp_min_bytes) return ParseError::short_l4;
    const std::uint32_t header_bytes = (segment[12] >> 4) * 4u;
    if (header_bytes < tcp_min_bytes || header_bytes > segment.size())
        return ParseError::bad_tcp_header;
    tuple.src_port = load16(segment.data());
    tuple.dst_port = load16(segment.data() + 2);
    headers.tcp_flags = segment[13];
    headers.payload = static_cast<std::uint16_t>(headers.l4 + header_bytes);
    return ParseError::none;
}

ParseError parse_udp(std::span<const std::uint8_t> datagram, Headers& headers, Tuple& tuple) {
    if (datagram.size() < udp_bytes) return ParseError::short_l4;
    const std::uint16_t length = load16(datagram.data() + 4);
    const bool beyond = length > datagram.size() && headers.fragment == Fragment::whole;
    if (length < udp_bytes || beyond) return ParseError::bad_udp_length;
    tuple.src_port = load16(datagram.data());
    tuple.dst_port = load16(datagram.data() + 2);
    headers.payload = static_cast<std::uint16_t>(headers.l4 + udp_bytes);
    return ParseError::none;
}

ParseError parse_sctp(std::span<const std::uint8_t> packet, Headers& headers, Tuple& tuple) {
    if (packet.size() < sctp_bytes) return ParseError::short_l4;
    tuple.src_port = load16(packet.data());
    tuple.dst_port = load16(packet.data() + 2);
    headers.payload = static_cast<std::uint16_t>(headers.l4 + sctp_bytes);
    return ParseError::none;
}

// `l4` is where the header would stand; `headers.l4` is set only if we know the protocol.
ParseError parse_l4(std::span<const std::uint8_t> frame, std::uint16_t l4, Headers& headers,
                    Tuple& tuple) {
    headers.payload = l4;
    if (headers.fragment == Fragment::later) return ParseError::none;
    const std::span<const std::uint8_t> rest = frame.subspan(l4, headers.l3_end - l4);
    headers.l4 = l4;
    switch (headers.proto) {
        case proto_tcp:
            return parse_tcp(rest, headers, tuple);
        case proto_udp:
            return parse_udp(rest, headers, tuple);
        case proto_sctp:
            return parse_sctp(rest, headers, tuple);
        case proto_icmp:
            if (headers.family == Family::ip4) return parse_icmp(rest, headers, tuple);
            break;
        case proto_icmp6:
            if (headers.family == Family::ip6) return parse_icmp(rest, headers, tuple);
            break;
        default:
            break;
    }
    headers.l4 = 0;
    return ParseError::none;
}

}  // namespace

const char* name(ParseError error) {
    static constexpr std::array<const char*, static_cast<std::size_t>(ParseError::count_)> names = {
        "none",           "short_frame",    "bad_vlan",       "short_ip_header",
        "bad_ip_version", "bad_ip_header",  "bad_ip_length",  "bad_ip_checksum",
        "bad_address",    "source_routed",  "bad_extension",  "bad_fragment",
        "short_l4",       "bad_tcp_header", "bad_udp_length", "bad_icmp_embedded"};
    return error < ParseError::count_ ? names[static_cast<std::size_t>(error)] : "unknown";
}

ParseError parse_inner(std::span<const std::uint8_t> frame, Headers& headers, Tuple& tuple) {
    headers = Headers{};
    tuple = Tuple{};
    ParseError error = parse_ethernet(frame, headers);
    if (error != ParseError::none) return error;
    L3 l3;
    if (headers.ethertype == ethertype_ip4)
        error = read_ip4(frame.subspan(headers.l3), Extent::whole, l3);
    else if (headers.ethertype == ethertype_ip6)
        error = read_ip6(frame.subspan(headers.l3), Extent::whole, l3);
    else
        return ParseError::none;
    if (error != ParseError::none) return error;
    if (headers.l3 + l3.total > 0xffff) return ParseError::bad_ip_length;
    headers.family = l3.family;
    headers.fragment = l3.fragment;
    headers.fragment_id = l3.fragment_id;
    headers.fragment_offset = l3.fragment_offset;
    headers.fragment_more = l3.fragment_more;
    headers.proto = l3.proto;
    headers.ttl = l3.ttl;
    headers.l3_end = static_cast<std::uint16_t>(headers.l3 + l3.total);
    tuple.src = l3.src;
    tuple.dst = l3.dst;
    tuple.proto = l3.proto;
    return parse_l4(frame, static_cast<std::uint16_t>(headers.l3 + l3.header), headers, tuple);
}

ParseError parse(Packet& packet) {
    return parse_inner(packet.bytes(), packet.headers, packet.tuple);
}

}  // namespace weir::net
