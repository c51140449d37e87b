#include "example/tuple.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace weir::example {

namespace {

std::uint16_t get16(std::span<const std::uint8_t> b, std::size_t at) {
    return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}

std::uint32_t get32(std::span<const std::uint8_t> b, std::size_t at) {
    return static_cast<std::uint32_t>(get16(b, at)) << 16 | get16(b, at + 2);
}

// Addresses and protocol; returns what is behind the IP header, nothing for a later fragment.
std::optional<std::span<const std::uint8_t>> read_ipv4(std::span<const std::uint8_t> p, Tuple& t) {
    if (p.size() < 20 || p[0] >> 4 != 4) return std::nullopt;
    const std::size_t header = (p[0] & 15u) * 4;
    if (header < 20 || header > p.size()) return std::nullopt;
    t.family = 4;
    t.proto = p[9];
    std::copy_n(p.begin() + 12, 4, t.src.begin());
    std::copy_n(p.begin() + 16, 4, t.dst.begin());
    const bool later_fragment = (get16(p, 6) & 0x1fff) != 0;
    return later_fragment ? p.first(0) : p.subspan(header);
}

std::optional<std::span<const std::uint8_t>> read_ipv6(std::span<const std::uint8_t> p, Tuple& t) {
    if (p.size() < 40 || p[0] >> 4 != 6) return std::nullopt;
    t.family = 6;
    t.proto = p[6];
    std::copy_n(p.begin() + 8, 16, t.src.begin());
    std::copy_n(p.begin() + 24, 16, t.dst.begin());
    auto rest = p.subspan(40);
    // Hop-by-hop, routing, fragment and destination options, RFC 8200 §4.
    for (int headers = 0; headers < 8; ++headers) {
        const std::uint8_t next = t.proto;
        if (next != 0 && next != 43 && next != 44 && next != 60) break;
        if (rest.size() < 8) return rest.first(0);
        const std::size_t size = next == 44 ? 8 : (rest[1] + 1u) * 8;
        if (size > rest.size()) return rest.first(0);
        t.proto = rest[0];
        if (next == 44 && (get16(rest, 2) & 0xfff8) != 0) return rest.first(0);
        rest = rest.subspan(size);
    }
    return rest;
}

std::string address_text(const Tuple& t, const std::array<std::uint8_t, 16>& address) {
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(t.family == 4 ? AF_INET : AF_INET6, address.data(), text, sizeof text);
    return t.family == 4 ? text : "[" + std::string(text) + "]";
}

}  // namespace

std::optional<Tuple> read_tuple(std::span<const std::uint8_t> frame) {
    std::size_t at = 12;
    if (frame.size() < 14) return std::nullopt;
    while (get16(frame, at) == 0x8100 || get16(frame, at) == 0x88a8) {
        at += 4;
        if (frame.size() < at + 2) return std::nullopt;
    }
    const std::uint16_t ethertype = get16(frame, at);
    const auto packet = frame.subspan(at + 2);
    Tuple t;
    std::optional<std::span<const std::uint8_t>> rest;
    if (ethertype == 0x0800) rest = read_ipv4(packet, t);
    if (ethertype == 0x86dd) rest = read_ipv6(packet, t);
    if (!rest) return std::nullopt;
    if ((t.proto == proto_tcp || t.proto == proto_udp) && rest->size() >= 4) {
        t.src_port = get16(*rest, 0);
        t.dst_port = get16(*rest, 2);
    }
    if (t.proto == proto_tcp && rest->size() >= 14) {
        t.tcp_seq = get32(*rest, 4);
        t.tcp_flags = (*rest)[13];
    }
    return t;
}

std::string proto_name(std::uint8_t proto) {
    switch (proto) {
        case proto_tcp:
            return "tcp";
        case proto_udp:
            return "udp";
        case proto_icmp:
        case proto_icmpv6:
            return "icmp";
        default:
            return std::to_string(proto);
    }
}

std::string Tuple::text() const {
    const bool ports = proto == proto_tcp || proto == proto_udp;
    const auto end = [&](const std::array<std::uint8_t, 16>& address, std::uint16_t port) {
        return address_text(*this, address) + (ports ? ":" + std::to_string(port) : "");
    };
    return proto_name(proto) + " " + end(src, src_port) + " > " + end(dst, dst_port);
}

}  // namespace weir::example
