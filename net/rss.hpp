#pragma once
#include <array>
#include <cstdint>

#include "net/hash.hpp"
#include "net/packet.hpp"

// Receive-side scaling: which worker owns a flow. It is what network cards compute, with a key of
// which each word of 16 bits is the same, so that both directions of a flow have one value: ports
// with a queue for each worker can be told to give every packet to its owner at once.
namespace weir::net {

// Keeps its value for ever, as do the buckets: two engines and a card must agree on them.
inline constexpr std::uint16_t rss_key_word = 0x6d5a;
inline constexpr std::size_t rss_key_bytes = 40;
inline constexpr std::uint32_t rss_buckets = 128;

// The key as cards take it.
constexpr std::array<std::uint8_t, rss_key_bytes> rss_key() {
    std::array<std::uint8_t, rss_key_bytes> key{};
    for (std::size_t i = 0; i < key.size(); ++i)
        key[i] = static_cast<std::uint8_t>(i % 2 == 0 ? rss_key_word >> 8 : rss_key_word & 0xff);
    return key;
}

namespace detail {

// What each byte of a 16-bit word adds to the bucket, the first one of the wire first. Toeplitz: a
// set bit adds the window of the key that begins at its place.
using RssShares = std::array<std::array<std::uint8_t, 256>, 2>;
constexpr RssShares rss_shares() {
    RssShares shares{};
    for (unsigned place = 0; place < 2; ++place)
        for (unsigned byte = 0; byte < 256; ++byte)
            for (unsigned bit = 0; bit < 8; ++bit) {
                const unsigned at = place * 8 + bit;
                const unsigned window = rss_key_word << at | rss_key_word >> (16 - at);
                if (byte & 0x80u >> bit) shares[place][byte] ^= window & (rss_buckets - 1);
            }
    return shares;
}
inline constexpr RssShares rss_share = rss_shares();

}  // namespace detail

// 0 … rss_buckets - 1: the lower bits of the Toeplitz hash of addresses and ports. With a key of
// equal words every word of 16 bits weighs the same, so they are joined first. What IPv4 addresses
// have in front of them as mapped ones falls out: both have it.
inline std::uint32_t rss_bucket(const Tuple& tuple) {
    const detail::IpWords src = detail::words_of(tuple.src.bytes.data());
    const detail::IpWords dst = detail::words_of(tuple.dst.bytes.data());
    std::uint64_t words = src.high ^ src.low ^ dst.high ^ dst.low;
    words ^= words >> 32;
    words ^= words >> 16;
    const unsigned ports = tuple.src_port ^ tuple.dst_port;
    return detail::rss_share[0][(words & 0xff) ^ ports >> 8] ^
           detail::rss_share[1][(words >> 8 & 0xff) ^ (ports & 0xff)];
}

// The worker that owns the flow, of `workers`.
inline std::uint32_t flow_owner(const Tuple& tuple, std::uint32_t workers) {
    return rss_bucket(tuple) % workers;
}

}  // namespace weir::net
