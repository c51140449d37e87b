#include "flow/save_slices.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "flow/save_codec.hpp"
#include "flow/testing.hpp"
#include "net/rss.hpp"

namespace weir::flow {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t start = 1000 * second;
using Bytes = std::vector<std::uint8_t>;

// Two workers at home, three away: records find their worker by themselves.
struct Away {
    Away() {
        for (std::uint32_t i = 0; i < 3; ++i) {
            shards.push_back(std::make_unique<Shard>(
                TableLimits{.records = 4096, .scopes = 4, .workers = 3}, i));
            EXPECT_TRUE(shards.back()->table.open_scope("other", 0).ok());
            EXPECT_TRUE(shards.back()->table.open_scope("g1", 1).ok());
        }
    }
    void load(const Bytes& blob, std::uint64_t now_ns) {
        for (std::uint32_t mine = 0; mine < 3; ++mine) {
            Table* tables[1] = {&shards[mine]->table};
            const Shards here{tables, [mine](const net::Tuple& tuple) {
                                  return net::flow_owner(tuple, 3) == mine ? 0 : Shards::elsewhere;
                              }};
            LoadOptions options{.now_ns = now_ns, .other_clock = true};
            options.loaded = [&](Table& table, FlowPair& pair, std::uint32_t handle) {
                EXPECT_NE(handle, 0u);
                handles[handle] = table.make_handle(pair);
            };
            const auto report = flow::load(blob, 1, here, options);
            ASSERT_TRUE(report.ok()) << report.error().text();
            EXPECT_EQ(report->refused + report->lost_aliases + report->lost_insertions, 0u);
        }
    }
    std::map<std::uint64_t, Key> contents() {
        std::map<std::uint64_t, Key> all;
        for (const auto& shard : shards)
            shard->table.for_each(1, [&](FlowPair& pair) {
                EXPECT_EQ(net::flow_owner(pair.key.tuple, 3), shard->table.worker());
                all[pair.id] = pair.key;
            });
        return all;
    }
    std::vector<std::unique_ptr<Shard>> shards;
    std::map<std::uint32_t, std::uint32_t> handles;  // at home → away
};

struct Home {
    Home() : shard({.records = 4096, .scopes = 4, .workers = 2}), scope(shard.scope("g1")) {}
    // One pass; `between` runs after each slice. How many slices had something to tell.
    template <class F>
    std::size_t pass(SliceSaver& saver, bool delta, std::uint64_t& now_ns, Away& away,
                     F&& between) {
        std::size_t blobs = 0;
        saver.begin(delta);
        for (bool more = true; more;) {
            Bytes blob;
            const Result<bool> next = saver.next(++now_ns, blob);
            EXPECT_TRUE(next.ok());
            more = next.ok() && *next;
            if (!blob.empty()) {
                ++blobs;
                away.load(blob, now_ns - 500 * second);
            }
            if (more) between();
        }
        return blobs;
    }
    std::map<std::uint64_t, Key> contents() {
        std::map<std::uint64_t, Key> all;
        shard.table.for_each(scope, [&](FlowPair& pair) {
            all[pair.id] = pair.key;
            all[pair.id].scope = 1;
        });
        return all;
    }
    Shard shard;
    std::uint32_t scope;
};

TEST(SaveSlices, PassesUnderTrafficEndInTheSameRecordsOnOtherWorkers) {
    std::mt19937 random(7);
    Home home;
    Away away;
    std::uint64_t now = start;
    Table& table = home.shard.table;
    std::uint32_t client = 0;
    for (; client < 1500; ++client)
        ASSERT_NE(home.shard.insert(tcp_key(home.scope, client, 1), now), nullptr);
    SliceSaver saver(table, home.scope);
    // Flows begin, end, are seen and are decided while a pass is under way.
    const auto traffic = [&] {
        ++now;
        for (int i = 0; i < 20; ++i) {
            FlowPair* pair = table.at(static_cast<std::uint32_t>(random() % 1500));
            if (pair->live != record_live) continue;
            switch (random() % 3) {
                case 0:
                    table.erase(*pair);
                    home.shard.insert(tcp_key(home.scope, client++, 2), now);
                    break;
                case 1:
                    pair->hot[0].last_seen_ns = now;
                    ++pair->hot[0].packets;
                    break;
                default:
                    store_decision(pair->firewall,
                                   {.rule_id = 4, .revision = 9, .verdict = Verdict::allow});
                    ++pair->changes;
            }
        }
    };
    EXPECT_GT(home.pass(saver, false, now, away, traffic), 4u);
    for (int i = 0; i < 5; ++i) home.pass(saver, true, now, away, traffic);
    traffic();
    home.pass(saver, true, now, away, [] {});  // frozen
    EXPECT_EQ(away.contents(), home.contents());
    std::size_t decided = 0;
    table.for_each(home.scope, [&](FlowPair& pair) {
        const std::uint32_t handle = away.handles[table.make_handle(pair)];
        Table& there = away.shards[handle >> 22 & 3]->table;
        FlowPair* copy = there.at_handle(handle);
        ASSERT_NE(copy, nullptr);
        EXPECT_EQ(copy->id, pair.id);
        EXPECT_EQ(copy->hot[0].packets, pair.hot[0].packets);
        EXPECT_EQ(copy->firewall.revision, pair.firewall.revision);
        decided += pair.firewall.revision != 0;
    });
    EXPECT_GT(decided, 10u);
    // With nothing happening there is nothing to tell.
    now += second;
    home.pass(saver, true, now, away, [] {});
    EXPECT_EQ(home.pass(saver, true, now, away, [] {}), 0u);
    EXPECT_EQ(saver.written(), 0u);
}

TEST(SaveSlices, ASliceIsBounded) {
    Home home;
    for (std::uint32_t i = 0; i < 4096; ++i)
        ASSERT_NE(home.shard.insert(udp_key(home.scope, i, 1), start), nullptr);
    SliceSaver saver(home.shard.table, home.scope);
    saver.begin(false);
    for (bool more = true; more;) {
        Bytes blob;
        const std::uint32_t before = saver.written();
        const Result<bool> next = saver.next(start, blob);
        ASSERT_TRUE(next.ok());
        more = *next;
        EXPECT_LE(saver.written() - before, SliceSaver::records_per_slice + slab_records);
        EXPECT_LT(blob.size(), 128u << 10);
    }
    EXPECT_EQ(saver.written(), 4096u);
    EXPECT_FALSE(saver.next(start - 1, *std::make_unique<Bytes>()).ok());
}

TEST(SaveSlices, WhatIsGoneIsFoundByItsKeyAndOnlyIfItIsTheSameFlow) {
    Home home;
    Away away;
    std::uint64_t now = start;
    FlowPair* pair = home.shard.insert(tcp_key(home.scope, 1, 1), now);
    SliceSaver saver(home.shard.table, home.scope);
    home.pass(saver, false, now, away, [] {});
    ASSERT_EQ(away.contents().size(), 1u);
    home.shard.table.erase(*pair);
    home.pass(saver, true, now, away, [] {});
    EXPECT_TRUE(away.contents().empty());
}

}  // namespace
}  // namespace weir::flow
