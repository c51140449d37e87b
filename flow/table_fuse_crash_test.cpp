// Fused records after their process was killed.
#include "flow/crash_testing.hpp"

namespace weir::flow {
namespace {

// A connection between two guests of the host: one record in each scope.
FlowPair& end_of(Table& table, std::uint32_t scope) {
    const Key key = tcp_key(scope, 900, 1);
    return *table.find(scope, key.vni, key.tuple, net::symmetric_hash(key.tuple)).pair;
}

void prepare_ends(Table& table) {
    for (const std::uint32_t scope : {0u, 1u}) {
        const Key key = tcp_key(scope, 900, 1);
        FlowPair* pair = table.insert(key, net::symmetric_hash(key.tuple), 2'000'000);
        ASSERT_NE(pair, nullptr);
        establish(*pair, 2'000'000);
    }
    // One packet never reached the second guest, one answer never the first.
    FlowPair& first = end_of(table, 0);
    FlowPair& second = end_of(table, 1);
    first.hot[0].packets = 10, first.hot[0].bytes = 1000;
    second.hot[0].packets = 9, second.hot[0].bytes = 900;
    first.hot[1].packets = 20, first.hot[1].bytes = 2000;
    second.hot[1].packets = 21, second.hot[1].bytes = 2100;
}

// At each instruction both records have what passed, each by its own count.
TEST(Crash, FusedRecordsKeepWhatEachKnows) {
    Steps steps;
    std::size_t moved = 0;
    step_through(
        [](Table& table) {
            FlowPair& first = end_of(table, 0);
            FlowPair& second = end_of(table, 1);
            if (!table.fuse(first, second)) ::_exit(1);
            ++first.hot[0].packets;
            first.hot[0].sequence_end = 5100;
            first.hot[0].last_seen_ns = 3'000'000;
            ++first.hot[1].packets;
            first.hot[1].acknowledged = 5100;
            table.cut(second);
        },
        [&](Table& table, const AdoptReport&) {
            const FlowPair& first = end_of(table, 0);
            const FlowPair& second = end_of(table, 1);
            EXPECT_EQ(first.partner | second.partner, 0u);
            EXPECT_EQ(first.hot[0].packets, second.hot[0].packets + 1);
            EXPECT_EQ(first.hot[0].bytes, second.hot[0].bytes + 100);
            EXPECT_EQ(first.hot[1].packets + 1, second.hot[1].packets);
            EXPECT_EQ(first.hot[1].bytes + 100, second.hot[1].bytes);
            for (const std::size_t i : {0u, 1u}) {
                EXPECT_EQ(first.hot[i].window_edge, second.hot[i].window_edge);
                EXPECT_EQ(first.hot[i].sequence_end, second.hot[i].sequence_end);
                EXPECT_EQ(first.hot[i].acknowledged, second.hot[i].acknowledged);
                EXPECT_EQ(first.hot[i].tcp_seen, 3);
            }
            EXPECT_TRUE(first.hot[0].sequence_end == 5000 || first.hot[0].sequence_end == 5100);
            moved += first.hot[0].packets == 11 && first.hot[1].packets == 21;
        },
        steps, prepare_ends);
    EXPECT_GT(moved, 10u) << "the cut itself was looked at";
}

void prepare_handshake(Table& table) {
    TcpSegment syn, syn_ack;
    syn.sequence = 1000, syn.flags = tcp_syn;
    syn_ack.sequence = 5000, syn_ack.acknowledgement = 1001, syn_ack.flags = tcp_syn | tcp_ack;
    for (const std::uint32_t scope : {0u, 1u}) {
        const Key key = tcp_key(scope, 900, 1);
        FlowPair* pair = table.insert(key, net::symmetric_hash(key.tuple), 2'000'000);
        ASSERT_NE(pair, nullptr);
        for (const std::uint8_t direction : {std::uint8_t{0}, std::uint8_t{1}}) {
            ASSERT_TRUE(track(*pair, direction, direction == 0 ? syn : syn_ack).pass());
            table.touch(*pair, direction, default_timeouts, 2'000'000);
        }
    }
}

// Both records stand in the state before or behind the segment, and everything else about them
// fits.
TEST(Crash, FusedRecordsMoveEachFromOneStateToTheNext) {
    Steps steps;
    std::size_t moved = 0;
    step_through(
        [](Table& table) {
            std::array<std::uint8_t, 20> ack{};
            ack[6] = 1001 >> 8, ack[7] = 1001 & 255;
            ack[10] = 5001 >> 8, ack[11] = 5001 & 255;
            ack[12] = 0x50, ack[13] = tcp_ack;
            FlowPair& first = end_of(table, 0);
            FlowPair& second = end_of(table, 1);
            if (!table.fuse(first, second)) ::_exit(1);
            if (!table.move_fused(first, 0,
                                  {ack.data(), 20, default_timeouts, default_timeouts, 3'000'000}))
                ::_exit(2);
        },
        [&](Table& table, const AdoptReport&) {
            const FlowPair& first = end_of(table, 0);
            const FlowPair& second = end_of(table, 1);
            for (const FlowPair* pair : {&first, &second}) {
                EXPECT_TRUE(pair->tcp == TcpState::syn_received ||
                            pair->tcp == TcpState::established);
                EXPECT_EQ(pair->hot[0].kind, kind_of(*pair));
                EXPECT_EQ(pair->partner, 0u);
                EXPECT_EQ(pair->hot[0].sequence_end, 1001u);
                EXPECT_EQ(pair->hot[1].sequence_end, 5001u);
            }
            EXPECT_EQ(first.tcp, second.tcp);
            moved += first.tcp == TcpState::established && second.tcp == TcpState::established;
        },
        steps, prepare_handshake);
    EXPECT_GT(moved, 5u) << "the move itself was looked at";
}

Key begun(std::uint32_t scope) {
    return udp_key(scope, 901, 1);
}

// Either none of the two is there, or the first one is by itself, or both are and say the same.
TEST(Crash, RecordsThatBeginFusedAreWholeOrNotThere) {
    Steps steps;
    std::array<std::size_t, 3> there{};
    step_through(
        [](Table& table) {
            const Key first = begun(0), second = begun(1);
            const std::uint32_t hash = net::symmetric_hash(first.tuple);
            FlowPair* leader = table.insert_fused({0, first.vni, &first.tuple, hash},
                                                  {1, second.vni, &second.tuple, hash}, 3'000'000,
                                                  default_timeouts);
            if (leader == nullptr) ::_exit(1);
            leader->hot[0].packets = 1;
        },
        [&](Table& table, const AdoptReport&) {
            std::array<FlowPair*, 2> found{};
            for (const std::uint32_t scope : {0u, 1u}) {
                const Key key = begun(scope);
                found[scope] =
                    table.find(scope, key.vni, key.tuple, net::symmetric_hash(key.tuple)).pair;
            }
            const std::size_t count = (found[0] != nullptr ? 1 : 0) + (found[1] != nullptr ? 1 : 0);
            ++there[count];
            ASSERT_TRUE(found[0] != nullptr || found[1] == nullptr);
            if (count != 2) return;
            EXPECT_EQ(found[1]->initiator_outside, 1);
            EXPECT_EQ(found[0]->hot[0].packets, found[1]->hot[0].packets);
            EXPECT_EQ(found[0]->hot[0].idle_ms, found[1]->hot[0].idle_ms);
        },
        steps);
    for (const std::size_t times : there) EXPECT_GT(times, 0u);
}

TEST(Crash, RecordsThatEndFusedAreWholeOrGone) {
    Steps steps;
    std::size_t gone = 0;
    step_through([](Table& table) { table.age(400'000'000'000, 1); },
                 [&](Table& table, const AdoptReport& report) {
                     EXPECT_LE(report.torn, 1u);
                     gone += contents(table).size() == 70;
                 },
                 steps,
                 [](Table& table) {
                     const Key first = begun(0), second = begun(1);
                     const std::uint32_t hash = net::symmetric_hash(first.tuple);
                     Timeouts short_idle;
                     short_idle.udp_ms = 1;
                     if (table.insert_fused({0, first.vni, &first.tuple, hash},
                                            {1, second.vni, &second.tuple, hash}, 3'000'000,
                                            short_idle) == nullptr)
                         ::_exit(1);
                 });
    EXPECT_GT(gone, 0u);
}

}  // namespace
}  // namespace weir::flow
