#include "ports/kernel/kernel_device.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "ports/kernel/testing/kernel_ports.hpp"

namespace weir::ports {
namespace {

using dataplane::PortDrop;
using testing::drops;
using testing::eventually;
using testing::plain_frame;
using testing::readable;

// All packets are somebody's but those that the device has put by for its next frames.
class DryPool : public testing::KernelPorts {
protected:
    void TearDown() override {
        pool_.release(0, held_.data(), static_cast<std::uint32_t>(held_.size()));
        KernelPorts::TearDown();
    }

    void drain() {
        EXPECT_EQ(receive(), 0u);
        for (net::Packet* p = nullptr; pool_.allocate(0, &p, 1) == 1;) held_.push_back(p);
    }
    std::uint32_t receive() {
        net::Packet* p = nullptr;
        if (device_->receive(0, &p, 1) == 0) return 0;
        held_.push_back(p);
        return 1;
    }
    void expect_every_packet_used() {
        drain();
        for (int i = 0; i < 32; ++i) {
            ASSERT_TRUE(wire_->send(plain_frame(0x88b5, 46)));
            ASSERT_TRUE(eventually([&] { return receive() == 1; })) << "frame " << i;
        }
    }
    // A frame that finds no packet waits, and says so.
    void expect_the_next_to_wait() {
        ASSERT_TRUE(wire_->send(plain_frame(0x88b5, 60)));
        EXPECT_EQ(receive(), 0u);
        EXPECT_TRUE(readable(device_->readable_file(), 5000));
        EXPECT_EQ(receive(), 0u);
        EXPECT_TRUE(readable(device_->readable_file(), 0));
        EXPECT_EQ(drops(*device_, PortDrop::no_buffer), 0u);
        pool_.release(0, &held_.back(), 1);
        held_.pop_back();
        EXPECT_EQ(received(), plain_frame(0x88b5, 60));
        EXPECT_EQ(device_->stats().rx_packets, 33u);
    }

    std::vector<net::Packet*> held_;
};

TEST_F(DryPool, AfPacketUsesWhatItHasAndLeavesTheRestToWait) {
    open_af_packet(1500);
    expect_every_packet_used();
    expect_the_next_to_wait();
}

TEST_F(DryPool, TapUsesWhatItHasAndLeavesTheRestToWait) {
    open_tap(1500);
    expect_every_packet_used();
    expect_the_next_to_wait();
}

// What met an interface that was down is sent when it is up again, packets or not.
TEST_F(DryPool, AfPacketSendsWhatWaited) {
    open_af_packet(1500);
    expect_every_packet_used();
    host_->ip("link set v0 down");
    pool_.release(0, &held_.back(), 1);
    held_.pop_back();
    transmit(plain_frame(0x88b5, 46));
    drain();
    host_->ip("link set v0 up");
    EXPECT_TRUE(eventually([&] {
        EXPECT_EQ(receive(), 0u);
        return wire_->receive(0) == plain_frame(0x88b5, 46);
    }));
}

}  // namespace
}  // namespace weir::ports
