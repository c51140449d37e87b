#include "ports/pcap/pcap_device.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "dataplane/heap_pool.hpp"
#include "net/builder.hpp"
#include "net/pcap_file.hpp"
#include "net/wire.hpp"

namespace weir::ports {
namespace {

using Frame = std::vector<std::uint8_t>;
using dataplane::PortDrop;

class PcapDevice : public ::testing::Test {
protected:
    void SetUp() override {
        dir_ = std::filesystem::temp_directory_path() / ("weir-pcap-" + std::to_string(getpid()));
        std::filesystem::create_directories(dir_);
    }
    void TearDown() override {
        device_.reset();
        std::filesystem::remove_all(dir_);
        EXPECT_EQ(pool_.in_use(), 0u) << "packets were lost";
    }
    std::string path(const char* name) const { return (dir_ / name).string(); }

    void write(const std::vector<Frame>& frames) {
        auto writer = net::PcapWriter::create(path("in.pcap"));
        ASSERT_TRUE(writer.ok());
        for (const Frame& f : frames) ASSERT_TRUE(writer->write(f, 1).ok());
    }
    std::vector<Frame> read() {
        std::vector<Frame> frames;
        auto reader = net::PcapReader::open(path("out.pcap"));
        EXPECT_TRUE(reader.ok());
        net::CapturedFrame frame;
        while (reader.ok() && *reader->next(frame)) frames.push_back(frame.bytes);
        return frames;
    }
    void open() {
        dataplane::DeviceSpec spec;
        spec.kind = "pcap";
        spec.rx_file = path("in.pcap");
        spec.tx_file = path("out.pcap");
        auto device = open_pcap_device(spec, pool_);
        ASSERT_TRUE(device.ok()) << device.error().text();
        device_ = std::move(*device);
    }
    // Everything the device receives goes out of it again, bursts of up to `burst`.
    std::size_t echo(std::uint32_t burst) {
        std::size_t total = 0;
        net::Packet* packets[limits::max_burst];
        while (const std::uint32_t n = device_->receive(0, packets, burst)) {
            total += n;
            EXPECT_EQ(device_->transmit(0, packets, n), n);
        }
        return total;
    }
    std::uint64_t drops(PortDrop why) const {
        return device_->stats().drops[static_cast<std::size_t>(why)];
    }

    std::filesystem::path dir_;
    dataplane::HeapPool pool_{256};
    std::unique_ptr<dataplane::Device> device_;
};

// A TCP transfer as it was captured, a segment with a bad checksum in it: byte for byte the same.
TEST_F(PcapDevice, ATransferGoesThroughUnchanged) {
    std::vector<Frame> frames;
    for (std::uint32_t i = 0; i < 500; ++i) {
        net::FrameBuilder segment;
        segment.ip("10.0.0.1", "10.0.0.2").tcp(4000, 80, net::tcp_ack, 1 + i * 1000).payload(1000);
        if (i == 77) segment.bad_l4_checksum();
        frames.push_back(segment.build());
    }
    write(frames);
    open();
    EXPECT_EQ(echo(limits::max_burst), 500u);
    EXPECT_EQ(read(), frames);
    EXPECT_EQ(device_->stats().rx_packets, 500u);
    EXPECT_EQ(device_->stats().tx_packets, 500u);
    EXPECT_EQ(device_->stats().rx_bytes, device_->stats().tx_bytes);
}

TEST_F(PcapDevice, TheMtuIsTheEdge) {
    const auto frame = [](std::size_t payload, bool tag) {
        net::FrameBuilder f;
        if (tag) f.vlan(5);
        return f.ethertype(0x88b5).payload(payload).build();
    };
    write({frame(1500, false), frame(1501, false), frame(1500, true), frame(1501, true)});
    open();
    EXPECT_EQ(echo(4), 2u);
    EXPECT_EQ(read(), (std::vector<Frame>{frame(1500, false), frame(1500, true)}));
    EXPECT_EQ(drops(PortDrop::too_long), 2u);

    const Frame too_long(1515, 0);
    net::Packet* p = pool_.make(0, too_long.data(), too_long.size());
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(device_->transmit(0, &p, 1), 1u);
    EXPECT_EQ(drops(PortDrop::too_long), 3u);
}

TEST_F(PcapDevice, ADryPoolDelaysAndLosesNothing) {
    std::vector<Frame> frames(300, net::FrameBuilder().ethertype(0x88b5).payload(60).build());
    write(frames);
    open();
    std::vector<net::Packet*> held;
    net::Packet* p = nullptr;
    while (device_->receive(0, &p, 1) == 1) held.push_back(p);
    EXPECT_LT(held.size(), frames.size());
    pool_.release(0, held.data(), static_cast<std::uint32_t>(held.size()));
    EXPECT_EQ(held.size() + echo(8), frames.size());
}

TEST_F(PcapDevice, ADamagedFileEndsWithAnErrorCounted) {
    write({net::FrameBuilder().ethertype(0x88b5).payload(60).build()});
    std::ofstream(path("in.pcap"), std::ios::app | std::ios::binary) << "no record";
    open();
    EXPECT_EQ(echo(4), 1u);
    EXPECT_EQ(drops(PortDrop::rx_error), 1u);
    EXPECT_EQ(echo(4), 0u);
    EXPECT_EQ(drops(PortDrop::rx_error), 1u);
}

TEST_F(PcapDevice, AMissingFileIsRefusedByName) {
    dataplane::DeviceSpec spec;
    spec.rx_file = path("nothing.pcap");
    const auto device = open_pcap_device(spec, pool_);
    ASSERT_FALSE(device.ok());
    EXPECT_NE(device.error().text().find("nothing.pcap"), std::string::npos);
}

}  // namespace
}  // namespace weir::ports
