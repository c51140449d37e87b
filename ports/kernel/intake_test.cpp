#include "ports/kernel/intake.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "dataplane/heap_pool.hpp"
#include "net/builder.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"

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

}  // namespace
}  // namespace weir::ports
