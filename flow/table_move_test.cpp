#include <gtest/gtest.h>

#include "flow/testing.hpp"
#include "net/bytes.hpp"

// Fused records whose connection moves: they must be what two records are that were kept apart and
// followed one after the other.
namespace weir::flow {
namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr Timeouts near_idle{};
constexpr Timeouts far_idle{
    .tcp_new_ms = 7000, .tcp_established_ms = 90'000, .tcp_closing_ms = 5000};

struct Said {
    std::uint8_t direction;
    std::uint8_t flags;
    std::uint32_t sequence, acknowledgement;
    std::uint32_t bytes = 0;
};
using Talk = std::vector<Said>;

const Said syn{0, tcp_syn, 1000, 0}, syn_ack{1, tcp_syn | tcp_ack, 5000, 1001};
// From the handshake's end to the last acknowledgement.
const Talk short_connection = {
    {0, tcp_ack, 1001, 5001}, {0, tcp_ack | tcp_psh, 1001, 5001, 6},
    {1, tcp_ack, 5001, 1007}, {0, tcp_fin | tcp_ack, 1007, 5001},
    {1, tcp_ack, 5001, 1008}, {1, tcp_fin | tcp_ack, 5001, 1008},
    {0, tcp_ack, 1008, 5002},
};
const Talk aborted = {{0, tcp_ack, 1001, 5001}, {1, tcp_rst | tcp_ack, 5001, 1001}};
const Talk impatient = {{0, tcp_fin | tcp_ack, 1001, 5001}, {1, tcp_ack, 5001, 1002, 3}};
const Talk stubborn = {{0, tcp_ack, 1001, 9999},  // acknowledges what nobody sent
                       {0, tcp_ack, 1001, 5001},
                       {1, tcp_rst, 90'000'000, 0},  // blind
                       {1, tcp_ack, 5001, 1001, 4}};

// A connection between two guests, once the handshake's answer has passed both records.
struct Both {
    Shard shard{{.records = 256, .scopes = 2, .first_id = 1, .seed = 1}};
    std::uint32_t g1 = shard.scope("g1"), g2 = shard.scope("g2");
    FlowPair* near_ = begun(g1);
    FlowPair* far_ = begun(g2);
    std::uint64_t now_ns = 10 * ms;

    Both() {
        for (const Said& one : {syn, syn_ack}) pass_apart(one);
    }
    FlowPair* begun(std::uint32_t scope) { return shard.insert(tcp_key(scope, 1, 2), 10 * ms); }
    static std::array<std::uint8_t, 20> header_of(const Said& said) {
        std::array<std::uint8_t, 20> h{};
        net::store32(h.data() + 4, said.sequence);
        net::store32(h.data() + 8, said.acknowledgement);
        h[12] = 0x50;
        h[13] = said.flags;
        net::store16(h.data() + 14, 64000);
        return h;
    }
    bool pass_apart(const Said& said) {
        now_ns += ms;
        TcpSegment segment;
        read_tcp(header_of(said).data(), 20 + said.bytes, segment);
        bool passed = true;
        for (FlowPair* pair :
             {said.direction == 0 ? near_ : far_, said.direction == 0 ? far_ : near_}) {
            passed = passed && track(*pair, said.direction, segment).pass();
            if (!passed) return false;
            Hot& hot = pair->hot[said.direction];
            ++hot.packets;
            hot.bytes += said.bytes;
            shard.table.touch(*pair, said.direction, pair == near_ ? near_idle : far_idle, now_ns);
        }
        return true;
    }
    bool pass_fused(const Said& said) {
        now_ns += ms;
        const auto header = header_of(said);
        if (!shard.table.move_fused(*near_, said.direction,
                                    {header.data(), 20 + said.bytes, near_idle, far_idle, now_ns}))
            return false;
        Hot& hot = near_->hot[said.direction];
        ++hot.packets;
        hot.bytes += said.bytes;
        return true;
    }
    bool steady() const {
        EXPECT_TRUE(Table::leads(*near_));
        return Table::leads_steadily(*near_);
    }
};

void expect_same(const FlowPair& a, const FlowPair& b) {
    EXPECT_EQ(a.tcp, b.tcp);
    EXPECT_EQ(a.timer_slot, b.timer_slot);
    EXPECT_EQ(a.expires_tick, b.expires_tick);
    EXPECT_EQ(a.queued, b.queued);
    for (const std::size_t i : {0u, 1u}) {
        const Hot &x = a.hot[i], &y = b.hot[i];
        EXPECT_EQ(x.packets, y.packets) << i;
        EXPECT_EQ(x.bytes, y.bytes) << i;
        EXPECT_EQ(x.last_seen_ns, y.last_seen_ns) << i;
        EXPECT_EQ(x.window_edge, y.window_edge) << i;
        EXPECT_EQ(x.sequence_end, y.sequence_end) << i;
        EXPECT_EQ(x.acknowledged, y.acknowledged) << i;
        EXPECT_EQ(x.tcp_seen, y.tcp_seen) << i;
        EXPECT_EQ(x.window_scale, y.window_scale) << i;
        EXPECT_EQ(x.idle_ms, y.idle_ms) << i;
        EXPECT_EQ(x.kind, y.kind) << i;
    }
}

// After each number of segments, cut there.
void expect_as_apart(const Talk& talk) {
    for (std::size_t length = 0; length <= talk.size(); ++length) {
        SCOPED_TRACE(length);
        Both fused, apart;
        ASSERT_TRUE(fused.shard.table.fuse(*fused.near_, *fused.far_));
        for (std::size_t i = 0; i < length; ++i)
            ASSERT_EQ(fused.pass_fused(talk[i]), apart.pass_apart(talk[i])) << i;
        EXPECT_EQ(fused.shard.check(), "");
        fused.shard.table.cut(*fused.near_);
        EXPECT_EQ(fused.shard.check(), "");
        expect_same(*fused.near_, *apart.near_);
        expect_same(*fused.far_, *apart.far_);
        EXPECT_EQ(fused.shard.table.stats().records, apart.shard.table.stats().records);
    }
}

TEST(Move, ConnectionsAreWhatTheyAreApart) {
    for (const Talk& talk : {short_connection, aborted, impatient, stubborn}) {
        SCOPED_TRACE(talk.size());
        expect_as_apart(talk);
    }
}

TEST(Move, OnlySteadyConnectionsMayBeFollowedQuickly) {
    Both both;
    ASSERT_TRUE(both.shard.table.fuse(*both.near_, *both.far_));
    EXPECT_FALSE(both.steady()) << "half open";
    const bool expected[] = {true, true, true, false, false, false, false};
    for (std::size_t i = 0; i < short_connection.size(); ++i) {
        ASSERT_TRUE(both.pass_fused(short_connection[i])) << i;
        EXPECT_EQ(both.steady(), expected[i]) << i;
    }
    EXPECT_EQ(both.near_->tcp, TcpState::closed);
}

// The oldest closing record of a full table, in a burst that has just moved it by its partner.
TEST(Move, BothAreSparedByTheBurstThatFindsOne) {
    for (const bool fused : {false, true}) {
        SCOPED_TRACE(fused);
        Both both;
        Shard& shard = both.shard;
        for (std::size_t i = 0; i + 1 < short_connection.size(); ++i)
            ASSERT_TRUE(both.pass_apart(short_connection[i]));
        std::uint32_t number = 10;
        for (; shard.table.size() < 192; ++number) {
            FlowPair* pair = shard.insert(tcp_key(both.g2, number, 2), both.now_ns);
            pair->tcp = TcpState::closing;
            shard.table.refile(*pair, far_idle);
        }
        if (fused) {
            ASSERT_TRUE(shard.table.fuse(*both.near_, *both.far_));
        }
        shard.table.begin_burst();
        const auto found = [&](std::uint32_t scope) {
            const Key key = tcp_key(scope, 1, 2);
            const Table::Query query{scope, key.vni, &key.tuple, net::symmetric_hash(key.tuple)};
            std::array<Table::Hit, 1> hit;
            shard.table.find_bulk({&query, 1}, hit);
            return static_cast<bool>(hit[0]);
        };
        ASSERT_TRUE(found(both.g1));
        ASSERT_TRUE(fused ? both.pass_fused(short_connection.back())
                          : found(both.g2) && both.pass_apart(short_connection.back()));
        InsertOutcome outcome = InsertOutcome::inserted;
        for (; outcome == InsertOutcome::inserted; ++number)
            shard.insert(tcp_key(both.g2, number, 2), both.now_ns, &outcome);
        ASSERT_EQ(outcome, InsertOutcome::evicted);
        EXPECT_TRUE(found(both.g2));
        EXPECT_EQ(shard.check(), "");
    }
}

TEST(Move, ASegmentThatDoesNotPassChangesNothing) {
    Both both;
    ASSERT_TRUE(both.shard.table.fuse(*both.near_, *both.far_));
    const FlowPair before = *both.near_;
    EXPECT_FALSE(both.pass_fused({0, tcp_syn | tcp_fin, 1, 1}));
    EXPECT_FALSE(both.pass_fused({1, 0, 5001, 1001}));
    EXPECT_EQ(std::memcmp(&before, both.near_, sizeof before), 0);
}

// From the first segment on, with one idle time.
TEST(Move, ConnectionsThatBeginFusedAreWhatTheyAreApart) {
    Talk whole = {syn_ack, syn, syn_ack};  // one that got lost
    whole.insert(whole.end(), short_connection.begin(), short_connection.end());
    for (std::size_t length = 0; length <= whole.size(); ++length) {
        SCOPED_TRACE(length);
        Shard fused{{.records = 256, .scopes = 2, .first_id = 1, .seed = 1}};
        Shard apart{{.records = 256, .scopes = 2, .first_id = 1, .seed = 1}};
        const Key first = tcp_key(fused.scope("g1"), 1, 2),
                  second = tcp_key(fused.scope("g2"), 1, 2);
        const std::uint32_t hash = net::symmetric_hash(first.tuple);
        FlowPair* leader = fused.table.insert_fused({first.scope, first.vni, &first.tuple, hash},
                                                    {second.scope, second.vni, &second.tuple, hash},
                                                    10 * ms, near_idle);
        ASSERT_NE(leader, nullptr);
        FlowPair* one = apart.insert({apart.scope("g1"), first.vni, first.tuple}, 10 * ms);
        TcpSegment segment;
        read_tcp(Both::header_of(syn).data(), 20, segment);
        for (FlowPair* pair : {leader, one}) {
            ASSERT_TRUE(track(*pair, 0, segment).pass());
            pair->hot[0].packets = 1;
        }
        std::uint64_t now_ns = 10 * ms;
        for (std::size_t i = 0; i < length; ++i) {
            now_ns += ms;
            const auto header = Both::header_of(whole[i]);
            ASSERT_TRUE(fused.table.move_fused(
                *leader, whole[i].direction,
                {header.data(), 20 + whole[i].bytes, near_idle, near_idle, now_ns}));
            read_tcp(header.data(), 20 + whole[i].bytes, segment);
            ASSERT_TRUE(track(*one, whole[i].direction, segment).pass());
            apart.table.touch(*one, whole[i].direction, near_idle, now_ns);
            EXPECT_EQ(fused.check(), "");
        }
        FlowPair* follower = fused.find(second).pair;
        ASSERT_NE(follower, nullptr);
        EXPECT_EQ(fused.check(), "");
        expect_same(*leader, *one);
        follower->timer_slot = one->timer_slot;  // it looked later, when it was cut
        follower->expires_tick = one->expires_tick;
        expect_same(*follower, *one);
    }
}

TEST(Move, WhatIsNotTcpIsSteadyAtOnce) {
    Shard shard{{.records = 256, .scopes = 2}};
    FlowPair* near_ = shard.insert(udp_key(shard.scope("g1"), 1, 2), 10 * ms);
    FlowPair* far_ = shard.insert(udp_key(shard.scope("g2"), 1, 2), 10 * ms);
    ASSERT_TRUE(shard.table.fuse(*near_, *far_));
    EXPECT_TRUE(Table::leads_steadily(*near_));
    // Its first answer gives both another idle time.
    EXPECT_TRUE(shard.table.move_fused(*near_, 1, {nullptr, 0, near_idle, far_idle, 20 * ms}));
    EXPECT_EQ(near_->hot[0].idle_ms, near_idle.udp_replied_ms);
    EXPECT_EQ(shard.check(), "");
    EXPECT_EQ(shard.find({shard.scope("g2"), 5001, far_->key.tuple}).pair->hot[0].idle_ms,
              far_idle.udp_replied_ms);
}

}  // namespace
}  // namespace weir::flow
