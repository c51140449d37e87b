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
    std::uint32_t l3_end = 0;  // end of the IP packet
    std::uint16_t l4 = 0;      // offset of the TCP or UDP header
    bool upward = false;       // runs_upward(tuple)

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
inline void store_raw(void* p, std::uint64_t word) {
    std::memcpy(p, &word, sizeof word);
}

// Whether a header of 20 bytes is that of a whole IPv4 packet without options, and sound; `total`:
// its length then.
inline bool quick_ip4_header(const std::uint8_t* ip, std::uint32_t& total) {
    // Version and header length, total length, identification, flags and fragment offset; looked at
    // at once for what must stand there.
    constexpr std::uint64_t version_and_fragment = 0xff3f'0000'0000'00ff;
    const auto first = load_raw<std::uint64_t>(ip);
    total = __builtin_bswap16(static_cast<std::uint16_t>(first >> 16));
    // The checksum (RFC 1071). One's complement sums do not care how wide the words are: what a sum
    // of 64-bit words leaves when divided by 2^16 - 1 is what one of 16-bit words leaves, and that
    // must be nothing. `first` is below 2^56 unless it is a fragment's: there is one carry at most.
    const std::uint64_t part = first + load_raw<std::uint32_t>(ip + 16);
    const std::uint64_t sum = part + load_raw<std::uint64_t>(ip + 8);
    return (first & version_and_fragment) == 0x45 && (sum + (sum < part)) % 0xffff == 0;
}

inline IpWords mapped_words(const std::uint8_t* address) {
    return {0, std::uint64_t{load_raw<std::uint32_t>(address)} << 32 | 0xffff0000};
}
inline bool is_mapped(IpWords ip) {
    return ip.high == 0 && static_cast<std::uint32_t>(ip.low) == 0xffff0000;
}

// Whether a whole TCP or UDP header stands in front of `out.l3_end`, with a length that fits. A TCP
// header may be read, whatever `out.l3_end` says.
inline bool quick_l4_fits(const std::uint8_t* frame, std::uint8_t proto, const QuickFrame& out) {
    const std::uint8_t* l4 = frame + out.l4;
    if (proto == proto_tcp) [[likely]] {
        const std::uint32_t header_bytes = l4[12] >> 2 & 0x3cu;
        return header_bytes >= tcp_min_bytes && out.l4 + header_bytes <= out.l3_end;
    }
    if (proto != proto_udp || out.l4 + udp_bytes > out.l3_end) return false;
    const std::uint32_t length = load16(l4 + 4);
    return length >= udp_bytes && out.l4 + length <= out.l3_end;
}

// Tells the flow. What was read stays in registers until all that follows from it is known.
inline void quick_flow(const std::uint8_t* frame, IpWords src, IpWords dst, std::uint8_t proto,
                       QuickFrame& out) {
    static_assert(sizeof(Tuple) == 40 && offsetof(Tuple, dst) == 16 &&
                  offsetof(Tuple, src_port) == 32 && offsetof(Tuple, dst_port) == 34 &&
                  offsetof(Tuple, proto) == 36);
    // Both ports in host order, the source's in the lower half.
    const std::uint32_t ports =
        std::rotl(__builtin_bswap32(load_raw<std::uint32_t>(frame + out.l4)), 16);
    const auto src_port = static_cast<std::uint16_t>(ports);
    const auto dst_port = static_cast<std::uint16_t>(ports >> 16);
    store_raw(out.tuple.src.bytes.data(), src.high);
    store_raw(out.tuple.src.bytes.data() + 8, src.low);
    store_raw(out.tuple.dst.bytes.data(), dst.high);
    store_raw(out.tuple.dst.bytes.data() + 8, dst.low);
    store_raw(&out.tuple.src_port, std::uint64_t{proto} << 32 | ports);
    out.upward = runs_upward(src, dst, src_port, dst_port);
    out.hash = endpoints_hash(endpoint_hash(src, src_port), endpoint_hash(dst, dst_port), proto);
}

static_assert(ethernet_bytes + ip4_min_bytes + tcp_min_bytes == ethernet_bytes + ip6_bytes,
              "what has room for an IPv6 header has it for TCP over IPv4");
inline bool quick_ip4(const std::uint8_t* frame, std::uint32_t length, QuickFrame& out) {
    const std::uint8_t* ip = frame + ethernet_bytes;
    const std::uint8_t proto = ip[9];
    std::uint32_t total = 0;
    if (!quick_ip4_header(ip, total) || ethernet_bytes + total > length) return false;
    out.l4 = ethernet_bytes + ip4_min_bytes;
    out.l3_end = ethernet_bytes + total;
    if (!quick_l4_fits(frame, proto, out)) return false;
    quick_flow(frame, mapped_words(ip + 12), mapped_words(ip + 16), proto, out);
    return true;
}

inline bool quick_ip6(const std::uint8_t* frame, std::uint32_t length, QuickFrame& out) {
    const std::uint8_t* ip = frame + ethernet_bytes;
    const IpWords src = words_of(ip + 8), dst = words_of(ip + 24);
    const std::uint8_t proto = ip[6];
    out.l4 = ethernet_bytes + ip6_bytes;
    out.l3_end = ethernet_bytes + ip6_bytes + load16(ip + 4);
    if (ip[0] >> 4 != 6 || out.l3_end > length || is_mapped(src) || is_mapped(dst) ||
        (proto == proto_tcp && out.l4 + tcp_min_bytes > out.l3_end) ||
        !quick_l4_fits(frame, proto, out))
        return false;
    quick_flow(frame, src, dst, proto, out);
    return true;
}

}  // namespace detail

// What is shorter needs parse().
inline constexpr std::uint32_t quick_bytes = ethernet_bytes + ip6_bytes;

// False: parse() must look at the frame; `out` is meaningless then.
inline bool read_quick(const std::uint8_t* frame, std::uint32_t length, QuickFrame& out) {
    if (length < quick_bytes) return false;
    const std::uint16_t ethertype = load16(frame + 12);
    if (ethertype == ethertype_ip4) [[likely]]
        return detail::quick_ip4(frame, length, out);
    return ethertype == ethertype_ip6 && detail::quick_ip6(frame, length, out);
}
// The same for one whose type is known, of at least quick_bytes.
inline bool read_quick_ip4(const std::uint8_t* frame, std::uint32_t length, QuickFrame& out) {
    return detail::quick_ip4(frame, length, out);
}

}  // namespace weir::net
