#include "net/parse_l3.hpp"

#include <algorithm>

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

// IPv6 extension headers (RFC 8200 §4, RFC 4302).
constexpr std::uint8_t next_hop_by_hop = 0, next_routing = 43, next_fragment = 44, next_auth = 51,
                       next_options = 60;
// IPv4 options (RFC 791 §3.1).
constexpr std::uint8_t option_end = 0, option_nop = 1, option_loose_route = 131,
                       option_strict_route = 137;

constexpr std::uint32_t max_packet_bytes = 65535;

ParseError check_ip4_options(std::span<const std::uint8_t> options) {
    while (!options.empty() && options[0] != option_end) {
        if (options[0] == option_nop) {
            options = options.subspan(1);
            continue;
        }
        if (options.size() < 2 || options[1] < 2 || options[1] > options.size())
            return ParseError::bad_ip_header;
        if (options[0] == option_loose_route || options[0] == option_strict_route)
            return ParseError::source_routed;
        options = options.subspan(options[1]);
    }
    return ParseError::none;
}

// Limits that hold for both families; `l4_bytes` is what this fragment carries.
ParseError check_fragment(const L3& l3, std::uint32_t l4_bytes) {
    if (l3.fragment == Fragment::whole) return ParseError::none;
    const bool ragged = l3.fragment_more && l4_bytes % 8 != 0;
    const bool beyond = l3.fragment_offset + l4_bytes > max_packet_bytes;
    // RFC 1858 §4.3 and RFC 3128: a later fragment that could rewrite the TCP header.
    const bool overlaps = l3.proto == proto_tcp && l3.fragment == Fragment::later &&
                          l3.fragment_offset < tcp_min_bytes;
    return ragged || beyond || overlaps ? ParseError::bad_fragment : ParseError::none;
}

void set_fragment(L3& l3, std::uint16_t offset, bool more, std::uint32_t id) {
    l3.fragment_offset = offset;
    l3.fragment_more = more;
    l3.fragment_id = id;
    if (offset > 0)
        l3.fragment = Fragment::later;
    else if (more)
        l3.fragment = Fragment::first;  // else an atomic fragment (RFC 6946): whole
}

// One step along the chain of extension headers: where the next one stands.
struct Step {
    ParseError error = ParseError::none;
    std::uint32_t bytes = 0;
};

Step read_extension(std::span<const std::uint8_t> rest, std::uint8_t kind, L3& l3) {
    if (rest.size() < 8) return {ParseError::bad_extension, 0};
    std::uint32_t bytes = rest[1] * 8u + 8;
    if (kind == next_auth) bytes = rest[1] * 4u + 8;
    if (kind == next_fragment) {
        bytes = 8;
        const std::uint16_t field = load16(rest.data() + 2);
        set_fragment(l3, field & 0xfff8, (field & 1) != 0, load32(rest.data() + 4));
    }
    if (kind == next_routing && rest[3] != 0) return {ParseError::source_routed, 0};
    if (bytes > rest.size()) return {ParseError::bad_extension, 0};
    l3.proto = rest[0];
    return {ParseError::none, bytes};
}

bool is_extension(std::uint8_t next) {
    return next == next_hop_by_hop || next == next_routing || next == next_fragment ||
           next == next_auth || next == next_options;
}

ParseError read_extensions(std::span<const std::uint8_t> packet, L3& l3) {
    bool fragment_seen = false;
    for (unsigned count = 0; is_extension(l3.proto); ++count) {
        const std::uint8_t kind = l3.proto;
        const bool misplaced = kind == next_hop_by_hop && count > 0;
        const bool twice = kind == next_fragment && fragment_seen;
        if (count == max_extension_headers || misplaced || twice) return ParseError::bad_extension;
        const Step step = read_extension(packet.subspan(l3.header), kind, l3);
        if (step.error != ParseError::none) return step.error;
        l3.header += step.bytes;
        fragment_seen = fragment_seen || kind == next_fragment;
        if (l3.fragment == Fragment::later)
            break;  // what follows is payload, whatever `proto` says
    }
    return ParseError::none;
}

}  // namespace

ParseError read_ip4(std::span<const std::uint8_t> bytes, Extent extent, L3& l3) {
    if (bytes.size() < ip4_min_bytes) return ParseError::short_ip_header;
    const std::uint8_t* p = bytes.data();
    if (p[0] >> 4 != 4) return ParseError::bad_ip_version;
    l3.header = (p[0] & 15u) * 4;
    if (l3.header < ip4_min_bytes) return ParseError::bad_ip_header;
    if (l3.header > bytes.size()) return ParseError::short_ip_header;
    l3.total = load16(p + 2);
    if (l3.total < l3.header) return ParseError::bad_ip_length;
    const std::uint32_t l4_bytes = l3.total - l3.header;
    if (extent == Extent::quoted)
        l3.total = std::min(l3.total, static_cast<std::uint32_t>(bytes.size()));
    else if (l3.total > bytes.size())
        return ParseError::bad_ip_length;
    else if (!ip4_checksum_ok(bytes.first(l3.header)))
        return ParseError::bad_ip_checksum;
    if (l3.header > ip4_min_bytes) {
        const ParseError error = check_ip4_options(bytes.subspan(20, l3.header - 20));
        if (error != ParseError::none) return error;
    }
    const std::uint16_t field = load16(p + 6);
    set_fragment(l3, static_cast<std::uint16_t>((field & 0x1fff) << 3), (field & 0x2000) != 0,
                 load16(p + 4));
    l3.family = Family::ip4;
    l3.ttl = p[8];
    l3.proto = p[9];
    l3.src = Ip::from4(p + 12);
    l3.dst = Ip::from4(p + 16);
    return extent == Extent::quoted ? ParseError::none : check_fragment(l3, l4_bytes);
}

ParseError read_ip6(std::span<const std::uint8_t> bytes, Extent extent, L3& l3) {
    if (bytes.size() < ip6_bytes) return ParseError::short_ip_header;
    const std::uint8_t* p = bytes.data();
    if (p[0] >> 4 != 6) return ParseError::bad_ip_version;
    const std::uint32_t claimed = ip6_bytes + load16(p + 4);
    if (extent == Extent::whole && claimed > bytes.size()) return ParseError::bad_ip_length;
    l3.total = std::min(claimed, static_cast<std::uint32_t>(bytes.size()));
    l3.header = ip6_bytes;
    l3.family = Family::ip6;
    l3.proto = p[6];
    l3.ttl = p[7];
    l3.src = Ip::from6(p + 8);
    l3.dst = Ip::from6(p + 24);
    if (l3.src.is4() || l3.dst.is4()) return ParseError::bad_address;
    const ParseError error = read_extensions(bytes.first(l3.total), l3);
    if (error != ParseError::none) return error;
    return extent == Extent::quoted ? ParseError::none : check_fragment(l3, claimed - l3.header);
}

}  // namespace weir::net
