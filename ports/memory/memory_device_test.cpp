#include "ports/memory/memory_device.hpp"

#include <gtest/gtest.h>

#include "dataplane/heap_pool.hpp"
#include "net/builder.hpp"
#include "net/wire.hpp"

namespace weir::ports {
namespace {

using dataplane::DeviceState;
using dataplane::PortDrop;

class MemoryPort : public ::testing::Test {
protected:
    void TearDown() override { EXPECT_EQ(pool_.in_use(), 0u) << "packets were lost"; }

    static net::FrameBuilder tcp() {
        net::FrameBuilder builder;
        builder.ip("10.0.0.1", "10.0.0.2").tcp(4000, 80, net::tcp_ack);
        return builder;
    }
    // A frame whose IP packet has that many bytes: 20 of IPv4, 20 of TCP, the rest payload.
    static MemoryDevice::Frame of_length(std::size_t bytes) {
        return tcp().payload(bytes - 40).build();
    }
    // What the engine would receive of the frame; empty: nothing.
    MemoryDevice::Frame received(const MemoryDevice::Frame& frame) {
        EXPECT_TRUE(device_.inject(frame));
        net::Packet* p = nullptr;
        if (device_.receive(0, &p, 1) == 0) return {};
        MemoryDevice::Frame got(p->data, p->data + p->length);
        pool_.release(0, &p, 1);
        return got;
    }
    void transmit(const MemoryDevice::Frame& frame, std::uint16_t flags = 0) {
        net::Packet* p = pool_.make(0, frame.data(), frame.size());
        ASSERT_NE(p, nullptr);
        p->flags = flags;
        EXPECT_EQ(device_.transmit(0, &p, 1), 1u);
    }
    std::uint64_t drops(PortDrop why) const {
        return device_.stats().drops[static_cast<std::size_t>(why)];
    }

    dataplane::HeapPool pool_{64};
    MemoryDevice device_{pool_, 1500};
};

TEST_F(MemoryPort, CarriesFramesAsTheyAre) {
    const auto frame = of_length(500), wrong = tcp().payload(50).bad_l4_checksum().build();
    for (const auto& one : {frame, wrong}) {
        EXPECT_EQ(received(one), one);
        transmit(one);
        EXPECT_EQ(device_.collect(), one);
    }
    EXPECT_EQ(device_.stats().rx_packets, 2u);
    EXPECT_EQ(device_.stats().tx_packets, 2u);
}

TEST_F(MemoryPort, TheMtuIsTheEdge) {
    EXPECT_EQ(received(of_length(1500)).size(), 1514u);
    EXPECT_TRUE(received(of_length(1501)).empty());
    EXPECT_EQ(drops(PortDrop::too_long), 1u);
    transmit(of_length(1500));
    transmit(of_length(1501));
    EXPECT_TRUE(device_.collect().has_value());
    EXPECT_FALSE(device_.collect().has_value());
    EXPECT_EQ(drops(PortDrop::too_long), 2u);
}

TEST_F(MemoryPort, NothingPassesALinkThatIsDown) {
    device_.set_link(false);
    EXPECT_EQ(device_.state(), DeviceState::link_down);
    EXPECT_FALSE(device_.inject(of_length(100)));
    transmit(of_length(100));
    EXPECT_EQ(drops(PortDrop::link_down), 1u);
    device_.set_link(true);
    EXPECT_EQ(device_.state(), DeviceState::up);
    EXPECT_EQ(received(of_length(100)), of_length(100));
    device_.remove();
    EXPECT_EQ(device_.state(), DeviceState::gone);
}

TEST_F(MemoryPort, SuperFramesComeInMarkedAndDoNotGoOut) {
    const auto large = of_length(9000);
    ASSERT_TRUE(
        device_.inject(large, net::packet_super_frame | net::packet_partial_checksum, 1400));
    net::Packet* p = nullptr;
    ASSERT_EQ(device_.receive(0, &p, 1), 1u);
    EXPECT_EQ(p->flags, net::packet_super_frame | net::packet_partial_checksum);
    EXPECT_EQ(p->segment_bytes, 1400);
    pool_.release(0, &p, 1);
    transmit(large, net::packet_super_frame);
    EXPECT_EQ(drops(PortDrop::super_frame), 1u);
}

TEST_F(MemoryPort, ADryPoolIsCounted) {
    std::array<net::Packet*, 64> all{};
    ASSERT_EQ(pool_.allocate(0, all.data(), all.size()), all.size());
    EXPECT_TRUE(received(of_length(100)).empty());
    EXPECT_EQ(drops(PortDrop::no_buffer), 1u);
    pool_.release(0, all.data(), all.size());
}

}  // namespace
}  // namespace weir::ports
