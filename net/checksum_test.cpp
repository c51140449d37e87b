#include "net/checksum.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

// RFC 1071 word by word, as its text says it.
std::uint16_t naive_checksum(std::span<const std::uint8_t> bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        sum += bytes[i] * 256u + (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
        while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(~sum);
}

PacketBuffer parsed(const FrameBuilder& builder) {
    PacketBuffer buffer = builder.packet();
    EXPECT_EQ(parse(buffer.packet()), ParseError::none);
    return buffer;
}

const FrameBuilder whole_packets[] = {
    FrameBuilder().ip("10.0.0.1", "10.0.0.2").tcp(4000, 80, tcp_ack, 5, 9).payload(101),
    FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(4000, 53).payload(64),
    FrameBuilder().ip("10.0.0.1", "10.0.0.2").echo(7, 1).payload(33),
    FrameBuilder().ip("2001:db8::1", "2001:db8::2").tcp(4000, 80, tcp_ack, 5, 9).payload(101),
    FrameBuilder().ip("2001:db8::1", "2001:db8::2").udp(4000, 53).payload(3),
    FrameBuilder().ip("2001:db8::1", "2001:db8::2").echo(7, 1).payload(8),
    FrameBuilder().ip("2001:db8::1", "2001:db8::2").extension(60, {0, 1, 4, 0, 0, 0, 0}).udp(1, 2),
    FrameBuilder()
        .vlan(100)
        .ip("10.0.0.1", "10.0.0.2")
        .ip4_options({1, 1, 1, 0})
        .udp(1, 2)
        .payload(9),
};

TEST(InternetSum, rfc1071_example) {
    const std::array<std::uint8_t, 8> bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    InternetSum sum;
    sum.add(bytes);
    EXPECT_EQ(sum.folded(), 0xddf2);
    EXPECT_EQ(internet_checksum(bytes), 0x220d);
}

TEST(InternetSum, agrees_with_a_naive_twin_at_every_length_and_cut) {
    std::mt19937 random(4);
    for (std::size_t length = 0; length < 130; ++length) {
        std::vector<std::uint8_t> bytes(length);
        for (auto& byte : bytes)
            byte = static_cast<std::uint8_t>(random() | (length % 3 ? 0 : 0xf0));
        ASSERT_EQ(internet_checksum(bytes), naive_checksum(bytes)) << length;
        const std::size_t cut = length / 2 & ~std::size_t{1};
        InternetSum sum;
        sum.add(std::span(bytes).first(cut));
        sum.add(std::span(bytes).subspan(cut));
        ASSERT_EQ(sum.checksum(), naive_checksum(bytes));
    }
    const std::vector<std::uint8_t> ones(65535, 0xff);
    EXPECT_EQ(internet_checksum(ones), naive_checksum(ones));
}

TEST(IncrementalUpdate, equals_a_recomputation) {
    std::mt19937 random(5);
    std::array<std::uint8_t, 20> header;
    for (int i = 0; i < 20000; ++i) {
        for (auto& byte : header) byte = static_cast<std::uint8_t>(random() & random());
        fill_ip4_checksum(header);
        const std::uint16_t before = load16(header.data() + 10);
        const std::uint32_t from = load32(header.data() + 12);
        const auto to = static_cast<std::uint32_t>(i % 5 ? random() : 0);
        store32(header.data() + 12, to);
        store16(header.data() + 10, update_checksum32(before, from, to));
        ASSERT_TRUE(ip4_checksum_ok(header)) << i;
        const std::uint16_t old16 = load16(header.data() + 8);
        const auto new16 = static_cast<std::uint16_t>(random());
        store16(header.data() + 8, new16);
        store16(header.data() + 10, update_checksum16(load16(header.data() + 10), old16, new16));
        ASSERT_TRUE(ip4_checksum_ok(header)) << i;
    }
}

TEST(IncrementalUpdate, carries_twice_where_needed) {
    const std::uint16_t edges[] = {0, 1, 2, 0x7fff, 0x8000, 0xfffd, 0xfffe, 0xffff};
    for (std::uint16_t checksum : edges)
        for (std::uint16_t from : edges)
            for (std::uint16_t to : edges) {
                // RFC 1624 eqn. 3 in plain arithmetic modulo 2^16 - 1; its zero is ffff unless all
                // are 0.
                const unsigned sum = (0xffffu - checksum) + (0xffffu - from) + to;
                const unsigned folded = sum == 0 ? 0 : (sum - 1) % 0xffff + 1;
                ASSERT_EQ(update_checksum16(checksum, from, to), 0xffff - folded);
            }
}

// RFC 1624 §4: the case in which the older equation gives the wrong zero.
TEST(IncrementalUpdate, rfc1624_example) {
    EXPECT_EQ(update_checksum16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

TEST(L4Checksum, a_right_one_passes_and_any_flipped_bit_fails) {
    for (const FrameBuilder& builder : whole_packets) {
        PacketBuffer buffer = parsed(builder);
        Packet& packet = buffer.packet();
        ASSERT_TRUE(l4_checksum_ok(packet));
        for (std::uint32_t i = packet.headers.l4; i < packet.length; ++i) {
            const bool udp_length = packet.headers.proto == proto_udp &&
                                    (i == packet.headers.l4 + 4u || i == packet.headers.l4 + 5u);
            if (udp_length) continue;  // says how much is covered
            packet.data[i] ^= 0x10;
            ASSERT_FALSE(l4_checksum_ok(packet)) << i;
            packet.data[i] ^= 0x10;
        }
    }
}

TEST(L4Checksum, fill_restores_what_the_builder_wrote) {
    for (const FrameBuilder& builder : whole_packets) {
        FrameBuilder broken = builder;
        PacketBuffer buffer = parsed(broken.bad_l4_checksum());
        ASSERT_FALSE(l4_checksum_ok(buffer.packet()));
        ASSERT_TRUE(fill_l4_checksum(buffer.packet()));
        EXPECT_EQ(buffer.frame(), builder.build());
    }
}

TEST(L4Checksum, partial_is_completed_to_the_same_bytes) {
    for (const FrameBuilder& builder : whole_packets) {
        PacketBuffer buffer = parsed(builder);
        Packet& packet = buffer.packet();
        if (!make_partial_checksum(packet)) continue;
        EXPECT_TRUE(packet.flags & packet_partial_checksum);
        EXPECT_TRUE(l4_checksum_ok(packet));
        ASSERT_NE(buffer.frame(), builder.build());
        ASSERT_TRUE(resolve_partial_checksum(packet));
        EXPECT_FALSE(packet.flags & packet_partial_checksum);
        EXPECT_EQ(buffer.frame(), builder.build());
    }
}

TEST(L4Checksum, resolve_leaves_a_complete_packet_alone) {
    PacketBuffer buffer = parsed(FrameBuilder(whole_packets[0]).bad_l4_checksum());
    const std::vector<std::uint8_t> before = buffer.frame();
    EXPECT_TRUE(resolve_partial_checksum(buffer.packet()));
    EXPECT_EQ(buffer.frame(), before);
}

TEST(L4Checksum, partial_flag_on_what_cannot_have_one_is_refused) {
    PacketBuffer buffer = parsed(
        FrameBuilder().ip("10.0.0.1", "10.0.0.2").fragment(7, 1480, false).proto(17).payload(8));
    buffer.packet().flags |= packet_partial_checksum;
    EXPECT_FALSE(resolve_partial_checksum(buffer.packet()));
    EXPECT_FALSE(fill_l4_checksum(buffer.packet()));
}

TEST(L4Checksum, absent_udp_checksum_is_legal_over_ip4_only) {
    PacketBuffer ip4 =
        parsed(FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).no_udp_checksum());
    EXPECT_TRUE(l4_checksum_ok(ip4.packet()));
    PacketBuffer ip6 = parsed(FrameBuilder().ip("fd00::1", "fd00::2").udp(1, 2).no_udp_checksum());
    EXPECT_FALSE(l4_checksum_ok(ip6.packet()));
}

// Whatever sums to zero must go as ffff in UDP: 0 would mean "none".
TEST(L4Checksum, computed_zero_goes_as_ones_in_udp) {
    PacketBuffer buffer = parsed(FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(2));
    Packet& packet = buffer.packet();
    const std::uint8_t* checksum = packet.data + packet.headers.l4 + 6;
    std::uint8_t* payload = packet.data + packet.headers.payload;
    const std::uint16_t sum = load16(checksum);
    store16(payload, static_cast<std::uint16_t>(load16(payload) + sum));
    ASSERT_TRUE(fill_l4_checksum(packet));
    EXPECT_EQ(load16(checksum), 0xffff);
    EXPECT_TRUE(l4_checksum_ok(packet));
}

TEST(DecrementTtl, keeps_the_header_checksum_right) {
    for (unsigned ttl = 2; ttl < 256; ++ttl) {
        PacketBuffer buffer = parsed(FrameBuilder()
                                         .ip("10.0.0.1", "10.0.0.2")
                                         .ttl(static_cast<std::uint8_t>(ttl))
                                         .udp(1, 2));
        ASSERT_TRUE(decrement_ttl(buffer.packet()));
        ASSERT_EQ(parse(buffer.packet()), ParseError::none) << ttl;
        ASSERT_EQ(buffer.packet().headers.ttl, ttl - 1);
    }
}

TEST(DecrementTtl, refuses_the_last_hop_and_what_is_not_ip) {
    for (std::uint8_t ttl : {std::uint8_t{0}, std::uint8_t{1}}) {
        for (const char* address : {"10.0.0.1", "fd00::1"}) {
            PacketBuffer buffer = parsed(FrameBuilder().ip(address, address).ttl(ttl).udp(1, 2));
            const auto before = buffer.frame();
            EXPECT_FALSE(decrement_ttl(buffer.packet()));
            EXPECT_EQ(buffer.frame(), before);
        }
    }
    PacketBuffer arp = parsed(FrameBuilder().ethertype(ethertype_arp).payload(28));
    EXPECT_FALSE(decrement_ttl(arp.packet()));
    PacketBuffer ip6 = parsed(FrameBuilder().ip("fd00::1", "fd00::2").ttl(9).udp(1, 2));
    EXPECT_TRUE(decrement_ttl(ip6.packet()));
    EXPECT_EQ(ip6.frame()[14 + 7], 8);
}

}  // namespace
}  // namespace weir::net
