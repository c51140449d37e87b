#include "net/rss.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "net/address.hpp"
#include "net/bytes.hpp"

namespace weir::net {
namespace {

// The hash as it is defined: over the bytes of a packet, bit by bit.
std::uint32_t toeplitz(const std::vector<std::uint8_t>& input,
                       std::span<const std::uint8_t, rss_key_bytes> key) {
    std::uint32_t hash = 0;
    for (std::size_t bit = 0; bit < input.size() * 8; ++bit) {
        if (!(input[bit / 8] & 0x80 >> bit % 8)) continue;
        std::uint32_t window = 0;
        for (std::size_t i = bit; i < bit + 32; ++i)
            window = window << 1 | (key[i / 8] >> (7 - i % 8) & 1);
        hash ^= window;
    }
    return hash;
}

// Addresses and ports as they stand in a packet.
std::vector<std::uint8_t> input_of(const Tuple& tuple) {
    const std::size_t from = tuple.src.is4() ? 12 : 0;
    std::vector<std::uint8_t> input(tuple.src.bytes.begin() + from, tuple.src.bytes.end());
    input.insert(input.end(), tuple.dst.bytes.begin() + from, tuple.dst.bytes.end());
    for (const std::uint16_t port : {tuple.src_port, tuple.dst_port}) {
        input.push_back(static_cast<std::uint8_t>(port >> 8));
        input.push_back(static_cast<std::uint8_t>(port));
    }
    return input;
}

Tuple tuple_of(const char* src, std::uint16_t src_port, const char* dst, std::uint16_t dst_port) {
    Tuple tuple;
    tuple.src = *Ip::parse(src);
    tuple.dst = *Ip::parse(dst);
    tuple.src_port = src_port;
    tuple.dst_port = dst_port;
    tuple.proto = 6;
    return tuple;
}

Tuple random_tuple(std::mt19937& random) {
    Tuple tuple;
    const bool four = random() % 2 == 0;
    for (Ip* ip : {&tuple.src, &tuple.dst}) {
        if (four) *ip = Ip::from4(static_cast<std::uint32_t>(random()));
        else
            for (auto& byte : ip->bytes) byte = static_cast<std::uint8_t>(random());
    }
    tuple.src_port = static_cast<std::uint16_t>(random());
    tuple.dst_port = static_cast<std::uint16_t>(random());
    tuple.proto = 17;
    return tuple;
}

// The figures with which makers of cards prove theirs ("Verifying the RSS Hash Calculation").
TEST(Rss, ThisIsTheHashOfCards) {
    constexpr std::array<std::uint8_t, rss_key_bytes> key = {
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
        0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
        0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    EXPECT_EQ(toeplitz(input_of(tuple_of("66.9.149.187", 2794, "161.142.100.80", 1766)), key),
              0x51ccc178u);
    EXPECT_EQ(
        toeplitz(input_of(tuple_of("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766)),
                 key),
        0x40207d3du);
}

TEST(Rss, BucketsAreItsLowerBits) {
    std::mt19937 random(1);
    for (int i = 0; i < 10'000; ++i) {
        const Tuple tuple = random_tuple(random);
        ASSERT_EQ(rss_bucket(tuple), toeplitz(input_of(tuple), rss_key()) % rss_buckets);
    }
}

TEST(Rss, BothDirectionsHaveOneOwner) {
    std::mt19937 random(2);
    for (int i = 0; i < 10'000; ++i) {
        const Tuple tuple = random_tuple(random);
        for (const std::uint32_t workers : {1u, 2u, 3u, 16u}) {
            ASSERT_EQ(flow_owner(tuple, workers), flow_owner(tuple.reversed(), workers));
            ASSERT_LT(flow_owner(tuple, workers), workers);
        }
    }
}

// Clients that count their ports up, as they do.
TEST(Rss, SpreadsEvenly) {
    std::array<std::uint32_t, 4> flows{};
    for (std::uint16_t port = 32768; port < 32768 + 4096; ++port)
        ++flows[flow_owner(tuple_of("10.0.0.5", port, "10.0.9.9", 443), 4)];
    for (const std::uint32_t n : flows) EXPECT_NEAR(n, 1024, 64);
}

}  // namespace
}  // namespace weir::net
