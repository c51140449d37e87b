#include "net/parse_icmp.hpp"

#include <optional>

#include "net/bytes.hpp"
#include "net/parse_l3.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint32_t icmp_header_bytes = 8;

// Message types that come as request and reply with one identifier (RFC 792, RFC 950, RFC 4443).
struct Query {
    Family family;
    std::uint8_t request, reply;
};
constexpr Query queries[] = {
    {Family::ip4, 8, 0},      // echo
    {Family::ip4, 13, 14},    // timestamp
    {Family::ip4, 15, 16},    // information
    {Family::ip4, 17, 18},    // address mask
    {Family::ip6, 128, 129},  // echo
};

void set_icmp_ports(Family family, std::uint8_t type, std::uint16_t identifier, Tuple& tuple) {
    tuple.src_port = tuple.dst_port = type;
    for (const Query& query : queries) {
        if (query.family != family) continue;
        if (query.request == type) tuple.src_port = identifier;
        if (query.reply == type) {
            tuple.src_port = query.request;
            tuple.dst_port = identifier;
        }
    }
}

bool has_ports(std::uint8_t proto) {
    return proto == proto_tcp || proto == proto_udp || proto == proto_sctp;
}

// The tuple of a packet of which perhaps only the first 8 transport bytes were quoted (RFC 792).
std::optional<Tuple> quoted_tuple(std::span<const std::uint8_t> quoted, Family family) {
    L3 l3;
    const ParseError error = family == Family::ip4 ? read_ip4(quoted, Extent::quoted, l3)
                                                   : read_ip6(quoted, Extent::quoted, l3);
    if (error != ParseError::none) return std::nullopt;
    Tuple tuple;
    tuple.src = l3.src;
    tuple.dst = l3.dst;
    tuple.proto = l3.proto;
    if (l3.fragment == Fragment::later) return tuple;
    const std::span<const std::uint8_t> l4 = quoted.first(l3.total).subspan(l3.header);
    if (has_ports(l3.proto)) {
        if (l4.size() < 4) return std::nullopt;
        tuple.src_port = load16(l4.data());
        tuple.dst_port = load16(l4.data() + 2);
    } else if (l3.proto == (family == Family::ip4 ? proto_icmp : proto_icmp6)) {
        if (l4.size() < icmp_header_bytes || is_icmp_error_type(family, l4[0])) return std::nullopt;
        set_icmp_ports(family, l4[0], load16(l4.data() + 4), tuple);
    }
    return tuple;
}

}  // namespace

bool is_icmp_error_type(Family family, std::uint8_t type) {
    if (family == Family::ip6) return type < 128;
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

ParseError parse_icmp(std::span<const std::uint8_t> message, Headers& headers, Tuple& tuple) {
    if (message.size() < icmp_header_bytes) return ParseError::short_l4;
    headers.icmp_type = message[0];
    headers.icmp_code = message[1];
    headers.payload = static_cast<std::uint16_t>(headers.l4 + icmp_header_bytes);
    set_icmp_ports(headers.family, message[0], load16(message.data() + 4), tuple);
    if (!is_icmp_error_type(headers.family, message[0])) return ParseError::none;
    const std::optional<Tuple> quoted =
        quoted_tuple(message.subspan(icmp_header_bytes), headers.family);
    if (!quoted) return ParseError::bad_icmp_embedded;
    headers.icmp_error = true;
    tuple = quoted->reversed();
    return ParseError::none;
}

}  // namespace weir::net
