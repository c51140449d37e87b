// The table against the plainest thing that does the same: a map.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "flow/testing.hpp"

namespace weir::flow {
namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t tick = std::uint64_t{1} << WheelState::tick_shift;

struct KeyLess {
    static auto parts(const Key& k) {
        return std::tuple(k.scope, k.vni, k.tuple.proto, k.tuple.src, k.tuple.dst, k.tuple.src_port,
                          k.tuple.dst_port);
    }
    bool operator()(const Key& a, const Key& b) const { return parts(a) < parts(b); }
};

// What the table should hold: per initiator key the id, its state and when it was seen.
struct Twin {
    struct Flow {
        std::uint64_t id = 0;
        std::uint64_t seen_ns[2] = {0, 0};
        TcpState tcp = TcpState::none;
        std::uint8_t proto = 0;
        std::vector<net::Tuple> aliases;
        std::uint64_t expires_ns() const {
            std::uint64_t idle_s = 60;
            if (proto == 17) idle_s = seen_ns[1] != 0 ? 180 : 60;
            if (proto == 1) idle_s = 20;
            if (proto == 6 && tcp == TcpState::established) idle_s = 7200;
            if (proto == 6 && tcp > TcpState::established) idle_s = 30;
            if (proto == 6 && tcp == TcpState::closed) idle_s = 5;
            return std::max(seen_ns[0], seen_ns[1]) + idle_s * 1000 * ms;
        }
        bool established() const {
            return proto == 6 && tcp >= TcpState::established && tcp < TcpState::closing;
        }
    };
    std::map<Key, Flow, KeyLess> flows;

    struct Found {
        Flow* flow = nullptr;
        std::uint8_t direction = 0;
    };
    Found find(const Key& key) {
        if (auto it = flows.find(key); it != flows.end()) return {&it->second, 0};
        if (auto it = flows.find({key.scope, key.vni, key.tuple.reversed()}); it != flows.end())
            return {&it->second, 1};
        return {};
    }
};

class Property : public ::testing::TestWithParam<std::uint32_t> {
protected:
    static constexpr std::uint32_t scopes = 4;
    Shard shard{{.records = 512, .scopes = scopes, .aliases = 64}};
    Twin twin;
    std::mt19937 random{GetParam()};
    std::uint64_t now = 5'000 * ms;
    std::uint32_t evictions = 0, refusals = 0, found = 0;

    std::uint32_t below(std::uint32_t bound) {
        return static_cast<std::uint32_t>(random() % bound);
    }

    Key any_key() {
        static constexpr std::uint8_t protos[] = {6, 6, 6, 17, 17, 1};
        Key key = key_of(below(scopes), protos[below(6)], below(40), below(2));
        key.vni = 5000 + below(2);
        if (below(3) == 0) key.tuple = key.tuple.reversed();
        return key;
    }

    void SetUp() override {
        for (std::uint32_t i = 0; i < scopes; ++i) shard.scope("s" + std::to_string(i));
        shard.table.on_removal(&Property::removed, this);
    }
    // Whatever the table drops by itself must be allowed to go.
    static void removed(void* context, const FlowPair& pair, Removal why) {
        auto& self = *static_cast<Property*>(context);
        const auto it = self.twin.flows.find(pair.key);
        ASSERT_NE(it, self.twin.flows.end());
        if (why == Removal::expired) {
            EXPECT_LE(it->second.expires_ns(), self.now);
        }
        if (why == Removal::evicted) {
            ++self.evictions;
            EXPECT_FALSE(it->second.established());
        }
        self.twin.flows.erase(it);
    }

    void insert() {
        const Key key = any_key();
        const Twin::Found before = twin.find(key);
        InsertOutcome outcome{};
        FlowPair* pair = shard.insert(key, now, &outcome);
        if (before.flow != nullptr) {
            ASSERT_EQ(outcome, InsertOutcome::existing);
            ASSERT_EQ(pair->id, before.flow->id);
            return;
        }
        if (pair == nullptr) {
            ASSERT_EQ(outcome, InsertOutcome::full);
            ++refusals;
            return;
        }
        twin.flows[key] = {pair->id, {now, 0}, TcpState::none, key.tuple.proto, {}};
    }

    void look() {
        const Key key = any_key();
        const Twin::Found want = twin.find(key);
        const Table::Hit hit = shard.find(key);
        ASSERT_EQ(hit.pair != nullptr, want.flow != nullptr);
        if (!hit) return;
        ++found;
        ASSERT_EQ(hit.pair->id, want.flow->id);
        ASSERT_EQ(hit.direction, want.direction);
        if (hit.pair->key.tuple.proto == 6 && below(4) == 0) {
            // Mostly towards established, so that the table gets full of what must stay.
            static constexpr TcpState states[] = {TcpState::syn_sent,    TcpState::syn_received,
                                                  TcpState::established, TcpState::established,
                                                  TcpState::established, TcpState::fin_initiator,
                                                  TcpState::closing,     TcpState::closed};
            hit.pair->tcp = want.flow->tcp = states[below(8)];
        }
        shard.table.touch(*hit.pair, hit.direction, default_timeouts, now);
        want.flow->seen_ns[hit.direction] = now;
    }

    void erase() {
        const Key key = any_key();
        const Twin::Found want = twin.find(key);
        const Table::Hit hit = shard.find(key);
        ASSERT_EQ(bool(hit), want.flow != nullptr);
        if (hit) shard.table.erase(*hit.pair);  // the hook erases it from the twin
    }

    void alias() {
        const Table::Hit hit = shard.find(any_key());
        if (!hit) return;
        // Addresses of their own, so that no insert meets them.
        const net::Tuple tuple = key_of(0, 6, 1'000'000 + below(200), below(100)).tuple;
        if (!shard.table.add_alias(*hit.pair, tuple, 0, net::symmetric_hash(tuple))) return;
        const Key key{hit.pair->key.scope, hit.pair->key.vni, tuple};
        EXPECT_EQ(shard.find(key).pair, hit.pair);
        EXPECT_EQ(shard.find_reverse(key).direction, 1);
    }

    void let_time_pass() {
        now += below(40) * 20 * ms;
        shard.table.age(now, below(4) == 0 ? below(8) : 1000);
        if (below(4) != 0) return;
        shard.table.age(now, 1'000'000);
        for (const auto& [key, flow] : twin.flows) ASSERT_GT(flow.expires_ns() + 2 * tick, now);
    }

    void close_a_scope() {
        const std::uint32_t scope = below(scopes);
        shard.table.close_scope(scope);
        for (const auto& [key, flow] : twin.flows) ASSERT_NE(key.scope, scope);
        ASSERT_EQ(*shard.table.open_scope("s" + std::to_string(scope), scope), scope);
    }

    void step() {
        const std::uint32_t choice = below(1000);
        if (choice < 400)
            insert();
        else if (choice < 850)
            look();
        else if (choice < 900)
            erase();
        else if (choice < 920)
            alias();
        else if (choice < 999)
            let_time_pass();
        else
            close_a_scope();
    }
};

TEST_P(Property, TableAgreesWithAMap) {
    for (int i = 0; i < 50'000; ++i) {
        step();
        if (HasFatalFailure()) FAIL() << "at step " << i;
        ASSERT_EQ(shard.table.size(), twin.flows.size());
        if (i % 1000 == 0) {
            ASSERT_EQ(shard.check(), "") << "at step " << i;
        }
    }
    for (const auto& [key, flow] : twin.flows) ASSERT_EQ(shard.find(key).pair->id, flow.id);
    EXPECT_GT(found, 4'000u);
    EXPECT_GT(evictions, 100u) << "the table was never full";
    EXPECT_GT(shard.table.stats().expired, 100u);
    EXPECT_EQ(shard.check(), "");
}

INSTANTIATE_TEST_SUITE_P(Seeds, Property, ::testing::Values(1u, 2u, 3u));

}  // namespace
}  // namespace weir::flow
