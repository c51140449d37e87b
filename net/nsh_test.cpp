#include "net/nsh.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "net/builder.hpp"
#include "net/bytes.hpp"

namespace weir::net {
namespace {

using Bytes = std::vector<std::uint8_t>;

Nsh example() {
    Nsh nsh;
    nsh.smd.spi = 0x010203;
    nsh.smd.si = 2;
    nsh.smd.initial_si = 3;
    nsh.smd.ttl = 62;
    nsh.smd.sci = 0x0a0b0c;
    nsh.smd.path_epoch = 7;
    nsh.smd.tenant_vni = 5001;
    nsh.smd.skip_mask = 0x81;
    nsh.smd.anchor_host = 0x11223344;
    nsh.smd.anchor_port = 0x05000009;
    nsh.smd.flow_handle = 0xab001234;
    nsh.smd.flow_tag = 0xdeadbeef;
    nsh.smd.reverse = true;
    nsh.smd.live_query = true;
    nsh.cookie = 0xc001c0de;
    return nsh;
}

Bytes encoded(const Nsh& nsh, Bytes inner = counting_payload(20)) {
    PacketBuffer buffer(inner);
    EXPECT_TRUE(push_nsh(buffer.packet(), nsh));
    return buffer.frame();
}

NshError error_of(const Bytes& bytes) {
    NshView view;
    return decode_nsh(bytes, view);
}

// Byte by byte as RFC 8300 and HD-3 draw it.
TEST(Nsh, md_type_2_layout) {
    Bytes expected = {0x0f, 0x8b, 0x02, 0x03, 0x01, 0x02, 0x03, 0x02, 0xff, 0xf6, 0x01,
                      0x20, 0x11, 0x00, 0x03, 0x81, 0x0a, 0x0b, 0x0c, 0x07, 0x00, 0x13,
                      0x89, 0x00, 0x11, 0x22, 0x33, 0x44, 0x05, 0x00, 0x00, 0x09, 0xab,
                      0x00, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 0xc0, 0x01, 0xc0, 0xde};
    const Bytes wire = encoded(example());
    EXPECT_EQ(Bytes(wire.begin(), wire.begin() + nsh_md2_bytes), expected);
    EXPECT_EQ(wire.size(), expected.size() + 20);
}

TEST(Nsh, md_type_1_layout) {
    Nsh nsh = example();
    nsh.md_type = MdType::fixed;
    nsh.flow_action = 4;
    nsh.smd.unassigned = 0x1f;
    const Bytes expected = {0x1f, 0x86, 0xf1, 0x03, 0x01, 0x02, 0x03, 0x02, 0x11, 0x04, 0x03, 0x00,
                            0x0a, 0x0b, 0x0c, 0x07, 0xde, 0xad, 0xbe, 0xef, 0xc0, 0x01, 0xc0, 0xde};
    const Bytes wire = encoded(nsh);
    EXPECT_EQ(Bytes(wire.begin(), wire.begin() + nsh_md1_bytes), expected);
}

TEST(Nsh, md_type_2_comes_back_with_a_nodes_order) {
    Nsh nsh = example();
    nsh.smd.oam = true;
    nsh.smd.unassigned = 0x15;
    nsh.control = NodeControl{2, 3, 9, 0x12345678};
    const Bytes wire = encoded(nsh);
    EXPECT_EQ(wire.size(), nsh_md2_bytes + 12 + 20);
    NshView view;
    ASSERT_EQ(decode_nsh(wire, view), NshError::none);
    EXPECT_EQ(view.nsh, nsh);
    EXPECT_EQ(view.header_bytes, nsh_md2_bytes + 12);
    EXPECT_EQ(Bytes(view.inner.begin(), view.inner.end()), counting_payload(20));
}

TEST(Nsh, md_type_1_comes_back_without_what_it_lacks) {
    Nsh nsh = example();
    nsh.md_type = MdType::fixed;
    nsh.flow_action = 15;
    NshView view;
    ASSERT_EQ(decode_nsh(encoded(nsh), view), NshError::none);
    nsh.smd.tenant_vni = nsh.smd.anchor_host = nsh.smd.anchor_port = nsh.smd.flow_handle = 0;
    nsh.smd.skip_mask = 0;
    EXPECT_EQ(view.nsh, nsh);
}

// RFC 8300 §2.2: whatever the U bits are, the rest means the same, and they are kept.
TEST(Nsh, unassigned_bits_change_nothing_but_themselves) {
    EXPECT_EQ(Nsh{}.smd.unassigned, 0) << "zero where a header begins";
    for (const MdType type : {MdType::fixed, MdType::variable}) {
        Nsh nsh = example();
        nsh.md_type = type;
        NshView plain;
        ASSERT_EQ(decode_nsh(encoded(nsh), plain), NshError::none);
        for (std::uint8_t bits = 1; bits < 32; ++bits) {
            nsh.smd.unassigned = bits;
            NshView view;
            ASSERT_EQ(decode_nsh(encoded(nsh), view), NshError::none);
            EXPECT_EQ(view.nsh.smd.unassigned, bits);
            view.nsh.smd.unassigned = 0;
            EXPECT_EQ(view.nsh, plain.nsh);
        }
    }
}

TEST(Nsh, header_only_packets_are_oam) {
    Nsh nsh = example();
    nsh.smd.oam = true;
    Bytes wire = encoded(nsh, {});
    EXPECT_EQ(wire[3], 0);
    wire.resize(wire.size() + 2);  // Ethernet padding
    NshView view;
    ASSERT_EQ(decode_nsh(wire, view), NshError::none);
    EXPECT_TRUE(view.nsh.smd.oam);
    EXPECT_TRUE(view.inner.empty());
    nsh.smd.oam = false;
    EXPECT_EQ(error_of(encoded(nsh, {})), NshError::unsupported_next_protocol);
}

TEST(Nsh, arriving_ttl_zero_reads_as_63) {
    Nsh nsh = example();
    nsh.smd.ttl = 0;
    NshView view;
    ASSERT_EQ(decode_nsh(encoded(nsh), view), NshError::none);
    EXPECT_EQ(view.nsh.smd.ttl, 63);
}

TEST(Nsh, refuses_without_headroom) {
    PacketBuffer buffer(Bytes(20), nsh_md2_bytes - 1);
    EXPECT_FALSE(push_nsh(buffer.packet(), example()));
    EXPECT_EQ(buffer.packet().length, 20u);
}

// A context header in front of or behind ours; the length field follows.
Bytes with_context(Bytes wire, Bytes context) {
    wire.insert(wire.begin() + 8, context.begin(), context.end());
    wire[1] = static_cast<std::uint8_t>((wire[1] & 0xc0) | ((wire[1] & 0x3f) + context.size() / 4));
    return wire;
}

TEST(NshDecode, skips_context_headers_of_others) {
    const Bytes good = encoded(example());
    NshView view;
    const Bytes foreign = with_context(good, {0x01, 0x01, 0x07, 0x05, 1, 2, 3, 4, 5, 0, 0, 0});
    ASSERT_EQ(decode_nsh(foreign, view), NshError::none);
    EXPECT_EQ(view.nsh, example());
    EXPECT_EQ(view.header_bytes, nsh_md2_bytes + 12);
    const Bytes unknown = with_context(good, {0xff, 0xf6, 0x09, 0x80});
    ASSERT_EQ(decode_nsh(unknown, view), NshError::none);
    EXPECT_EQ(view.nsh, example());
}

TEST(NshDecode, names_each_fault) {
    const Bytes good = encoded(example());
    const auto edited = [&](std::size_t at, std::uint8_t value) {
        Bytes bytes = good;
        bytes[at] = value;
        return error_of(bytes);
    };
    EXPECT_EQ(error_of(good), NshError::none);
    EXPECT_EQ(error_of(Bytes(good.begin(), good.begin() + 7)), NshError::short_header);
    EXPECT_EQ(edited(0, 0x4f), NshError::bad_version);
    EXPECT_EQ(edited(1, 0x81), NshError::bad_length);
    EXPECT_EQ(edited(1, 0x80 | 0x3f), NshError::bad_length);
    EXPECT_EQ(error_of(Bytes(good.begin(), good.begin() + 43)), NshError::bad_length);
    EXPECT_EQ(edited(2, 0), NshError::unsupported_md_type);
    EXPECT_EQ(edited(2, 15), NshError::unsupported_md_type);
    EXPECT_EQ(edited(3, 1), NshError::unsupported_next_protocol);
    EXPECT_EQ(edited(3, 0), NshError::unsupported_next_protocol);
    EXPECT_EQ(edited(2, 1), NshError::bad_md1_length);
    EXPECT_EQ(edited(11, 33), NshError::context_overrun);
    EXPECT_EQ(edited(1, 0x82), NshError::missing_context);
    EXPECT_EQ(edited(10, 9), NshError::missing_context);
    EXPECT_EQ(edited(11, 31), NshError::bad_context_length);
    EXPECT_EQ(edited(12, 0x51), NshError::bad_smd_version);
    Bytes context(good.begin() + 8, good.begin() + 44);
    EXPECT_EQ(error_of(with_context(good, context)), NshError::duplicate_context);
    const Bytes control = {0xff, 0xf6, 2, 8, 1, 3, 0, 0, 0, 0, 0, 0};
    EXPECT_EQ(error_of(with_context(good, control)), NshError::none);
    EXPECT_EQ(error_of(with_context(with_context(good, control), control)),
              NshError::duplicate_control);
    EXPECT_EQ(error_of(with_context(good, {0xff, 0xf6, 2, 4, 1, 3, 0, 0})),
              NshError::bad_control_length);
    EXPECT_EQ(error_of(with_context(good, {0xff, 0xf6, 2, 0})), NshError::bad_control_length);
}

TEST(NshDecode, every_error_has_a_name_of_its_own) {
    for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(NshError::count_); ++i)
        for (std::uint8_t j = 0; j < i; ++j)
            EXPECT_STRNE(name(static_cast<NshError>(i)), name(static_cast<NshError>(j)));
}

}  // namespace
}  // namespace weir::net
