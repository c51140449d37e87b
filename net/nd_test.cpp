#include "net/nd.hpp"

#include <gtest/gtest.h>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

const Mac mac_a{{2, 0, 0, 0, 0, 0xa}}, mac_b{{2, 0, 0, 0, 0, 0xb}};

Ip ip(const char* text) {
    return Ip::parse(text).value();
}

PacketBuffer empty() {
    return PacketBuffer({}, 64, 512);
}

TEST(Neighbours, solicitation_and_advertisement_fit_each_other) {
    PacketBuffer asked = empty(), told = empty();
    const Ip sender = ip("fd00::1"), target = ip("fd00::abcd:1234");
    ASSERT_TRUE(write_neighbour_solicitation(asked.packet(), mac_a, sender, target));
    ASSERT_EQ(parse(asked.packet()), ParseError::none);
    EXPECT_EQ(destination_mac(asked.packet()).text(), "33:33:ff:cd:12:34");
    EXPECT_EQ(asked.packet().tuple.dst.text(), "ff02::1:ffcd:1234");
    const auto question = read_neighbour(asked.packet());
    ASSERT_TRUE(question);
    EXPECT_TRUE(question->solicitation);
    EXPECT_EQ(question->target, target);
    EXPECT_EQ(question->link_address, mac_a);
    ASSERT_TRUE(write_neighbour_advertisement(told.packet(), *question, mac_a, mac_b, true));
    ASSERT_EQ(parse(told.packet()), ParseError::none);
    EXPECT_EQ(destination_mac(told.packet()), mac_a);
    const auto answer = read_neighbour(told.packet());
    ASSERT_TRUE(answer);
    EXPECT_FALSE(answer->solicitation);
    EXPECT_TRUE(answer->router && answer->solicited && answer->override);
    EXPECT_EQ(answer->src, target);
    EXPECT_EQ(answer->dst, sender);
    EXPECT_EQ(answer->link_address, mac_b);
}

TEST(Neighbours, duplicate_address_detection_is_answered_to_all) {
    PacketBuffer asked = empty(), told = empty();
    ASSERT_TRUE(write_neighbour_solicitation(asked.packet(), mac_a, Ip{}, ip("fd00::5")));
    ASSERT_EQ(parse(asked.packet()), ParseError::none);
    const auto question = read_neighbour(asked.packet());
    ASSERT_TRUE(question);
    EXPECT_FALSE(question->link_address);
    ASSERT_TRUE(write_neighbour_advertisement(told.packet(), *question, mac_a, mac_b, false));
    ASSERT_EQ(parse(told.packet()), ParseError::none);
    EXPECT_EQ(told.packet().tuple.dst.text(), "ff02::1");
    EXPECT_EQ(destination_mac(told.packet()).text(), "33:33:00:00:00:01");
    EXPECT_FALSE(read_neighbour(told.packet())->solicited);
}

TEST(Neighbours, a_unicast_probe_goes_to_the_neighbour) {
    PacketBuffer buffer = empty();
    ASSERT_TRUE(
        write_neighbour_solicitation(buffer.packet(), mac_a, ip("fd00::1"), ip("fd00::2"), &mac_b));
    ASSERT_EQ(parse(buffer.packet()), ParseError::none);
    EXPECT_EQ(destination_mac(buffer.packet()), mac_b);
    EXPECT_EQ(buffer.packet().tuple.dst, ip("fd00::2"));
    EXPECT_TRUE(read_neighbour(buffer.packet()));
}

TEST(Neighbours, refuses_each_violation_of_rfc4861) {
    PacketBuffer good = empty();
    ASSERT_TRUE(write_neighbour_solicitation(good.packet(), mac_a, ip("fd00::1"), ip("fd00::2")));
    const auto refused = [&](auto&& edit, bool fix_checksum = true) {
        PacketBuffer buffer(good.frame());
        Packet& packet = buffer.packet();
        edit(packet);
        EXPECT_EQ(parse(packet), ParseError::none);
        if (fix_checksum) fill_l4_checksum(packet);
        return !read_neighbour(packet).has_value();
    };
    EXPECT_FALSE(refused([](Packet&) {}));
    EXPECT_TRUE(refused([](Packet& p) { p.data[14 + 7] = 254; }));    // hop limit
    EXPECT_TRUE(refused([](Packet& p) { p.data[60] ^= 1; }, false));  // checksum
    EXPECT_TRUE(refused([](Packet& p) { p.data[55] = 1; }));          // code
    EXPECT_TRUE(refused([](Packet& p) { p.data[62] = 0xff; }));       // multicast target
    EXPECT_TRUE(refused([](Packet& p) { p.data[79] = 0; }));          // option length 0
    EXPECT_TRUE(refused([](Packet& p) { p.data[79] = 2; }));          // option beyond the end
    EXPECT_TRUE(refused([](Packet& p) { p.data[80] |= 1; }));         // multicast link address
    EXPECT_TRUE(refused([](Packet& p) { std::memset(p.data + 22, 0, 16); }));  // :: with an option
    EXPECT_TRUE(refused([](Packet& p) { p.data[54] = 134; }));                 // another message
    EXPECT_TRUE(refused([](Packet& p) {  // shorter than 24 bytes
        p.trim_to(p.length - 9);
        store16(p.data + 18, 23);
    }));
}

}  // namespace
}  // namespace weir::net
