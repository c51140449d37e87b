// Ports with a queue for each worker.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "apps/host/testing/rig.hpp"

namespace weir::host {
namespace {

using dataplane::Device;
using dataplane::DeviceSpec;
using dataplane::DeviceState;
using net::Packet;
using testing::eventually;
using testing::frame;
using testing::number_of;
using testing::Rig;

// Memory behind each of two queues; the other end may use one only.
class TwoQueues final : public Device {
public:
    TwoQueues(dataplane::PacketPool& pool, const DeviceSpec& spec)
        : spec_(spec), memory_{{{pool, spec.mtu}, {pool, spec.mtu}}} {}

    std::uint32_t receive(std::uint32_t worker, Packet** out, std::uint32_t max) override {
        return of(worker).receive(worker, out, max);
    }
    std::uint32_t transmit(std::uint32_t worker, Packet** packets, std::uint32_t count) override {
        return of(worker).transmit(worker, packets, count);
    }
    std::uint32_t queues() const override { return queues_; }
    DeviceState state() override { return DeviceState::up; }
    std::uint32_t mtu() const override { return spec_.mtu; }
    std::string_view kind() const override { return spec_.kind; }
    dataplane::PortStats stats() const override {
        dataplane::PortStats sum = memory_[0].stats();
        return sum += memory_[1].stats();
    }

    ports::MemoryDevice& queue(std::uint32_t number) { return memory_[number]; }
    ports::MemoryDevice& of(std::uint32_t worker) {
        return memory_.at(dataplane::queue_of(worker, spec_.polling_worker, spec_.workers));
    }
    void use(std::uint32_t queues) { queues_ = queues; }

private:
    const DeviceSpec spec_;
    std::array<ports::MemoryDevice, 2> memory_;
    std::atomic<std::uint32_t> queues_{2};
};

class PortQueues : public ::testing::Test {
protected:
    void SetUp() override {
        rig_.options.open_device =
            [this](const DeviceSpec& spec) -> Result<std::unique_ptr<Device>> {
            auto device = std::make_unique<TwoQueues>(rig_.pool, spec);
            devices_[spec.interface] = device.get();
            return std::unique_ptr<Device>(std::move(device));
        };
        rig_.start();
        ASSERT_TRUE(rig_.shell->apply(Rig::config(1, {Rig::port("a"), Rig::port("b")})).ok());
    }
    // The frame comes out of b, by the queue of that worker.
    void expect_at_b(std::uint32_t worker, std::uint32_t number) {
        std::optional<std::vector<std::uint8_t>> got;
        ASSERT_TRUE(eventually([&] {
            return (got = devices_["b"]->of(worker).collect()).has_value();
        })) << "nothing came out at the queue of worker "
            << worker;
        EXPECT_EQ(number_of(*got), number);
    }
    std::uint64_t handed_over() {
        std::uint64_t sum = 0;
        for (std::uint32_t i = 0; i < workers; ++i)
            sum += rig_.shell->workers().worker(i).tallies().handed_over.get();
        return sum;
    }
    std::uint32_t home(const char* port) { return rig_.shell->ports().find(port)->polling_worker; }

    static constexpr std::uint32_t workers = 2;
    Rig rig_{workers};
    std::map<std::string, TwoQueues*> devices_;
};

TEST_F(PortQueues, EveryWorkerReceivesAndSendsByItsOwn) {
    EXPECT_EQ(rig_.shell->ports().find("a")->queues, 2u);
    for (std::uint32_t worker = 0; worker < workers; ++worker) {
        ASSERT_TRUE(devices_["a"]->of(worker).inject(frame(10 + worker)));
        expect_at_b(worker, 10 + worker);
    }
    EXPECT_EQ(handed_over(), 0u);
    EXPECT_EQ(rig_.shell->ports().find("a")->stats().rx_packets, 2u);
    EXPECT_EQ(rig_.shell->ports().find("b")->stats().tx_packets, 2u);
}

TEST_F(PortQueues, TheFirstOneIsThePollingWorkers) {
    for (const char* port : {"a", "b"})
        EXPECT_EQ(&devices_[port]->of(home(port)), &devices_[port]->queue(0));
}

// Whoever lost its queue sends by way of a worker that has one, until there are two again.
TEST_F(PortQueues, FollowWhatTheOtherEndUses) {
    const std::uint32_t without = 1 - home("b");
    devices_["b"]->use(1);
    rig_.shell->ports().refresh();
    EXPECT_EQ(rig_.shell->ports().find("b")->queues, 1u);
    ASSERT_TRUE(devices_["a"]->of(without).inject(frame(1)));
    expect_at_b(home("b"), 1);
    EXPECT_TRUE(eventually([&] { return handed_over() == 1; }));  // counted behind the burst
    ASSERT_TRUE(devices_["b"]->queue(1).inject(frame(2)));        // nobody asks there

    devices_["b"]->use(2);
    rig_.shell->ports().refresh();
    ASSERT_TRUE(devices_["a"]->of(without).inject(frame(3)));
    expect_at_b(without, 3);
    EXPECT_TRUE(eventually([&] { return devices_["a"]->of(without).collect().has_value(); }));
    EXPECT_EQ(handed_over(), 1u);
}

}  // namespace
}  // namespace weir::host
