#include "net/ethernet.hpp"

#include <gtest/gtest.h>

#include "net/builder.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

const Mac mac_a{{2, 0, 0, 0, 0, 0xa}}, mac_b{{2, 0, 0, 0, 0, 0xb}};

TEST(Ethernet, tags_go_on_and_come_off) {
    PacketBuffer buffer = FrameBuilder().ip("10.0.0.1", "10.0.0.2").udp(1, 2).packet();
    const auto before = buffer.frame();
    Packet& packet = buffer.packet();
    ASSERT_TRUE(push_vlan(packet, 100));
    ASSERT_TRUE(push_vlan(packet, 0x2007, ethertype_qinq));
    EXPECT_EQ(buffer.frame(),
              FrameBuilder().vlan(0x2007).vlan(100).ip("10.0.0.1", "10.0.0.2").udp(1, 2).build());
    std::uint16_t tci = 0;
    ASSERT_TRUE(pop_vlan(packet, tci));
    EXPECT_EQ(tci, 0x2007);
    ASSERT_TRUE(pop_vlan(packet, tci));
    EXPECT_EQ(tci, 100);
    EXPECT_EQ(buffer.frame(), before);
    EXPECT_FALSE(pop_vlan(packet, tci));
}

TEST(Ethernet, refuses_without_room) {
    PacketBuffer buffer(counting_payload(60), 3);
    EXPECT_FALSE(push_vlan(buffer.packet(), 1));
    EXPECT_FALSE(push_ethernet(buffer.packet(), mac_a, mac_b, 0x894f));
    EXPECT_FALSE(start_frame(buffer.packet(), 60 + PacketBuffer::default_room + 1));
    PacketBuffer tiny(counting_payload(13));
    EXPECT_FALSE(push_vlan(tiny.packet(), 1));
    ASSERT_TRUE(push_ethernet(tiny.packet(), mac_a, mac_b, 0x894f));
    EXPECT_EQ(destination_mac(tiny.packet()), mac_a);
    EXPECT_EQ(source_mac(tiny.packet()), mac_b);
}

}  // namespace
}  // namespace weir::net
