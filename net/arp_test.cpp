#include "net/arp.hpp"

#include <gtest/gtest.h>

#include "net/builder.hpp"
#include "net/ethernet.hpp"
#include "net/parse.hpp"

namespace weir::net {
namespace {

const Mac mac_a{{2, 0, 0, 0, 0, 0xa}}, mac_b{{2, 0, 0, 0, 0, 0xb}};
const Ip ip_a = Ip::from4(0x0a000001u), ip_b = Ip::from4(0x0a000002u);

PacketBuffer empty() {
    return PacketBuffer({}, 64, 512);
}

TEST(Arp, request_and_reply_fit_each_other) {
    PacketBuffer request = empty(), reply = empty();
    ASSERT_TRUE(write_arp_request(request.packet(), mac_a, ip_a, ip_b));
    ASSERT_EQ(parse(request.packet()), ParseError::none);
    EXPECT_TRUE(destination_mac(request.packet()).is_broadcast());
    const auto asked = read_arp(request.packet());
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->operation, ArpOperation::request);
    EXPECT_EQ(asked->sender_mac, mac_a);
    EXPECT_EQ(asked->target, ip_b);
    ASSERT_TRUE(write_arp_reply(reply.packet(), *asked, mac_b));
    ASSERT_EQ(parse(reply.packet()), ParseError::none);
    EXPECT_EQ(destination_mac(reply.packet()), mac_a);
    const auto answer = read_arp(reply.packet());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->operation, ArpOperation::reply);
    EXPECT_EQ(answer->sender_mac, mac_b);
    EXPECT_EQ(answer->sender, ip_b);
    EXPECT_EQ(answer->target, ip_a);
    EXPECT_EQ(answer->target_mac, mac_a);
}

TEST(Arp, rarp_announcement) {
    PacketBuffer buffer = empty();
    ASSERT_TRUE(write_rarp_announcement(buffer.packet(), mac_a));
    ASSERT_EQ(parse(buffer.packet()), ParseError::none);
    EXPECT_EQ(buffer.packet().headers.ethertype, ethertype_rarp);
    ASSERT_TRUE(read_arp(buffer.packet()));
    EXPECT_EQ(read_arp(buffer.packet())->sender_mac, mac_a);
}

TEST(Arp, refuses_what_is_cut_or_foreign) {
    PacketBuffer good = empty();
    ASSERT_TRUE(write_arp_request(good.packet(), mac_a, ip_a, ip_b));
    const auto broken = [&](std::size_t offset, std::uint8_t value) {
        auto frame = good.frame();
        frame[offset] = value;
        PacketBuffer buffer(frame);
        EXPECT_EQ(parse(buffer.packet()), ParseError::none);
        return !read_arp(buffer.packet()).has_value();
    };
    EXPECT_TRUE(broken(15, 6));     // hardware type
    EXPECT_TRUE(broken(16, 0x86));  // protocol type
    EXPECT_TRUE(broken(18, 8));     // hardware address length
    EXPECT_TRUE(broken(19, 16));    // protocol address length
    EXPECT_TRUE(broken(21, 0));     // operation
    EXPECT_TRUE(broken(21, 5));
    EXPECT_TRUE(broken(21, 3));     // RARP operation under the ARP ethertype
    EXPECT_TRUE(broken(22, 0x01));  // multicast sender
    for (std::uint32_t length = 14; length < 42; ++length) {
        PacketBuffer cut(good.frame());
        ASSERT_TRUE(cut.packet().trim_to(length));
        ASSERT_EQ(parse(cut.packet()), ParseError::none);
        EXPECT_FALSE(read_arp(cut.packet()));
    }
}

}  // namespace
}  // namespace weir::net
