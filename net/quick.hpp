#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

#include "net/bytes.hpp"
#include "net/hash.hpp"
#include "net/packet.hpp"
#include "net/wire.hpp"

// Reads the frames that nearly all packets are: untagged Ethernet, IPv4 without options or IPv6
// without extension headers, whole, TCP or UDP. parse() is what everything else needs, and the
// judge: whatever is read here, it reads the same way (quick_test.cpp).
namespace weir::net {

static_assert(std::endian::native == std::endian::little);

struct QuickFrame {
    Tuple tuple;
    std::uint32_t hash = 0;    // symmetric_hash(tuple)
    std::uint32_t l4 = 0;      // offset of the TCP or UDP header
    std::uint32_t l3_end = 0;  // end of the IP packet

    bool ip4() const { return l4 == ethernet_bytes + ip4_min_bytes; }
    // TTL or hop limit of the frame this was read from.
    std::uint8_t ttl(const std::uint8_t* frame) const {
        return frame[ethernet_bytes + (ip4() ? 8 : 7)];
    }
};

namespace detail {

template <class Word>
Word load_raw(const std::uint8_t* p) {
    Word word;
    std::memcpy(&word, p, sizeof word);
    return word;
}

// A whole IPv4 header of 20 bytes (RFC 1071). One's complement sums do not care how wide the words
// are; half of a word added to the other half leaves the sum of both, carry included, in the upper
// one.
inline bool quick_checksum_ok(const std::uint8_t* ip) {
    const auto add = [](std::uint64_t a, std::uint64_t b) { return a + b + (a + b < b); };
    const std::uint64_t sum = add(add(load_raw<std::uint64_t>(ip), load_raw<std::uint64_t>(ip + 8)),
                                  load_raw<std::uint32_t>(ip + 16));
    const auto half = static_cast<std::uint32_t>((sum + std::rotl(sum, 32)) >> 32);
    return (half + std::rotl(half, 16)) >> 16 == 0xffff;
}

inline void store_mapped(Ip& ip, const std::uint8_t* address) {
    const std::uint64_t high = 0;
    const std::uint64_t low = std::uint64_t{load_raw<std::uint32_t>(address)} << 32 | 0xffff0000;
    std::memcpy(ip.bytes.data(), &high, 8);
    std::memcpy(ip.bytes.data() + 8, &low, 8);
}

inline bool is_mapped(const std::uint8_t* address) {
    return load_raw<std::uint64_t>(address) == 0 &&
           load_raw<std::uint32_t>(address + 8) == 0xffff0000;
}

// False: not for us, or not to be trusted. `bytes`: of the IP packet behind its header.
inline bool quick_l4(const std::uint8_t* l4, std::uint32_t bytes, Tuple& tuple) {
    if (tuple.proto == proto_tcp) {
        if (bytes < tcp_min_bytes) return false;
        const std::uint32_t header_bytes = (l4[12] >> 4) * 4u;
        if (header_bytes < tcp_min_bytes || header_bytes > bytes) return false;
    } else {
        if (tuple.proto != proto_udp || bytes < udp_bytes) return false;
        const std::uint32_t length = load16(l4 + 4);
        if (length < udp_bytes || length > bytes) return false;
    }
    tuple.src_port = load16(l4);
    tuple.dst_port = load16(l4 + 2);
    return true;
}

inline bool quick_ip4(const std::uint8_t* frame, std::uint32_t length, QuickFrame& out) {
    const std::uint8_t* ip = frame + ethernet_bytes;
    const std::uint32_t total = load16(ip + 2);
    if (ip[0] != 0x45 || total < ip4_min_bytes || ethernet_bytes + total > length ||
        (load16(ip + 6) & 0x3fff) != 0 || !quick_checksum_ok(ip))
        return false;
    out.l4 = ethernet_bytes + ip4_min_bytes;
    out.l3_end = ethernet_bytes + total;
    store_mapped(out.tuple.src, ip + 12);
    store_mapped(out.tuple.dst, ip + 16);
    out.tuple.proto = ip[9];
    return quick_l4(ip + ip4_min_bytes, total - ip4_min_bytes, out.tuple);
}

inline bool quick_ip6(const std::uint8_t* frame, std::uint32_t length, QuickFrame& out) {
    const std::uint8_t* ip = frame + ethernet_bytes;
    const std::uint32_t bytes = load16(ip + 4);
    if (ip[0] >> 4 != 6 || ethernet_bytes + ip6_bytes + bytes > length || is_mapped(ip + 8) ||
        is_mapped(ip + 24))
        return false;
    out.l4 = ethernet_bytes + ip6_bytes;
    out.l3_end = out.l4 + bytes;
    std::memcpy(out.tuple.src.bytes.data(), ip + 8, 16);
    std::memcpy(out.tuple.dst.bytes.data(), ip + 24, 16);
    out.tuple.proto = ip[6];
    return quick_l4(ip + ip6_bytes, bytes, out.tuple);
}

}  // namespace detail

// False: parse() must look at the frame; `out` is meaningless then. `out.tuple.reserved` stays as
// it was: zero in a fresh QuickFrame.
inline bool read_quick(const std::uint8_t* frame, std::uint32_t length, QuickFrame& out) {
    if (length < ethernet_bytes + ip6_bytes) return false;
    const std::uint16_t ethertype = load16(frame + 12);
    const bool readable = ethertype == ethertype_ip4   ? detail::quick_ip4(frame, length, out)
                          : ethertype == ethertype_ip6 ? detail::quick_ip6(frame, length, out)
                                                       : false;
    if (readable) out.hash = symmetric_hash(out.tuple);
    return readable;
}

}  // namespace weir::net
