#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "net/packet.hpp"

namespace weir::net {

// Numbers that keep their values for ever: they decide which worker owns a flow, and two engines, a
// saved record and a restarted process must agree.
inline constexpr std::uint64_t hash_seed[4] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9,
                                               0x94d049bb133111eb, 0xd6e8feb86659fd93};

namespace detail {

__extension__ using Wide = unsigned __int128;

inline std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t endpoint_hash(const Ip& ip, std::uint16_t port) {
    std::uint64_t high, low;
    std::memcpy(&high, ip.bytes.data(), 8);
    std::memcpy(&low, ip.bytes.data() + 8, 8);
    return multiply_fold(high ^ hash_seed[0] ^ port * hash_seed[2], low ^ hash_seed[1]);
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
inline bool runs_upward(const Tuple& tuple) {
    std::uint64_t src[2], dst[2];
    std::memcpy(src, tuple.src.bytes.data(), sizeof src);
    std::memcpy(dst, tuple.dst.bytes.data(), sizeof dst);
    if (src[1] != dst[1]) return src[1] < dst[1];
    if (src[0] != dst[0]) return src[0] < dst[0];
    return tuple.src_port < tuple.dst_port;
}

// SipHash-2-4 (Aumasson, Bernstein 2012) with a 128-bit key.
std::uint64_t siphash24(std::span<const std::uint64_t, 2> key, std::span<const std::uint8_t> bytes);

// CRC-32C (Castagnoli; RFC 3720 §B.4). `crc` is an earlier result to go on from.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0);

}  // namespace weir::net
