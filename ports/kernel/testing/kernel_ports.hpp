#pragma once
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/testing/patience.hpp"
#include "dataplane/heap_pool.hpp"
#include "ports/kernel/kernel_ports.hpp"
#include "ports/kernel/testing/netns.hpp"

// Devices of the kernel with a guest's namespace at their other end.
namespace weir::ports::testing {

inline std::uint64_t drops(const dataplane::Device& device, dataplane::PortDrop why) {
    return device.stats().drops[static_cast<std::size_t>(why)];
}

inline bool eventually(const std::function<bool()>& done) {
    const auto until =
        std::chrono::steady_clock::now() + weir::testing::patience(std::chrono::seconds(20));
    while (!done())
        if (std::chrono::steady_clock::now() > until) return false;
    return true;
}

inline bool readable(int file, int timeout_ms) {
    pollfd one{file, POLLIN, 0};
    return poll(&one, 1, timeout_ms) == 1;
}

// A namespace for the host, where devices are opened, and one for the guest.
class KernelPorts : public ::testing::Test {
protected:
    using Frame = RawSocket::Frame;

    void SetUp() override {
        ASSERT_TRUE(testing::may_use_namespaces()) << "needs root: ./dev test as root";
        host_ = std::make_unique<NetNs>("host");
        guest_ = std::make_unique<NetNs>("guest");
        host_->enter();
    }
    void TearDown() override {
        device_.reset();
        EXPECT_EQ(pool_.in_use(), 0u) << "packets were lost";
    }

    void make_veth(unsigned mtu) {
        host_->ip("link add v0 mtu " + std::to_string(mtu) + " type veth peer name eth0 netns " +
                  guest_->name() + " mtu " + std::to_string(mtu));
        host_->ip("link set v0 up");
        guest_->ip("link set eth0 up");
    }
    void open(const std::string& kind, const std::string& interface, std::uint32_t mtu) {
        dataplane::DeviceSpec spec;
        spec.kind = kind;
        spec.interface = interface;
        spec.mtu = mtu;
        auto device =
            kind == "tap" ? ports::open_tap(spec, pool_) : open_packet_socket(spec, pool_);
        ASSERT_TRUE(device.ok()) << device.error().text();
        device_ = std::move(*device);
    }
    void open_af_packet(unsigned mtu) {
        make_veth(mtu);
        open("af_packet", "v0", mtu);
        wire_ = std::make_unique<RawSocket>(*guest_, "eth0");
    }
    void open_tap(unsigned mtu) {
        open("tap", "tap0", mtu);
        ASSERT_NE(device_, nullptr);
        host_->ip("link set tap0 netns " + guest_->name() + " name eth0");
        guest_->ip("link set eth0 up");
        wire_ = std::make_unique<RawSocket>(*guest_, "eth0");
    }

    // What the device receives next.
    std::optional<Frame> received() {
        std::optional<Frame> frame;
        eventually([&] {
            net::Packet* p = nullptr;
            if (device_->receive(0, &p, 1) == 0) return false;
            EXPECT_GE(p->headroom, limits::packet_headroom_bytes - 4);  // a VLAN tag put back
            frame = Frame(p->data, p->data + p->length);
            pool_.release(0, &p, 1);
            return true;
        });
        return frame;
    }
    void transmit(const Frame& frame) {
        net::Packet* p = pool_.make(0, frame.data(), frame.size());
        ASSERT_NE(p, nullptr);
        if (device_->transmit(0, &p, 1) == 0) {
            pool_.release(0, &p, 1);
            FAIL() << "the device took nothing";
        }
    }
    void expect_in(const Frame& frame) {
        ASSERT_TRUE(wire_->send(frame));
        const auto got = received();
        ASSERT_TRUE(got.has_value());
        EXPECT_TRUE(*got == frame) << "other bytes, " << got->size() << " for " << frame.size();
    }
    void expect_out(const Frame& frame) {
        transmit(frame);
        const auto got = wire_->receive(5000);
        ASSERT_TRUE(got.has_value());
        EXPECT_EQ(*got, frame);
    }

    dataplane::HeapPool pool_{4096};
    std::unique_ptr<NetNs> host_, guest_;
    std::unique_ptr<dataplane::Device> device_;
    std::unique_ptr<RawSocket> wire_;
};

}  // namespace weir::ports::testing
