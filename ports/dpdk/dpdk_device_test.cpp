// Devices by their devargs, on DPDK's null driver: what it gives is frames of one length, what it
// takes is gone.
#include "ports/dpdk/dpdk_device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_config.h>
#include <rte_ethdev.h>

#include <array>
#include <memory>
#include <string>

#include "base/limits.hpp"
#include "net/rss.hpp"
#include "ports/dpdk/eal.hpp"
#include "ports/dpdk/mbuf_pool.hpp"

namespace weir::ports {
namespace {

using dataplane::Device;
using dataplane::DeviceSpec;
using dataplane::DeviceState;
using dataplane::PortDrop;
using net::Packet;
using testing::HasSubstr;

constexpr auto burst = static_cast<std::uint32_t>(limits::max_burst);

MbufPool* pool() {
    static const std::unique_ptr<MbufPool> one = [] {
        EalOptions eal;
        eal.name = "device-test";
        eal.memory_mb = 64;
        if (!start_eal(eal)) return std::unique_ptr<MbufPool>();
        auto made = MbufPool::create("packets", 1023);
        return made ? std::move(*made) : nullptr;
    }();
    return one.get();
}

Result<std::unique_ptr<Device>> open(const std::string& devargs, std::uint32_t mtu = 1500) {
    DeviceSpec spec;
    spec.kind = "dpdk";
    spec.devargs = devargs;
    spec.mtu = mtu;
    return open_dpdk_device(spec, *pool());
}

std::uint64_t drops(const Device& device, PortDrop why) {
    return device.stats().drops[static_cast<std::size_t>(why)];
}

TEST(DpdkDevice, GivesFreshPacketsAndTakesThem) {
    ASSERT_NE(pool(), nullptr);
    auto device = open("net_null0,size=60");
    ASSERT_TRUE(device.ok()) << device.error().text();
    EXPECT_EQ((*device)->state(), DeviceState::up);
    EXPECT_EQ((*device)->kind(), "dpdk");
    for (int round = 0; round < 3; ++round) {  // packets come back used
        Packet* packets[burst];
        ASSERT_EQ((*device)->receive(0, packets, burst), burst);
        EXPECT_EQ(pool()->in_use(), burst);
        for (Packet* p : packets) {
            EXPECT_EQ(p->length, 60u);
            EXPECT_GE(p->headroom, limits::packet_headroom_bytes);
            EXPECT_EQ(p->egress_port, net::no_port);
            EXPECT_EQ(p->segment_bytes, 0u);
            EXPECT_EQ(p->hand.port, 0u);
            EXPECT_EQ(p->hand.trace_id, 0u);
            EXPECT_EQ(p->hand.entry, net::Entry::receive);
            p->egress_port = p->hand.port = p->hand.trace_id = 7;
            p->hand.entry = net::Entry::transmit;
            p->segment_bytes = 9;
            p->prepend(200);  // into the front, where drivers do not look
        }
        EXPECT_EQ((*device)->transmit(0, packets, burst), burst);
        EXPECT_EQ(pool()->in_use(), 0u);
    }
    EXPECT_EQ((*device)->stats().rx_packets, 3u * burst);
    EXPECT_EQ((*device)->stats().rx_bytes, 3u * burst * 60);
    EXPECT_EQ((*device)->stats().tx_packets, 3u * burst);
    EXPECT_EQ((*device)->stats().tx_bytes, 3u * burst * 260);
}

TEST(DpdkDevice, DropsWhatIsTooLongOrNoFrameByName) {
    ASSERT_NE(pool(), nullptr);
    Packet* packets[burst];
    auto jumbo = open("net_null1,size=1600");
    ASSERT_TRUE(jumbo.ok()) << jumbo.error().text();
    EXPECT_EQ((*jumbo)->receive(0, packets, burst), 0u);
    EXPECT_EQ(drops(**jumbo, PortDrop::too_long), burst);
    auto scrap = open("net_null2,size=13");
    ASSERT_TRUE(scrap.ok()) << scrap.error().text();
    EXPECT_EQ((*scrap)->receive(0, packets, burst), 0u);
    EXPECT_EQ(drops(**scrap, PortDrop::rx_error), burst);
    EXPECT_EQ(pool()->in_use(), 0u);
}

TEST(DpdkDevice, DropsWhatItCannotSendByName) {
    ASSERT_NE(pool(), nullptr);
    auto device = open("net_null3,size=60", 100);
    ASSERT_TRUE(device.ok()) << device.error().text();
    Packet* packets[burst];
    ASSERT_EQ((*device)->receive(0, packets, burst), burst);
    EXPECT_EQ((*device)->transmit(0, packets, 1), 1u) << "nobody has looked at its link yet";
    EXPECT_EQ(drops(**device, PortDrop::link_down), 1u);
    ASSERT_EQ((*device)->state(), DeviceState::up);
    packets[1]->flags = net::packet_super_frame;
    packets[2]->append(200);
    packets[3]->flags = net::packet_partial_checksum;
    EXPECT_EQ((*device)->transmit(0, packets + 1, burst - 1), burst - 1);
    EXPECT_EQ(drops(**device, PortDrop::super_frame), 1u);
    EXPECT_EQ(drops(**device, PortDrop::too_long), 1u);
    EXPECT_EQ(drops(**device, PortDrop::tx_error), 1u);
    EXPECT_EQ((*device)->stats().tx_packets, burst - 4);
    EXPECT_EQ(pool()->in_use(), 0u);
}

TEST(DpdkDevice, TheMtuOfTheDeviceHoldsWhereNoneIsGiven) {
    ASSERT_NE(pool(), nullptr);
    auto device = open("net_null4", 0);
    ASSERT_TRUE(device.ok()) << device.error().text();
    EXPECT_EQ((*device)->mtu(), 1500u);
}

TEST(DpdkDevice, SaysWhatCannotBeOpenedAndComesBackAfterClosing) {
    ASSERT_NE(pool(), nullptr);
    const auto unknown = open("net_nosuch0");
    ASSERT_FALSE(unknown.ok());
    EXPECT_THAT(unknown.error().text(), HasSubstr("dpdk net_nosuch0: cannot be opened"));
    EXPECT_FALSE(open("net_null5,colour=red").ok());
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(open("net_null6").ok());
}

// What a network card would be told: each flow's packets go to the queue of its owner.
TEST(DpdkDevice, HasAQueueForEachWorker) {
    ASSERT_NE(pool(), nullptr);
    DeviceSpec spec;
    spec.kind = "dpdk";
    spec.devargs = "net_null7,size=60";
    spec.queues = 3;
    spec.workers = 3;
    spec.polling_worker = 1;
    auto device = open_dpdk_device(spec, *pool());
    ASSERT_TRUE(device.ok()) << device.error().text();
    EXPECT_EQ((*device)->queues(), 3u);
    EXPECT_EQ((*device)->state(), DeviceState::up);
    for (std::uint32_t worker = 0; worker < 3; ++worker) {
        Packet* packets[burst];
        ASSERT_EQ((*device)->receive(worker, packets, burst), burst);
        ASSERT_EQ((*device)->transmit(worker, packets, burst), burst);
    }
    EXPECT_EQ((*device)->stats().rx_packets, 3u * burst);
    EXPECT_EQ((*device)->stats().tx_packets, 3u * burst);

    std::uint16_t port = 0;
    ASSERT_EQ(rte_eth_dev_get_port_by_name("net_null7", &port), 0);
    std::array<std::uint8_t, net::rss_key_bytes> key{};
    rte_eth_rss_conf conf{key.data(), static_cast<std::uint8_t>(key.size()), 0};
    ASSERT_EQ(rte_eth_dev_rss_hash_conf_get(port, &conf), 0);
    EXPECT_EQ(key, net::rss_key());
    EXPECT_NE(conf.rss_hf & RTE_ETH_RSS_TCP, 0u);
    std::array<rte_eth_rss_reta_entry64, 2> rows{};
    rows[0].mask = rows[1].mask = ~std::uint64_t{0};
    ASSERT_EQ(rte_eth_dev_rss_reta_query(port, rows.data(), net::rss_buckets), 0);
    for (std::uint32_t bucket = 0; bucket < net::rss_buckets; ++bucket)
        EXPECT_EQ(rows[bucket / 64].reta[bucket % 64], dataplane::queue_of(bucket % 3, 1, 3));
}

TEST(DpdkDevice, OpensNoMoreQueuesThanThereAreWorkers) {
    ASSERT_NE(pool(), nullptr);
    DeviceSpec spec;
    spec.kind = "dpdk";
    spec.devargs = "net_null8,size=60";
    spec.queues = 8;
    spec.workers = 2;
    auto device = open_dpdk_device(spec, *pool());
    ASSERT_TRUE(device.ok()) << device.error().text();
    EXPECT_EQ((*device)->queues(), 2u);
}

}  // namespace
}  // namespace weir::ports
