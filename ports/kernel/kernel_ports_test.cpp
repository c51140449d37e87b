#include "ports/kernel/kernel_ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "net/builder.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"
#include "ports/kernel/intake.hpp"
#include "ports/kernel/testing/kernel_ports.hpp"

namespace weir::ports {
namespace {

using dataplane::Device;
using dataplane::DeviceSpec;
using dataplane::DeviceState;
using dataplane::PortDrop;
using testing::drops;
using testing::eventually;
using testing::KernelPorts;
using testing::plain_frame;
using testing::RawSocket;
using testing::readable;
using testing::tagged;
using Frame = RawSocket::Frame;

TEST_F(KernelPorts, AfPacketCarriesFramesBothWays) {
    open_af_packet(1500);
    expect_in(plain_frame(0x88b5, 46));
    expect_out(plain_frame(0x88b5, 46));
    expect_in(plain_frame(0x88b5, 1500));
    expect_out(plain_frame(0x88b5, 1500));
}

TEST_F(KernelPorts, AfPacketKeepsVlanTags) {
    open_af_packet(1500);
    for (const auto& tags : {std::vector<std::uint16_t>{5}, {0x6fff}, {7, 9}}) {
        expect_in(tagged(plain_frame(0x88b5, 100), tags));
        expect_out(tagged(plain_frame(0x88b5, 100), tags));
    }
}

TEST_F(KernelPorts, TapCarriesFramesAndTags) {
    open_tap(1500);
    expect_in(plain_frame(0x88b5, 46));
    expect_out(plain_frame(0x88b5, 46));
    expect_in(tagged(plain_frame(0x88b5, 100), {5}));
    expect_out(tagged(plain_frame(0x88b5, 100), {7, 9}));
}

// The guest's TCP with all its offloads: super-frames and partial checksums. What the device makes
// of them must be ordinary segments with right checksums, in order and complete.
void expect_whole_segments(Device& device, dataplane::PacketPool& pool, std::size_t bytes) {
    std::size_t payload = 0, packets = 0, largest = 0;
    eventually([&] {
        net::Packet* burst[limits::max_burst];
        const std::uint32_t n = device.receive(0, burst, limits::max_burst);
        EXPECT_LE(n, limits::max_burst);
        for (std::uint32_t i = 0; i < n; ++i) {
            net::Packet& p = *burst[i];
            EXPECT_EQ(net::parse(p), net::ParseError::none);
            EXPECT_TRUE(net::l4_checksum_ok(p));
            EXPECT_EQ(p.flags, 0);
            payload += p.headers.l3_end - p.headers.payload;
            largest = std::max<std::size_t>(largest, p.length);
            ++packets;
        }
        pool.release(0, burst, n);
        return payload == bytes;
    });
    EXPECT_EQ(payload, bytes);
    EXPECT_LE(largest, 1514u);
    EXPECT_GE(packets, (bytes + 1459) / 1460);
}

// A frame as a guest with offloads sends it: only the pseudo header is in its checksum.
Frame unfinished(const net::FrameBuilder& builder) {
    auto packet = builder.packet();
    EXPECT_EQ(net::parse(packet.packet()), net::ParseError::none);
    EXPECT_TRUE(net::make_partial_checksum(packet.packet()));
    return packet.frame();
}

net::FrameBuilder between_hosts(bool ip6) {
    if (ip6) return net::FrameBuilder().ip("fd00::1", "fd00::2");
    return net::FrameBuilder().ip("10.0.0.1", "10.0.0.2");
}

Frame unfinished_tcp(bool ip6, std::size_t payload) {
    return unfinished(between_hosts(ip6).tcp(4000, 80, net::tcp_ack, 1000).payload(payload));
}

Frame unfinished_udp(bool ip6, std::size_t payload) {
    return unfinished(between_hosts(ip6).udp(4000, 443).payload(payload));
}

Todo todo_of(bool ip6, std::uint16_t segment_bytes) {
    Todo todo;
    todo.flags = Todo::needs_checksum;
    todo.checksum_start = ip6 ? 54 : 34;
    todo.checksum_offset = 16;
    todo.header_length = static_cast<std::uint16_t>(todo.checksum_start + 20);
    todo.segment_bytes = segment_bytes;
    if (segment_bytes > 0) todo.gso_type = ip6 ? Todo::tcp6 : Todo::tcp4;
    return todo;
}

std::span<const std::uint8_t> bytes_of(const Todo& todo) {
    return {reinterpret_cast<const std::uint8_t*>(&todo), sizeof todo};
}

// An IPv4 UDP fragment with correct header checksum; `offset` in bytes.
Frame fragment(std::uint16_t offset, bool more, std::size_t payload) {
    Frame f = plain_frame(0x0800, 20 + payload);
    std::uint8_t* ip = f.data() + 14;
    const auto total = static_cast<std::uint16_t>(20 + payload);
    const auto field = static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000 : 0));
    const std::uint8_t header[20] = {0x45,
                                     0,
                                     static_cast<std::uint8_t>(total >> 8),
                                     static_cast<std::uint8_t>(total),
                                     0x12,
                                     0x34,
                                     static_cast<std::uint8_t>(field >> 8),
                                     static_cast<std::uint8_t>(field),
                                     64,
                                     17,
                                     0,
                                     0,
                                     10,
                                     0,
                                     0,
                                     1,
                                     10,
                                     0,
                                     0,
                                     2};
    std::copy(header, header + 20, ip);
    net::fill_ip4_checksum({ip, 20});
    return f;
}

TEST_F(KernelPorts, AfPacketResolvesPartialChecksums) {
    open_af_packet(1500);
    for (const bool ip6 : {false, true}) {
        ASSERT_TRUE(wire_->send_unfinished(bytes_of(todo_of(ip6, 0)), unfinished_tcp(ip6, 101)));
        expect_whole_segments(*device_, pool_, 101);
    }
}

TEST_F(KernelPorts, AfPacketCutsSuperFrames) {
    open_af_packet(1500);
    for (const bool ip6 : {false, true}) {
        for (const std::size_t payload :
             {std::size_t{1461}, std::size_t{8000}, std::size_t{60000}}) {
            ASSERT_TRUE(
                wire_->send_unfinished(bytes_of(todo_of(ip6, 1400)), unfinished_tcp(ip6, payload)));
            expect_whole_segments(*device_, pool_, payload);
        }
    }
}

TEST_F(KernelPorts, AfPacketCutsUdpSuperFrames) {
    open_af_packet(1500);
    for (const bool ip6 : {false, true}) {
        Todo todo = todo_of(ip6, 1200);
        todo.gso_type = Todo::udp;
        todo.header_length = static_cast<std::uint16_t>(todo.checksum_start + 8);
        todo.checksum_offset = 6;
        for (const std::size_t payload : {std::size_t{1201}, std::size_t{60000}}) {
            ASSERT_TRUE(wire_->send_unfinished(bytes_of(todo), unfinished_udp(ip6, payload)));
            expect_whole_segments(*device_, pool_, payload);
        }
    }
}

TEST_F(KernelPorts, TapResolvesChecksumsAndCutsSuperFrames) {
    open_tap(1500);
    for (const bool ip6 : {false, true}) {
        ASSERT_TRUE(wire_->send_unfinished(bytes_of(todo_of(ip6, 0)), unfinished_tcp(ip6, 101)));
        expect_whole_segments(*device_, pool_, 101);
        ASSERT_TRUE(
            wire_->send_unfinished(bytes_of(todo_of(ip6, 1400)), unfinished_tcp(ip6, 60000)));
        expect_whole_segments(*device_, pool_, 60000);
    }
}

// A checksum that is wrong, not unfinished, is the guest's and stays wrong.
TEST_F(KernelPorts, ABadChecksumIsNotRepaired) {
    open_af_packet(1500);
    expect_in(net::FrameBuilder()
                  .ip("10.0.0.1", "10.0.0.2")
                  .tcp(4000, 80, net::tcp_ack)
                  .payload(50)
                  .bad_l4_checksum()
                  .build());
}

TEST_F(KernelPorts, AfPacketLeavesFragmentsAlone) {
    open_af_packet(1500);
    expect_in(fragment(0, true, 1480));
    expect_in(fragment(1480, true, 1480));
    expect_in(fragment(2960, false, 100));
}

// A frame of the MTU passes, one that is a byte longer does not and is counted, both ways.
TEST_F(KernelPorts, AfPacketMtuEdge) {
    make_veth(1600);
    open("af_packet", "v0", 1500);
    wire_ = std::make_unique<RawSocket>(*guest_, "eth0");
    expect_in(plain_frame(0x88b5, 1500));
    ASSERT_TRUE(wire_->send(plain_frame(0x88b5, 1501)));
    expect_in(tagged(plain_frame(0x88b5, 1500), {5}));
    EXPECT_EQ(drops(*device_, PortDrop::too_long), 1u);
    expect_out(plain_frame(0x88b5, 1500));
    transmit(plain_frame(0x88b5, 1501));
    expect_out(tagged(plain_frame(0x88b5, 1500), {5}));
    EXPECT_EQ(drops(*device_, PortDrop::too_long), 2u);
}

TEST_F(KernelPorts, TapMtuEdge) {
    open_tap(1600);
    expect_in(plain_frame(0x88b5, 1600));
    EXPECT_FALSE(wire_->send(plain_frame(0x88b5, 1601)));
    expect_out(plain_frame(0x88b5, 1600));
    transmit(plain_frame(0x88b5, 1601));
    EXPECT_EQ(drops(*device_, PortDrop::too_long), 1u);
}

TEST_F(KernelPorts, AfPacketCarriesJumboFrames) {
    open_af_packet(9000);
    expect_in(plain_frame(0x88b5, 9000));
    expect_out(tagged(plain_frame(0x88b5, 9000), {5}));
}

// What fits a slot of the ring and what does not, in turn: nothing is cut, nothing overtakes.
TEST_F(KernelPorts, AfPacketKeepsTheOrderOfLongAndShortFrames) {
    open_af_packet(9000);
    std::vector<Frame> frames;
    for (const std::size_t payload : {46, 9000, 1900, 1940, 1980, 2100, 60, 4000})
        frames.push_back(tagged(plain_frame(0x88b5, payload), {5}));
    for (const Frame& frame : frames) ASSERT_TRUE(wire_->send(frame));
    for (const Frame& frame : frames) {
        const auto got = received();
        ASSERT_TRUE(got.has_value());
        EXPECT_TRUE(*got == frame) << "other bytes, " << got->size() << " for " << frame.size();
    }
}

// Frames that come while nobody asks: what there is no room for is counted, the others are whole.
TEST_F(KernelPorts, AfPacketCountsWhatTheKernelHadNoRoomFor) {
    open_af_packet(1500);
    constexpr std::uint64_t sent = 3000;
    for (std::uint64_t i = 0; i < sent; ++i) ASSERT_TRUE(wire_->send(plain_frame(0x88b5, 46)));
    for (int sends = 0; drops(*device_, PortDrop::no_buffer) == 0; ++sends) {
        ASSERT_LT(sends, 3000);
        ASSERT_TRUE(wire_->send(plain_frame(0x88b5, 46)));
        net::Packet* burst[limits::max_burst];
        std::uint32_t n = 0;
        while ((n = device_->receive(0, burst, limits::max_burst)) > 0) pool_.release(0, burst, n);
        const auto stats = device_->stats();
        if (drops(*device_, PortDrop::no_buffer) == 0) continue;
        EXPECT_EQ(stats.rx_packets + drops(*device_, PortDrop::no_buffer),
                  sent + static_cast<std::uint64_t>(sends) + 1);
        EXPECT_GE(stats.rx_packets, 1000u);
    }
}

// Frames of one burst, of which the other end of the pair refuses some, long and short ones.
TEST_F(KernelPorts, AfPacketCountsWhatTheOtherEndRefuses) {
    open_af_packet(9000);
    guest_->ip("link set eth0 mtu 3000");
    std::vector<net::Packet*> burst;
    for (const std::size_t payload : {46, 3100, 50, 2500, 54, 3200, 58})
        burst.push_back(pool_.make(0, plain_frame(0x88b5, payload).data(), payload + 14));
    EXPECT_EQ(device_->transmit(0, burst.data(), 7), 7u);
    for (const std::size_t payload : {46, 50, 2500, 54, 58})
        EXPECT_EQ(wire_->receive(5000), plain_frame(0x88b5, payload));
    EXPECT_EQ(device_->stats().tx_packets, 5u);
    EXPECT_EQ(drops(*device_, PortDrop::tx_error), 2u);
    guest_->ip("link set eth0 mtu 100");
    for (const std::size_t payload : {46, 1000}) transmit(plain_frame(0x88b5, payload));
    EXPECT_EQ(wire_->receive(5000), plain_frame(0x88b5, 46));
    EXPECT_EQ(device_->stats().tx_packets, 6u);
    EXPECT_EQ(drops(*device_, PortDrop::tx_error), 3u);
}

// More frames than there are places for them, of all lengths.
TEST_F(KernelPorts, AfPacketUsesItsPlacesAgain) {
    open_af_packet(1500);
    std::vector<Frame> frames;
    for (std::size_t i = 0; i < 2000; ++i) {
        frames.push_back(plain_frame(0x88b5, 46 + i % 1400));
        transmit(frames.back());
        const auto got = wire_->receive(5000);
        ASSERT_TRUE(got.has_value());
        ASSERT_EQ(*got, frames.back());
    }
    EXPECT_EQ(device_->stats().tx_packets, 2000u);
}

// Frames pass the queueing discipline where there is one.
TEST_F(KernelPorts, AfPacketHeedsAQueueingDiscipline) {
    make_veth(1500);
    host_->exec("tc qdisc add dev v0 root pfifo limit 100");
    open("af_packet", "v0", 1500);
    wire_ = std::make_unique<RawSocket>(*guest_, "eth0");
    expect_out(plain_frame(0x88b5, 46));
    expect_in(plain_frame(0x88b5, 46));
    EXPECT_NO_THROW(
        host_->exec("sh -c 'tc -s qdisc show dev v0 | grep -q \"Sent 60 bytes 1 pkt\"'"));
}

// Whoever found nothing may sleep on the file: after much traffic, after none, after a fall of the
// link.
void expect_to_be_told(Device& device, dataplane::PacketPool& pool, RawSocket& wire) {
    const auto take = [&] {
        net::Packet* p = nullptr;
        const std::uint32_t n = device.receive(0, &p, 1);
        pool.release(0, &p, n);
        return n;
    };
    for (const unsigned in_a_row : {1u, 5000u, 1u}) {
        while (take() > 0) {
        }
        EXPECT_FALSE(readable(device.readable_file(), 0));
        ASSERT_TRUE(wire.send(plain_frame(0x88b5, 46)));
        EXPECT_TRUE(readable(device.readable_file(), 5000));
        for (unsigned i = 1; i < in_a_row; ++i) {
            ASSERT_TRUE(wire.send(plain_frame(0x88b5, 46)));
            ASSERT_EQ(take(), 1u);
        }
    }
}

TEST_F(KernelPorts, AfPacketTellsASleeper) {
    open_af_packet(1500);
    expect_to_be_told(*device_, pool_, *wire_);
}

TEST_F(KernelPorts, TapTellsASleeper) {
    open_tap(1500);
    expect_to_be_told(*device_, pool_, *wire_);
}

TEST_F(KernelPorts, AfPacketLinkGoesDownAndUp) {
    open_af_packet(1500);
    EXPECT_TRUE(eventually([&] { return device_->state() == DeviceState::up; }));
    guest_->ip("link set eth0 down");
    EXPECT_TRUE(eventually([&] { return device_->state() == DeviceState::link_down; }));
    transmit(plain_frame(0x88b5, 46));
    EXPECT_EQ(drops(*device_, PortDrop::link_down), 1u);
    guest_->ip("link set eth0 up");
    EXPECT_TRUE(eventually([&] { return device_->state() == DeviceState::up; }));
    wire_ = std::make_unique<RawSocket>(*guest_, "eth0");  // the old one remembers the fall
    expect_in(plain_frame(0x88b5, 46));
    expect_out(plain_frame(0x88b5, 46));
    host_->ip("link set v0 down");
    EXPECT_TRUE(eventually([&] { return device_->state() == DeviceState::link_down; }));
    host_->ip("link set v0 up");
    EXPECT_TRUE(eventually([&] { return device_->state() == DeviceState::up; }));
    expect_to_be_told(*device_, pool_, *wire_);
    expect_in(plain_frame(0x88b5, 46));
    expect_out(plain_frame(0x88b5, 46));
}

TEST_F(KernelPorts, TapLinkGoesDownAndUpInAnotherNamespace) {
    open_tap(1500);
    EXPECT_TRUE(eventually([&] { return device_->state() == DeviceState::up; }));
    guest_->ip("link set eth0 down");
    EXPECT_TRUE(eventually([&] { return device_->state() == DeviceState::link_down; }));
    guest_->ip("link set eth0 up");
    EXPECT_TRUE(eventually([&] { return device_->state() == DeviceState::up; }));
    wire_ = std::make_unique<RawSocket>(*guest_, "eth0");  // the old one remembers the fall
    expect_in(plain_frame(0x88b5, 46));
    expect_out(plain_frame(0x88b5, 46));
}

TEST_F(KernelPorts, AVanishedInterfaceIsAStateAndNoCrash) {
    open_af_packet(1500);
    guest_->ip("link del eth0");
    EXPECT_EQ(device_->state(), DeviceState::gone);
    net::Packet* p = nullptr;
    EXPECT_EQ(device_->receive(0, &p, 1), 0u);
    transmit(plain_frame(0x88b5, 46));
    device_.reset();
    open_af_packet(1500);
    expect_in(plain_frame(0x88b5, 46));
}

TEST_F(KernelPorts, AVanishedTapIsAStateAndNoCrash) {
    open_tap(1500);
    guest_->ip("link del eth0");
    EXPECT_EQ(device_->state(), DeviceState::gone);
    transmit(plain_frame(0x88b5, 46));
    device_.reset();
    open_tap(1500);
    expect_in(plain_frame(0x88b5, 46));
}

TEST_F(KernelPorts, AMissingInterfaceIsRefusedByName) {
    DeviceSpec spec;
    spec.kind = "af_packet";
    spec.interface = "nowhere";
    const auto device = open_packet_socket(spec, pool_);
    ASSERT_FALSE(device.ok());
    EXPECT_NE(device.error().text().find("nowhere"), std::string::npos) << device.error().text();
}

}  // namespace
}  // namespace weir::ports
