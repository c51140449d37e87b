#include "flow/tcp_quick.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "net/bytes.hpp"

namespace weir::flow {
namespace {

using Header = std::array<std::uint8_t, 64>;

Header header_of(const TcpSegment& segment) {
    Header h{};
    net::store32(h.data() + 4, segment.sequence);
    net::store32(h.data() + 8, segment.acknowledgement);
    h[12] = 0x50;
    h[13] = segment.flags;
    net::store16(h.data() + 14, segment.window);
    return h;
}

// Anything that two sides may have come to know, near each other so that every edge is met.
FlowPair any_pair(std::mt19937_64& random) {
    FlowPair pair;
    pair.key.tuple.proto = 6;
    pair.tcp = static_cast<TcpState>(random() % 4 ? static_cast<int>(TcpState::established)
                                                  : random() % 8);
    const auto base = static_cast<std::uint32_t>(random());
    const auto near = [&] {
        return base + static_cast<std::uint32_t>(random() % 200'000) - 100'000;
    };
    for (Hot& hot : pair.hot) {
        hot.sequence_end = near();
        hot.acknowledged = near();
        hot.window_edge = near();
        hot.window_scale = static_cast<std::uint8_t>(random() % 15);
        hot.tcp_seen = static_cast<std::uint8_t>(
            random() % 2 ? tcp_seen_sequence | tcp_seen_window | (random() % 2 ? tcp_seen_scale : 0)
                         : random() % 32);
    }
    return pair;
}

TcpSegment any_segment(std::mt19937_64& random, const FlowPair& pair) {
    const auto near = [&](std::uint32_t at) {
        return at +
               static_cast<std::uint32_t>(random() % 5 == 0 ? random() % 200'000 : random() % 3) -
               1;
    };
    TcpSegment segment;
    segment.sequence = near(pair.hot[random() % 2].sequence_end);
    segment.acknowledgement = near(pair.hot[random() % 2].sequence_end);
    segment.window = static_cast<std::uint16_t>(random());
    segment.flags = static_cast<std::uint8_t>(random() % 2 ? tcp_ack : random() % 64);
    segment.payload_bytes = static_cast<std::uint32_t>(random() % 44);
    return segment;
}

bool equal(const FlowPair& a, const FlowPair& b) {
    return a.tcp == b.tcp && std::memcmp(a.hot.data(), b.hot.data(), sizeof a.hot) == 0;
}

TEST(TcpQuick, DoesWhatTrackDoesOrNothing) {
    std::mt19937_64 random(9);
    std::uint32_t followed = 0;
    for (int i = 0; i < 400'000; ++i) {
        const FlowPair before = any_pair(random);
        const TcpSegment segment = any_segment(random, before);
        const auto side = static_cast<std::uint8_t>(random() % 2);
        FlowPair quick = before, whole = before;
        const Header header = header_of(segment);
        if (!follow_established(quick, side, header.data(), 20 + segment.payload_bytes)) {
            ASSERT_TRUE(equal(quick, before)) << "nothing is done, case " << i;
            continue;
        }
        ++followed;
        ASSERT_TRUE(track(whole, side, segment).pass()) << "case " << i;
        ASSERT_TRUE(equal(quick, whole)) << "case " << i;
    }
    EXPECT_GT(followed, 40'000u);
}

TEST(TcpQuick, LeavesTheRestOfAConnectionToTrack) {
    FlowPair pair;
    pair.key.tuple.proto = 6;
    pair.tcp = TcpState::established;
    for (Hot& hot : pair.hot) hot.tcp_seen = tcp_seen_sequence | tcp_seen_window;
    const auto follows = [&](std::uint8_t flags) {
        TcpSegment segment;
        segment.flags = flags;
        return follow_established(pair, 0, header_of(segment).data(), 20);
    };
    EXPECT_TRUE(follows(tcp_ack));
    EXPECT_TRUE(follows(tcp_ack | tcp_psh | tcp_urg));
    for (const int flags :
         {0, +tcp_syn, tcp_syn | tcp_ack, tcp_fin | tcp_ack, +tcp_rst, tcp_rst | tcp_ack, +tcp_psh})
        EXPECT_FALSE(follows(static_cast<std::uint8_t>(flags))) << flags;
    pair.hot[1].tcp_seen |= tcp_seen_fin;
    EXPECT_FALSE(follows(tcp_ack));
}

}  // namespace
}  // namespace weir::flow
