#include "ports/kernel/xdp_sender.hpp"

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "ports/kernel/testing/kernel_ports.hpp"

namespace weir::ports {
namespace {

using dataplane::PortDrop;
using testing::drops;
using testing::plain_frame;

// Frames that met an interface that was down, and are too long for the other end when it is up.
// What is counted is the same where there is no AF_XDP, but for the reason.
class WaitingFrames : public testing::KernelPorts {
protected:
    void SetUp() override {
        KernelPorts::SetUp();
        open_af_packet(1500);
        host_->ip("link set v0 down");
        for (int i = 0; i < 3; ++i) transmit(plain_frame(0x88b5, 1000));
        guest_->ip("link set eth0 mtu 100");
    }
    std::uint64_t dropped() const {
        return drops(*device_, PortDrop::tx_error) + drops(*device_, PortDrop::link_down);
    }
    void expect_four_to_pass() {
        for (int i = 0; i < 4; ++i) expect_out(plain_frame(0x88b5, 46));
        EXPECT_EQ(device_->stats().tx_packets, 4u);
        EXPECT_EQ(dropped(), 3u);
    }
};

TEST_F(WaitingFrames, AreCountedWhenTheNextOnesPushThemOut) {
    host_->ip("link set v0 up");
    expect_four_to_pass();
}

TEST_F(WaitingFrames, AreCountedWhenReceivingPushesThemOut) {
    host_->ip("link set v0 up");
    net::Packet* p = nullptr;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(device_->receive(0, &p, 1), 0u);
    expect_four_to_pass();
}

TEST_F(WaitingFrames, AreCountedOnceWhenTheInterfaceVanishes) {
    host_->ip("link del v0");
    net::Packet* p = nullptr;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(device_->receive(0, &p, 1), 0u);
    for (int i = 0; i < 2; ++i) transmit(plain_frame(0x88b5, 46));
    EXPECT_GE(dropped(), 2u);
    EXPECT_EQ(device_->stats().tx_packets + dropped(), 5u);
}

// An interface's first queue has room for one sender. Who comes second works without, and says so.
class SecondSender : public testing::KernelPorts {
protected:
    void TearDown() override {
        log::configure({});
        second_.reset();
        KernelPorts::TearDown();
    }
    std::unique_ptr<dataplane::Device> second_;
};

TEST_F(SecondSender, SaysThatItSendsWithoutAfXdp) {
    open_af_packet(1500);
    std::string lines;
    log::Options options;
    options.sink = [&](std::string_view line) { lines += std::string(line) + "\n"; };
    log::configure(std::move(options));
    dataplane::DeviceSpec spec;
    spec.kind = "af_packet";
    spec.interface = "v0";
    auto opened = open_packet_socket(spec, pool_);
    ASSERT_TRUE(opened.ok()) << opened.error().text();
    second_ = std::move(*opened);
    EXPECT_NE(lines.find("port.sends_without_af_xdp"), std::string::npos) << lines;
    EXPECT_NE(lines.find("v0"), std::string::npos) << lines;
    std::swap(device_, second_);
    expect_out(plain_frame(0x88b5, 46));
}

}  // namespace
}  // namespace weir::ports
