#include "net/smd_codec.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "net/bytes.hpp"

namespace weir::net {
namespace {

using Wire = std::array<std::uint8_t, smd_bytes>;

Smd example() {
    Smd smd;
    smd.spi = 0x010203;
    smd.si = 2;
    smd.initial_si = 3;
    smd.ttl = 62;
    smd.sci = 0x0a0b0c;
    smd.path_epoch = 7;
    smd.tenant_vni = 5001;
    smd.skip_mask = 0x81;
    smd.anchor_host = 0x11223344;
    smd.anchor_port = 0x05000009;
    smd.flow_handle = 0xab001234;
    smd.flow_tag = 0xdeadbeef;
    smd.original_dst = Mac{{2, 0, 0, 0, 0, 1}};
    smd.original_src = Mac{{2, 0, 0, 0, 0, 2}};
    return smd;
}

// Byte by byte as service-plane §4.2 draws it.
TEST(SmdCodec, layout_is_that_of_the_specification) {
    const Wire expected = {0x00, 0x00, 0x3e, 0x03, 0x01, 0x02, 0x03, 0x02, 0x0a, 0x0b, 0x0c,
                           0x07, 0x00, 0x13, 0x89, 0x81, 0x11, 0x22, 0x33, 0x44, 0x05, 0x00,
                           0x00, 0x09, 0xab, 0x00, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 0x02,
                           0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02};
    Wire wire;
    encode(example(), wire);
    EXPECT_EQ(wire, expected);
    EXPECT_EQ(decode(wire), example());
}

TEST(SmdCodec, every_flag_has_its_bit) {
    struct Flag {
        bool Smd::*member;
        std::uint16_t bit;  // of the first 16
    };
    const Flag flags[] = {
        {&Smd::oam, 0x2000},       {&Smd::reverse, 0x1000}, {&Smd::at_ingress, 0x0800},
        {&Smd::returning, 0x0400}, {&Smd::copy, 0x0200},    {&Smd::live_query, 0x0100},
        {&Smd::live_ack, 0x0080},  {&Smd::trace, 0x0040},   {&Smd::moved, 0x0020}};
    for (const Flag& flag : flags) {
        Smd smd;
        smd.*flag.member = true;
        EXPECT_EQ(smd_flags(smd), flag.bit);
        Wire wire;
        encode(smd, wire);
        EXPECT_EQ(load16(wire.data()), flag.bit);
    }
    Smd smd;
    smd.version = 3;
    smd.reserved = 0x1f;
    EXPECT_EQ(smd_flags(smd), 0xc01f);
    smd = Smd{};
    smd.zz = 3;
    Wire wire;
    encode(smd, wire);
    EXPECT_EQ(wire[2], 0xc0 | 63);
}

// HD-2: all 352 bits, reserved ones too, come through.
TEST(SmdCodec, preserves_every_bit) {
    std::mt19937 random(3);
    for (int i = 0; i < 10000; ++i) {
        Wire wire, again;
        for (auto& byte : wire) byte = static_cast<std::uint8_t>(random());
        const Smd smd = decode(wire);
        encode(smd, again);
        ASSERT_EQ(wire, again);
        ASSERT_EQ(decode(again), smd);
    }
}

TEST(SmdCheck, names_each_fault_in_the_order_of_sec_6) {
    EXPECT_EQ(check_smd(example()), SmdError::none);
    Smd smd = example();
    smd.copy = true;  // alone is fine
    EXPECT_EQ(check_smd(smd), SmdError::none);
    smd.returning = true;
    smd.si = 0;
    EXPECT_EQ(check_smd(smd), SmdError::copy_returning);
    smd.si = 1;
    EXPECT_EQ(check_smd(smd), SmdError::return_mismatch);
    smd.returning = false;
    smd.si = 0;
    EXPECT_EQ(check_smd(smd), SmdError::return_mismatch);
    smd.si = 4;
    EXPECT_EQ(check_smd(smd), SmdError::index_above_start);
    smd.initial_si = 9;
    EXPECT_EQ(check_smd(smd), SmdError::too_many_hops);
    smd.ttl = 0;
    EXPECT_EQ(check_smd(smd), SmdError::ttl_zero);
}

TEST(SmdCheck, inner_frame_needs_two_unicast_addresses) {
    std::array<std::uint8_t, 14> frame{};
    EXPECT_EQ(check_inner_frame(std::span(frame).first(13)), SmdError::inner_short);
    EXPECT_EQ(check_inner_frame(frame), SmdError::inner_not_unicast);
    service_plane_mac(7).store(frame.data());
    service_plane_mac(0x01020304).store(frame.data() + 6);
    EXPECT_EQ(check_inner_frame(frame), SmdError::none);
    EXPECT_EQ(Mac::from(frame.data() + 6).text(), "02:5a:01:02:03:04");
    frame[0] |= 1;
    EXPECT_EQ(check_inner_frame(frame), SmdError::inner_not_unicast);
}

TEST(SmdCheck, every_error_has_a_name_of_its_own) {
    for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(SmdError::count_); ++i)
        for (std::uint8_t j = 0; j < i; ++j)
            EXPECT_STRNE(name(static_cast<SmdError>(i)), name(static_cast<SmdError>(j)));
}

}  // namespace
}  // namespace weir::net
