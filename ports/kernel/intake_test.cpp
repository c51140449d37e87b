#include "ports/kernel/intake.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "dataplane/heap_pool.hpp"
#include "net/builder.hpp"
#include "net/checksum.hpp"
#include "net/hash.hpp"
#include "net/wire.hpp"

namespace weir::ports {
namespace {

using dataplane::PortDrop;
using net::Packet;
using Frame = std::vector<std::uint8_t>;

class IntakeTest : public ::testing::Test {
protected:
    void TearDown() override {
        intake_.discard(0);
        EXPECT_EQ(pool_.in_use(), 0u) << "packets were lost";
    }

    void accept(const Frame& bytes, const Todo& todo = {}) {
        Packet* p = nullptr;
        ASSERT_EQ(pool_.allocate(0, &p, 1), 1u);
        const std::size_t in_head = std::min<std::size_t>(bytes.size(), p->tailroom);
        std::copy_n(bytes.begin(), in_head, p->data);
        KernelFrame frame;
        frame.todo = todo;
        frame.length = static_cast<std::uint32_t>(bytes.size());
        intake_.accept(0, *p, frame, std::span(bytes).subspan(in_head));
    }
    Frame next() {
        Packet* p = nullptr;
        if (intake_.take(&p, 1) == 0) return {};
        Frame bytes(p->data, p->data + p->length);
        pool_.release(0, &p, 1);
        return bytes;
    }
    // Takes everything; how many packets.
    std::size_t taken() {
        std::size_t n = 0;
        for (Packet* p = nullptr; intake_.take(&p, 1) == 1; ++n) pool_.release(0, &p, 1);
        return n;
    }
    std::uint64_t drops(PortDrop why) const {
        return tallies_.read().drops[static_cast<std::size_t>(why)];
    }

    dataplane::HeapPool pool_{4096};
    dataplane::PortTallies tallies_;
    Intake intake_{pool_, tallies_, 1500};
};

Frame tcp_frame(std::size_t payload) {
    return net::FrameBuilder()
        .ip("10.0.0.1", "10.0.0.2")
        .tcp(4000, 80, net::tcp_ack)
        .payload(payload)
        .build();
}

Todo super_frame(std::uint8_t kind, std::uint16_t segment_bytes) {
    Todo todo;
    todo.gso_type = kind;
    todo.segment_bytes = segment_bytes;
    return todo;
}

// The longest super-frames of usual segments, as many as are fetched at a time.
TEST_F(IntakeTest, ABatchOfSuperFramesFits) {
    const Frame longest = tcp_frame(65400);
    for (int i = 0; i < 32; ++i) accept(longest, super_frame(Todo::tcp4, 1448));
    EXPECT_EQ(taken(), 32u * 46);
    EXPECT_EQ(drops(PortDrop::no_buffer), 0u);
}

TEST_F(IntakeTest, WhatComesBehindTooManySegmentsIsCounted) {
    const Frame tiny_segments = tcp_frame(8000);
    for (int i = 0; i < 32; ++i) accept(tiny_segments, super_frame(Todo::tcp4, 80));
    EXPECT_EQ(drops(PortDrop::no_buffer), 12u);  // 20 of 100 segments each, a part of another
    accept(tcp_frame(100));
    EXPECT_EQ(drops(PortDrop::no_buffer), 13u);
    EXPECT_EQ(taken(), Intake::most_ready);
    EXPECT_EQ(tallies_.read().rx_packets, Intake::most_ready);
    accept(tcp_frame(100));
    EXPECT_EQ(taken(), 1u);
}

net::FrameBuilder between_hosts(bool ip6, std::uint16_t ip4_id = 0) {
    if (ip6) return net::FrameBuilder().ip("fd00::1", "fd00::2");
    return net::FrameBuilder().ip("10.0.0.1", "10.0.0.2").fragment(ip4_id, 0, false);
}

// As a program sends many datagrams at once: all but the last of the same length.
TEST_F(IntakeTest, UdpSuperFramesBecomeDatagrams) {
    const Frame all = net::counting_payload(2500);
    const Frame pieces[3] = {{all.begin(), all.begin() + 1200},
                             {all.begin() + 1200, all.begin() + 2400},
                             {all.begin() + 2400, all.end()}};
    for (const bool ip6 : {false, true}) {
        net::FrameBuilder whole = between_hosts(ip6, 7).udp(4000, 443).payload(all);
        accept(whole.bad_l4_checksum().build(), super_frame(Todo::udp, 1200));
        std::uint16_t ip4_id = 7;
        for (const Frame& piece : pieces)
            EXPECT_EQ(next(), between_hosts(ip6, ip4_id++).udp(4000, 443).payload(piece).build());
        EXPECT_TRUE(intake_.empty());
    }
}

TEST_F(IntakeTest, OtherSuperFramesAreRefused) {
    accept(tcp_frame(8000), super_frame(Todo::udp, 1200));
    accept(tcp_frame(8000), super_frame(3, 1200));  // IPv4 fragments of UDP
    EXPECT_EQ(drops(PortDrop::super_frame), 2u);
}

// An SCTP packet as a peer with offloads leaves it: its checksum is left to be done.
Frame unfinished_sctp(bool ip6, std::uint16_t vlan) {
    net::FrameBuilder builder = between_hosts(ip6);
    if (vlan) builder.vlan(vlan);
    const Frame sctp = {0x0b, 0x59, 0x0b, 0x5a, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0,  // ports, tag
                        0x0a, 0,    0,    7,    'w',  'e',  'i'};                    // COOKIE ECHO
    return builder.proto(net::proto_sctp).payload(sctp).build();
}

TEST_F(IntakeTest, SctpGetsACrc) {
    for (const bool ip6 : {false, true}) {
        for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{5}}) {
            Frame expected = unfinished_sctp(ip6, vlan);
            Todo todo;
            todo.flags = Todo::needs_checksum;
            todo.checksum_start = static_cast<std::uint16_t>((ip6 ? 54 : 34) + (vlan ? 4 : 0));
            todo.checksum_offset = 8;
            Frame sent = expected;
            sent[todo.checksum_start + 9u] = 0xee;  // whatever stands there
            sent.insert(sent.end(), {1, 2, 3});     // nor is what pads the frame part of it
            accept(sent, todo);
            ASSERT_EQ(net::crc32c(std::span(expected).subspan(todo.checksum_start)), 0xc19f7d15u);
            const std::uint8_t crc[4] = {0x15, 0x7d, 0x9f, 0xc1};
            std::copy_n(crc, 4, expected.begin() + todo.checksum_start + todo.checksum_offset);
            expected.insert(expected.end(), {1, 2, 3});
            EXPECT_EQ(next(), expected);
        }
    }
}

// Another protocol whose field happens to stand there, and one too short to have one.
TEST_F(IntakeTest, OnlySctpGetsACrc) {
    Todo todo;
    todo.flags = Todo::needs_checksum;
    todo.checksum_start = 34;
    todo.checksum_offset = 8;
    Frame frame = net::FrameBuilder().ip("10.0.0.1", "10.0.0.2").proto(253).payload(20).build();
    accept(frame, todo);
    const std::uint16_t sum = net::internet_checksum(std::span(frame).subspan(34));
    frame[42] = static_cast<std::uint8_t>(sum >> 8);
    frame[43] = static_cast<std::uint8_t>(sum);
    EXPECT_EQ(next(), frame);
    accept(net::FrameBuilder().ip("10.0.0.1", "10.0.0.2").proto(net::proto_sctp).payload(9).build(),
           todo);
    EXPECT_EQ(next(), Frame());
    EXPECT_EQ(drops(PortDrop::rx_error), 1u);
}

}  // namespace
}  // namespace weir::ports
