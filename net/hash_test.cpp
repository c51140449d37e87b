#include "net/hash.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "net/siphash.hpp"

namespace weir::net {
namespace {

std::span<const std::uint8_t> as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Tuple random_tuple(std::mt19937& random) {
    Tuple tuple;
    if (random() & 1) {
        tuple.src = Ip::from4(0x0a000000u | random() % 65536);
        tuple.dst = Ip::from4(0x0a000000u | random() % 65536);
    } else {
        for (auto& byte : tuple.src.bytes) byte = static_cast<std::uint8_t>(random());
        for (auto& byte : tuple.dst.bytes) byte = static_cast<std::uint8_t>(random());
    }
    tuple.src_port = static_cast<std::uint16_t>(random());
    tuple.dst_port = static_cast<std::uint16_t>(random());
    tuple.proto = random() & 1 ? 6 : 17;
    return tuple;
}

TEST(SymmetricHash, both_directions_agree) {
    std::mt19937 random(1);
    for (int i = 0; i < 10000; ++i) {
        const Tuple tuple = random_tuple(random);
        ASSERT_EQ(symmetric_hash(tuple), symmetric_hash(tuple.reversed()));
        ASSERT_EQ(address_hash(tuple.src, tuple.dst, tuple.proto),
                  address_hash(tuple.dst, tuple.src, tuple.proto));
    }
}

TEST(SymmetricHash, every_field_matters) {
    std::mt19937 random(2);
    for (int i = 0; i < 1000; ++i) {
        const Tuple tuple = random_tuple(random);
        const std::uint32_t hash = symmetric_hash(tuple);
        Tuple other = tuple;
        other.src.bytes[random() % 16] ^= 1;
        EXPECT_NE(symmetric_hash(other), hash);
        other = tuple;
        other.dst_port ^= 1;
        EXPECT_NE(symmetric_hash(other), hash);
        other = tuple;
        other.proto ^= 1;
        EXPECT_NE(symmetric_hash(other), hash);
        other = tuple;  // ports swapped, addresses not: another flow
        std::swap(other.src_port, other.dst_port);
        if (!(other == tuple)) {
            EXPECT_NE(symmetric_hash(other), hash);
        }
    }
}

// Neighbouring flows must spread over few and over many buckets, from any bits of the hash.
TEST(SymmetricHash, spreads_sequential_flows) {
    constexpr std::size_t flows = 64 * 1024;
    for (unsigned shift : {0u, 8u, 16u, 26u}) {
        std::array<unsigned, 64> buckets{};
        for (std::uint32_t i = 0; i < flows; ++i) {
            Tuple tuple{Ip::from4(0x0a000001u + (i >> 12)), Ip::from4(0x0a000102u),
                        static_cast<std::uint16_t>(1024 + (i & 0xfff)), 80, 6};
            ++buckets[symmetric_hash(tuple) >> shift & 63];
        }
        double chi = 0;
        const double expected = flows / 64.0;
        for (unsigned count : buckets) chi += (count - expected) * (count - expected) / expected;
        EXPECT_LT(chi, 120) << "shift " << shift;  // 63 degrees of freedom, p < 0.0001
    }
}

TEST(SymmetricHash, few_collisions_among_a_million_sequential_flows) {
    std::unordered_set<std::uint32_t> seen;
    std::size_t collisions = 0;
    for (std::uint32_t i = 0; i < 1000000; ++i) {
        Tuple tuple{Ip::from4(0x0a000001u), Ip::from4(0x0a010000u + (i >> 10)),
                    static_cast<std::uint16_t>(i & 0x3ff), 443, 17};
        collisions += !seen.insert(symmetric_hash(tuple)).second;
    }
    EXPECT_LT(collisions, 250u);  // 116 expected of a random function
}

// The reference vectors of the SipHash paper's implementation: key 00…0f, input 00 01 02 ….
TEST(SipHash, agrees_with_the_reference_vectors) {
    const std::array<std::uint64_t, 2> key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    std::vector<std::uint8_t> input(15);
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<std::uint8_t>(i);
    EXPECT_EQ(siphash24(key, input), 0xa129ca6149be45e5ull);
    EXPECT_EQ(siphash24(key, std::span(input).first(0)), 0x726fdb47dd0e0e31ull);
    EXPECT_EQ(siphash24(key, std::span(input).first(8)), 0x93f5f5799a932462ull);
}

TEST(SipHash, of_39_bytes_is_the_same_by_words) {
    const std::array<std::uint64_t, 2> key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    std::array<std::uint8_t, 40> input{};
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<std::uint8_t>(37 * i);
    std::array<std::uint64_t, 5> words{};
    std::memcpy(words.data(), input.data(), input.size());
    EXPECT_EQ(siphash24_of_39(key, words), siphash24(key, std::span(input).first(39)));
}

TEST(Crc32c, agrees_with_known_vectors) {
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
    EXPECT_EQ(crc32c({}), 0u);
    const std::vector<std::uint8_t> zeros(32, 0), ones(32, 0xff);  // RFC 3720 §B.4
    EXPECT_EQ(crc32c(zeros), 0x8a9136aau);
    EXPECT_EQ(crc32c(ones), 0x62a8ab43u);
}

TEST(Crc32c, table_and_instruction_agree) {
    std::mt19937 random(10);
    for (std::size_t length = 0; length < 70; ++length) {
        std::vector<std::uint8_t> bytes(length);
        for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
        EXPECT_EQ(~detail::crc32c_by_table(bytes, 0xffffffff), crc32c(bytes)) << length;
    }
}

TEST(Crc32c, may_be_continued_at_any_place) {
    const std::string_view text = "The flow record is one format for everything";
    const std::uint32_t whole = crc32c(as_bytes(text));
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
        EXPECT_EQ(crc32c(as_bytes(text.substr(cut)), crc32c(as_bytes(text.substr(0, cut)))), whole);
}

}  // namespace
}  // namespace weir::net
