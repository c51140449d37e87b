// Timers, idle times and what a full table gives up.
#include <gtest/gtest.h>

#include <vector>

#include "flow/tcp.hpp"
#include "flow/testing.hpp"

namespace weir::flow {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t tick = std::uint64_t{1} << WheelState::tick_shift;
constexpr std::size_t no_budget = ~std::size_t{0};
constexpr std::uint64_t start = 1'000'000 * second;

void set_state(Shard& shard, FlowPair& pair, TcpState state, std::uint64_t now_ns) {
    pair.tcp = state;
    shard.table.touch(pair, 0, default_timeouts, now_ns);
}

// Idle for `idle`: there until then, gone one tick later.
void expect_lifetime(Shard& shard, const Key& key, std::uint64_t seen_ns, std::uint64_t idle_s) {
    shard.table.age(seen_ns + idle_s * second - 1, no_budget);
    EXPECT_TRUE(shard.find(key)) << idle_s;
    shard.table.age(seen_ns + idle_s * second + 2 * tick, no_budget);
    EXPECT_FALSE(shard.find(key)) << idle_s;
    EXPECT_EQ(shard.check(), "");
}

TEST(Timers, IdleTimesOfTheRulebook) {
    const std::pair<TcpState, std::uint64_t> rows[] = {
        {TcpState::none, 60},          {TcpState::syn_sent, 60},      {TcpState::syn_received, 60},
        {TcpState::established, 7200}, {TcpState::fin_initiator, 30}, {TcpState::fin_responder, 30},
        {TcpState::closing, 30},       {TcpState::closed, 5}};
    Shard shard({.records = 64, .scopes = 1});
    const std::uint32_t g1 = shard.scope("g1");
    for (const auto& [state, idle_s] : rows) {
        const Key key = tcp_key(g1, 1, 1);
        set_state(shard, *shard.insert(key, start), state, start);
        expect_lifetime(shard, key, start, idle_s);
    }
    const std::pair<std::uint8_t, std::uint64_t> others[] = {
        {17, 60}, {1, 20}, {58, 20}, {132, 60}};
    for (const auto& [proto, idle_s] : others) {
        const Key key = key_of(g1, proto, 1, 1);
        shard.insert(key, start);
        expect_lifetime(shard, key, start, idle_s);
    }
    EXPECT_EQ(shard.table.stats().expired, 12u);
}

TEST(Timers, UdpLivesLongerOnceAnswered) {
    Shard shard({.records = 64, .scopes = 1});
    const Key key = udp_key(shard.scope("g1"), 1, 1);
    FlowPair* pair = shard.insert(key, start);
    shard.table.touch(*pair, 0, default_timeouts, start + second);
    shard.table.touch(*pair, 1, default_timeouts, start + 2 * second);
    expect_lifetime(shard, key, start + 2 * second, 180);
}

TEST(Timers, ARecordBeginsWithTheTimesOfItsPort) {
    Shard shard({.records = 64, .scopes = 1});
    const Key key = udp_key(shard.scope("g1"), 1, 1);
    Timeouts port;
    port.udp_ms = 2000;
    shard.table.insert(key, net::symmetric_hash(key.tuple), start, nullptr, port);
    expect_lifetime(shard, key, start, 2);
}

TEST(Timers, TouchKeepsAFlowAndBothDirectionsCount) {
    Shard shard({.records = 64, .scopes = 1});
    const Key key = udp_key(shard.scope("g1"), 1, 1);
    FlowPair* pair = shard.insert(key, start);
    std::uint64_t now = start;
    for (int i = 0; i < 50; ++i) {
        now += 59 * second;
        shard.table.age(now, no_budget);
        ASSERT_TRUE(shard.find(key));
        shard.table.touch(*pair, 0, default_timeouts, now);
    }
    shard.table.touch(*pair, 1, default_timeouts, now + second);
    expect_lifetime(shard, key, now + second, 180);
}

TEST(Timers, OverriddenTimeoutsTakeEffectAtTheNextPacket) {
    Shard shard({.records = 64, .scopes = 1});
    const Key key = udp_key(shard.scope("g1"), 1, 1);
    FlowPair* pair = shard.insert(key, start);
    Timeouts short_ones;
    short_ones.udp_ms = 3'000;
    shard.table.touch(*pair, 0, short_ones, start);
    expect_lifetime(shard, key, start, 3);
}

TEST(Timers, BudgetIsKeptAndTheRestFollows) {
    Shard shard({.records = 1024, .scopes = 1});
    const std::uint32_t g1 = shard.scope("g1");
    for (std::uint32_t i = 0; i < 1000; ++i) shard.insert(udp_key(g1, i, 1), start);
    const std::uint64_t late = start + 100 * second;
    std::size_t expired = 0, calls = 0;
    for (; shard.table.size() > 0 && calls < 1000; ++calls) {
        const std::size_t now = shard.table.age(late, 10);
        EXPECT_LE(now, 10u);
        expired += now;
        // A record that arrives while time lags behind must not be lost or expire early.
        if (calls == 5) shard.insert(udp_key(g1, 5000, 1), late);
        if (calls == 200) break;
    }
    EXPECT_EQ(expired, 1000u);
    EXPECT_TRUE(shard.find(udp_key(g1, 5000, 1)));
    EXPECT_EQ(shard.check(), "");
    expect_lifetime(shard, udp_key(g1, 5000, 1), late, 60);
}

TEST(Timers, LongSleepCostsNothing) {
    Shard shard({.records = 64, .scopes = 1});
    const std::uint32_t g1 = shard.scope("g1");
    set_state(shard, *shard.insert(tcp_key(g1, 1, 1), 0), TcpState::established, 0);
    // More than 2^31 ticks, too.
    std::uint64_t now_ns = 0;
    for (const std::uint64_t days : {400, 600, 900}) {
        now_ns += days * 24 * 3600 * second;
        EXPECT_EQ(shard.table.age(now_ns, 64), 1u) << days;
        set_state(shard, *shard.insert(tcp_key(g1, 1, 1), now_ns), TcpState::established, now_ns);
        EXPECT_EQ(shard.check(), "");
    }
}

TEST(Timers, IdleTimesBeyondTheWheelHold) {
    Shard shard({.records = 64, .scopes = 1});
    const Key key = udp_key(shard.scope("g1"), 1, 1);
    FlowPair* pair = shard.insert(key, start);
    Timeouts week;
    week.udp_ms = 7 * 24 * 3600 * 1000u;
    shard.table.touch(*pair, 0, week, start);
    expect_lifetime(shard, key, start, 7 * 24 * 3600);
}

// Fills the only scope of a 64-record shard.
struct FullShard : Shard {
    FullShard() : Shard({.records = 64, .scopes = 2}), g1(scope("g1")) {}
    FlowPair* add(std::uint32_t client, std::uint8_t proto, TcpState state, std::uint64_t now_ns) {
        FlowPair* pair = insert(key_of(g1, proto, client, 1), now_ns);
        if (pair != nullptr) set_state(*this, *pair, state, now_ns);
        return pair;
    }
    bool has(std::uint32_t client, std::uint8_t proto) {
        return bool(find(key_of(g1, proto, client, 1)));
    }
    InsertOutcome push(std::uint32_t client) {
        InsertOutcome outcome{};
        insert(key_of(g1, 6, client, 1), start + 500 * second, &outcome);
        return outcome;
    }
    std::uint32_t g1;
};

// What had to go for each of `pushes` new connections that are then established.
std::vector<Kind> evicted(FullShard& shard, std::uint32_t pushes) {
    std::vector<Kind> gone;
    shard.table.on_removal(
        [](void* context, const FlowPair& pair, Removal why) {
            EXPECT_EQ(why, Removal::evicted);
            static_cast<std::vector<Kind>*>(context)->push_back(kind_of(pair));
        },
        &gone);
    for (std::uint32_t i = 100; i < 100 + pushes; ++i) {
        EXPECT_EQ(shard.push(i), InsertOutcome::evicted) << i;
        set_state(shard, *shard.find(key_of(shard.g1, 6, i, 1)).pair, TcpState::established, start);
    }
    shard.table.on_removal(nullptr, nullptr);
    return gone;
}

TEST(Eviction, ClosedThenOthersThenHandshakesNeverEstablished) {
    FullShard shard;
    for (std::uint32_t i = 0; i < 60; ++i) shard.add(i, 6, TcpState::established, start + i);
    shard.add(60, 17, TcpState::none, start + 60);
    shard.add(61, 6, TcpState::closed, start + 61);
    shard.add(62, 6, TcpState::syn_sent, start + 62);
    shard.add(63, 6, TcpState::syn_received, start + 63);
    EXPECT_EQ(evicted(shard, 4),
              (std::vector{Kind::closing, Kind::other, Kind::half_open, Kind::half_open}));
    EXPECT_EQ(shard.push(104), InsertOutcome::full);
    EXPECT_EQ(shard.table.stats().refused_full, 1u);
    const Stats& stats = shard.table.stats();
    EXPECT_EQ(stats.evicted[static_cast<std::size_t>(Kind::half_open)], 2u);
    EXPECT_EQ(stats.evicted[static_cast<std::size_t>(Kind::closing)], 1u);
    EXPECT_EQ(stats.evicted[static_cast<std::size_t>(Kind::other)], 1u);
    for (std::uint32_t i = 0; i < 60; ++i) EXPECT_TRUE(shard.has(i, 6)) << i;
    EXPECT_EQ(shard.check(), "");
}

// More than an eighth half-open is a flood: it pays for itself, the oldest first.
TEST(Eviction, HandshakesThatNobodyFinishesGoBeforeAllElse) {
    FullShard shard;
    for (std::uint32_t i = 0; i < 51; ++i) shard.add(i, 6, TcpState::established, start + i);
    shard.add(51, 17, TcpState::none, start + 51);
    shard.add(52, 6, TcpState::closed, start + 52);
    for (std::uint32_t i = 53; i < 64; ++i) shard.add(i, 6, TcpState::syn_sent, start + i);
    EXPECT_EQ(evicted(shard, 6), (std::vector{Kind::half_open, Kind::half_open, Kind::half_open,
                                              Kind::closing, Kind::other, Kind::half_open}));
    for (std::uint32_t i = 53; i < 57; ++i) EXPECT_FALSE(shard.has(i, 6)) << i;
    for (std::uint32_t i = 57; i < 64; ++i) EXPECT_TRUE(shard.has(i, 6)) << i;
    EXPECT_EQ(shard.check(), "");
}

// Each of many short connections must end its handshake though the table is full of ended ones.
TEST(Eviction, AFullTableOfClosedConnectionsLetsHandshakesEnd) {
    FullShard shard;
    for (std::uint32_t i = 0; i < 64; ++i) shard.add(i, 6, TcpState::closed, start + i);
    for (std::uint32_t i = 100; i < 1000; i += 4) {
        for (std::uint32_t j = i; j < i + 4; ++j) ASSERT_EQ(shard.push(j), InsertOutcome::evicted);
        for (std::uint32_t j = i; j < i + 4; ++j) {
            ASSERT_TRUE(shard.has(j, 6)) << j;
            set_state(shard, *shard.find(key_of(shard.g1, 6, j, 1)).pair, TcpState::closed, start);
        }
    }
    EXPECT_EQ(shard.table.stats().evicted[static_cast<std::size_t>(Kind::half_open)], 0u);
    EXPECT_EQ(shard.check(), "");
}

TEST(Eviction, FullOfEstablishedRefusesAndLosesNone) {
    FullShard shard;
    for (std::uint32_t i = 0; i < 64; ++i) shard.add(i, 6, TcpState::established, start + i);
    for (std::uint32_t i = 100; i < 200; ++i) EXPECT_EQ(shard.push(i), InsertOutcome::full);
    for (std::uint32_t i = 0; i < 64; ++i) EXPECT_TRUE(shard.has(i, 6)) << i;
    EXPECT_EQ(shard.table.stats().refused_full, 100u);
}

TEST(Eviction, HalfClosedFlowsStillCarryDataAndStay) {
    FullShard shard;
    for (std::uint32_t i = 0; i < 64; ++i)
        shard.add(i, 6, i % 2 == 0 ? TcpState::fin_initiator : TcpState::fin_responder, start);
    EXPECT_EQ(shard.push(100), InsertOutcome::full);
}

TEST(Eviction, AStateTheTableWasNotToldOfIsNoticed) {
    FullShard shard;
    for (std::uint32_t i = 0; i < 64; ++i) shard.add(i, 6, TcpState::syn_sent, start + i);
    // Tracked, but not touched yet: filed as half-open still.
    for (std::uint32_t i = 0; i < 20; ++i)
        shard.find(key_of(shard.g1, 6, i, 1)).pair->tcp = TcpState::established;
    for (std::uint32_t i = 100; i < 144; ++i) {
        EXPECT_EQ(shard.push(i), InsertOutcome::evicted);
        set_state(shard, *shard.find(key_of(shard.g1, 6, i, 1)).pair, TcpState::established, start);
    }
    EXPECT_EQ(shard.push(200), InsertOutcome::full);
    for (std::uint32_t i = 0; i < 20; ++i) EXPECT_TRUE(shard.has(i, 6)) << i;
    EXPECT_EQ(shard.check(), "");
}

TEST(Eviction, OfUdpTheLeastRecentlySeenGoes) {
    FullShard shard;
    for (std::uint32_t i = 0; i < 64; ++i) shard.add(i, 17, TcpState::none, start + i);
    for (std::uint32_t i = 0; i < 10; ++i)
        shard.table.touch(*shard.find(udp_key(shard.g1, i, 1)).pair, 0, default_timeouts,
                          start + 1000 + i);
    shard.push(100);
    EXPECT_FALSE(shard.has(10, 17));
    for (std::uint32_t i = 0; i < 10; ++i) EXPECT_TRUE(shard.has(i, 17)) << i;
}

TEST(Eviction, SparesWhatThisBurstHolds) {
    FullShard shard;
    shard.table.begin_burst();
    for (std::uint32_t i = 0; i < 64; ++i) shard.add(i, 6, TcpState::syn_sent, start + i);
    EXPECT_EQ(shard.push(100), InsertOutcome::full) << "all were inserted in this burst";
    shard.table.begin_burst();
    FlowPair* held = shard.find_reverse(tcp_key(shard.g1, 0, 1)).pair;
    EXPECT_EQ(shard.push(100), InsertOutcome::evicted);
    EXPECT_TRUE(shard.has(0, 6)) << "the oldest, but in use";
    EXPECT_EQ(held->live, record_live);
    shard.table.begin_burst();
    EXPECT_EQ(shard.push(101), InsertOutcome::evicted);
    EXPECT_FALSE(shard.has(0, 6));
}

TEST(Eviction, AFloodingPortLeavesRoomForOthers) {
    Shard shard({.records = 64 * 32, .scopes = 8});
    const std::uint32_t flood = shard.scope("flood"), calm = shard.scope("calm");
    for (std::uint32_t i = 0; i < 10'000; ++i) {
        FlowPair* pair = shard.insert(tcp_key(flood, i, 1), start + i);
        if (pair != nullptr) set_state(shard, *pair, TcpState::established, start + i);
    }
    EXPECT_EQ(shard.table.scope(flood)->records, 28u * 64u) << "an eighth is kept back";
    for (std::uint32_t i = 0; i < 2 * 64; ++i)
        EXPECT_NE(shard.insert(tcp_key(calm, i, 1), start), nullptr) << i;
    EXPECT_EQ(shard.table.scope(calm)->slab_count, 2u);
    EXPECT_EQ(shard.check(), "");
}

TEST(Eviction, ASlabOfNothingEstablishedIsTakenFromAnotherScope) {
    Shard shard({.records = 64 * 4, .scopes = 2});
    const std::uint32_t flood = shard.scope("flood"), late = shard.scope("late");
    for (std::uint32_t i = 0; i < 256; ++i) {
        FlowPair* pair = shard.insert(tcp_key(flood, i, 1), start + i);
        ASSERT_NE(pair, nullptr);
        // One record of each slab but the last is established.
        const bool keep = i % 64 == 0 && i < 192;
        set_state(shard, *pair, keep ? TcpState::established : TcpState::syn_sent, start + i);
    }
    InsertOutcome outcome{};
    ASSERT_NE(shard.insert(tcp_key(late, 1, 1), start, &outcome), nullptr);
    EXPECT_EQ(outcome, InsertOutcome::evicted);
    EXPECT_EQ(shard.table.scope(flood)->slab_count, 3u);
    for (std::uint32_t i = 0; i < 192; i += 64) EXPECT_TRUE(shard.find(tcp_key(flood, i, 1)));
    EXPECT_EQ(shard.table.stats().evicted[static_cast<std::size_t>(Kind::half_open)], 64u);
    EXPECT_EQ(shard.check(), "");
}

}  // namespace
}  // namespace weir::flow
