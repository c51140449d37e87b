#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "net/packet.hpp"

namespace weir::net {

// Numbers that keep their values for ever: flow tables are ordered by them, and two engines, a
// saved record and a restarted process must agree.
inline constexpr std::uint64_t hash_seed[4] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9,
                                               0x94d049bb133111eb, 0xd6e8feb86659fd93};

namespace detail {

__extension__ using Wide = unsigned __int128;

inline std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// An address as two words, as the machine reads them.
struct IpWords {
    std::uint64_t high = 0, low = 0;
};
inline IpWords words_of(const std::uint8_t* address) {
    IpWords words;
    std::memcpy(&words.high, address, 8);
    std::memcpy(&words.low, address + 8, 8);
    return words;
}

inline std::uint64_t endpoint_hash(IpWords ip, std::uint16_t port) {
    return multiply_fold(ip.high ^ hash_seed[0] ^ port * hash_seed[2], ip.low ^ hash_seed[1]);
}
inline std::uint64_t endpoint_hash(const Ip& ip, std::uint16_t port) {
    return endpoint_hash(words_of(ip.bytes.data()), port);
}

inline std::uint32_t endpoints_hash(std::uint64_t a, std::uint64_t b, std::uint8_t proto) {
    const std::uint64_t both =
        multiply_fold((a + b) ^ hash_seed[2], (a ^ b) + proto + hash_seed[3]);
    return static_cast<std::uint32_t>(both ^ both >> 32);
}

// What crc32c() does on a processor without the instruction; the register goes in and comes out.
std::uint32_t crc32c_by_table(std::span<const std::uint8_t> bytes, std::uint32_t state);

}  // namespace detail

// Hash of a flow, equal for both directions. Not secret: tables that strangers fill bound their
// chains.
inline std::uint32_t symmetric_hash(const Tuple& tuple) {
    return detail::endpoints_hash(detail::endpoint_hash(tuple.src, tuple.src_port),
                                  detail::endpoint_hash(tuple.dst, tuple.dst_port), tuple.proto);
}

// The same without ports: all fragments of all flows between two addresses share it.
inline std::uint32_t address_hash(const Ip& src, const Ip& dst, std::uint8_t proto) {
    return detail::endpoints_hash(detail::endpoint_hash(src, 0), detail::endpoint_hash(dst, 0),
                                  proto);
}

// Which way a tuple runs: it and its reverse answer differently, unless they are the same. Says
// nothing else; addresses are compared as the machine reads them.
inline bool runs_upward(detail::IpWords src, detail::IpWords dst, std::uint16_t src_port,
                        std::uint16_t dst_port) {
    if (src.low != dst.low) [[likely]]
        return src.low < dst.low;
    return src.high != dst.high ? src.high < dst.high : src_port < dst_port;
}
inline bool runs_upward(const Tuple& tuple) {
    return runs_upward(detail::words_of(tuple.src.bytes.data()),
                       detail::words_of(tuple.dst.bytes.data()), tuple.src_port, tuple.dst_port);
}

// SipHash-2-4 (Aumasson, Bernstein 2012) with a 128-bit key.
std::uint64_t siphash24(std::span<const std::uint64_t, 2> key, std::span<const std::uint8_t> bytes);

// CRC-32C (Castagnoli; RFC 3720 §B.4). `crc` is an earlier result to go on from.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0);

}  // namespace weir::net
