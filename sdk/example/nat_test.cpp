#include "example/nat.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace weir::example {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::uint16_t sum(std::span<const std::uint8_t> bytes, std::uint32_t start = 0) {
    std::uint32_t total = start;
    for (std::size_t at = 0; at < bytes.size(); at += 2)
        total += static_cast<std::uint32_t>(bytes[at] << 8 | (at + 1 < bytes.size() ? bytes[at + 1]
                                                                                   : 0));
    while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
    return static_cast<std::uint16_t>(total);
}

// The pseudo header and what it is about add up to all ones (RFC 793, RFC 768).
bool is_whole(const Bytes& frame) {
    const std::span<const std::uint8_t> ip = std::span(frame).subspan(14);
    const auto segment = ip.subspan(20);
    const std::uint32_t pseudo = sum(ip.subspan(12, 8), ip[9] + static_cast<std::uint32_t>(
                                                                    segment.size()));
    return sum(ip.first(20)) == 0xffff && sum(segment, pseudo) == 0xffff;
}

Bytes frame_of(std::uint8_t proto, std::uint8_t src, std::uint8_t dst) {
    const std::size_t header = proto == 6 ? 20 : 8, at = proto == 6 ? 16 : 6;
    Bytes f(14 + 20 + header + 5);
    f[12] = 8;
    std::uint8_t* ip = f.data() + 14;
    ip[0] = 0x45;
    ip[3] = static_cast<std::uint8_t>(f.size() - 14);
    ip[8] = 64;
    ip[9] = proto;
    ip[12] = ip[16] = 10;
    ip[15] = src;
    ip[19] = dst;
    for (std::size_t i = 34 + header; i < f.size(); ++i) f[i] = static_cast<std::uint8_t>(i * 7);
    const auto store = [&](std::size_t where, std::uint16_t value) {
        f[where] = static_cast<std::uint8_t>(value >> 8);
        f[where + 1] = static_cast<std::uint8_t>(value);
    };
    const std::span<const std::uint8_t> all(f);
    store(14 + 10, static_cast<std::uint16_t>(~sum(all.subspan(14, 20))));
    const std::uint32_t pseudo =
        sum(all.subspan(26, 8), proto + static_cast<std::uint32_t>(f.size() - 34));
    store(34 + at, static_cast<std::uint16_t>(~sum(all.subspan(34), pseudo)));
    return f;
}

TEST(Nat, ThereAndBackWithEveryChecksum) {
    const auto known = parse_translation("10.0.0.1=10.0.0.99");
    ASSERT_TRUE(known);
    for (const std::uint8_t proto : {std::uint8_t{6}, std::uint8_t{17}}) {
        Bytes there = frame_of(proto, 1, 2);
        ASSERT_TRUE(is_whole(there));
        EXPECT_TRUE(translate(there, *known));
        EXPECT_EQ(there[14 + 15], 99);
        EXPECT_TRUE(is_whole(there));
        Bytes back = frame_of(proto, 2, 99);
        EXPECT_TRUE(translate(back, *known));
        EXPECT_EQ(back[14 + 19], 1);
        EXPECT_TRUE(is_whole(back));
        Bytes other = frame_of(proto, 3, 1);
        EXPECT_FALSE(translate(other, *known)) << "the inside is not reached from outside";
        EXPECT_EQ(other, frame_of(proto, 3, 1));
    }
}

TEST(Nat, WhatIsCutShortStaysAsItIs) {
    const auto known = parse_translation("10.0.0.1=10.0.0.99");
    const Bytes whole = frame_of(6, 1, 2);
    for (std::size_t bytes = 0; bytes < 34; ++bytes) {
        Bytes cut(whole.begin(), whole.begin() + static_cast<long>(bytes));
        EXPECT_FALSE(translate(cut, *known));
    }
    Bytes headers(whole.begin(), whole.begin() + 34);
    EXPECT_TRUE(translate(headers, *known)) << "nothing is read behind the frame";
}

TEST(Nat, MistakesAreSeen) {
    for (const char* bad : {"", "10.0.0.1", "10.0.0.1=", "=10.0.0.1", "10.0.0.1=x", "1=fd00::1"})
        EXPECT_FALSE(parse_translation(bad)) << bad;
}

}  // namespace
}  // namespace weir::example
