#include "flow/table.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "flow/table_look.hpp"
#include "flow/testing.hpp"
#include "net/hash.hpp"

namespace weir::flow {
namespace {

TEST(Table, FindsBothDirections) {
    Shard shard({.records = 128, .scopes = 4});
    const std::uint32_t g1 = shard.scope("g1");
    const Key key = tcp_key(g1, 1, 2);
    FlowPair* pair = shard.insert(key, 1'000);
    ASSERT_NE(pair, nullptr);
    EXPECT_EQ(shard.find(key).pair, pair);
    EXPECT_EQ(shard.find(key).direction, 0);
    EXPECT_EQ(shard.find_reverse(key).pair, pair);
    EXPECT_EQ(shard.find_reverse(key).direction, 1);
    EXPECT_EQ(shard.check(), "");
}

TEST(Table, KeepsScopesAndSegmentsApart) {
    Shard shard({.records = 256, .scopes = 4});
    const std::uint32_t g1 = shard.scope("g1"), g2 = shard.scope("g2");
    Key key = tcp_key(g1, 1, 2);
    FlowPair* first = shard.insert(key, 1);
    key.scope = g2;
    EXPECT_FALSE(shard.find(key));
    FlowPair* second = shard.insert(key, 1);
    key.vni += 1;
    EXPECT_FALSE(shard.find(key));
    EXPECT_NE(first, second);
    EXPECT_EQ(shard.table.size(), 2u);
    EXPECT_EQ(shard.check(), "");
}

TEST(Table, InsertOfAKnownKeyReturnsTheRecord) {
    Shard shard({.records = 64, .scopes = 1});
    Key key = tcp_key(shard.scope("g1"), 1, 2);
    FlowPair* pair = shard.insert(key, 1);
    key.tuple = key.tuple.reversed();
    InsertOutcome outcome{};
    EXPECT_EQ(shard.insert(key, 2, &outcome), pair);
    EXPECT_EQ(outcome, InsertOutcome::existing);
    EXPECT_EQ(shard.table.size(), 1u);
}

TEST(Table, InsertNeedsAnOpenScope) {
    Shard shard({.records = 64, .scopes = 2});
    InsertOutcome outcome{};
    EXPECT_EQ(shard.insert(tcp_key(1, 1, 2), 1, &outcome), nullptr);
    EXPECT_EQ(outcome, InsertOutcome::no_scope);
}

TEST(Table, HandleDiesWithItsRecord) {
    Shard shard({.records = 64, .scopes = 1}, 5);
    const Key key = tcp_key(shard.scope("g1"), 1, 2);
    FlowPair* pair = shard.insert(key, 1);
    const std::uint32_t handle = shard.table.make_handle(*pair);
    EXPECT_NE(handle, 0u);
    EXPECT_EQ(shard.table.worker_of(handle), 5u);
    EXPECT_EQ(shard.table.at_handle(handle), pair);
    shard.table.erase(*pair);
    EXPECT_EQ(shard.table.at_handle(handle), nullptr);
    FlowPair* again = shard.insert(key, 1);
    ASSERT_EQ(again, pair) << "the slot is used again";
    EXPECT_EQ(shard.table.at_handle(handle), nullptr) << "but the handle is another";
    EXPECT_EQ(shard.table.at_handle(shard.table.make_handle(*again)), again);
    EXPECT_EQ(
        shard.table.at_handle(shard.table.make_handle(*again) ^ 1u << shard.table.slot_bits()),
        nullptr);
}

TEST(Table, IdsAreNeverReused) {
    Shard shard({.records = 64, .scopes = 1, .first_id = 100}, 3);
    const std::uint32_t g1 = shard.scope("g1");
    std::uint64_t last = 0;
    for (std::uint32_t i = 0; i < 300; ++i) {
        FlowPair* pair = shard.insert(tcp_key(g1, i, i), 1);
        EXPECT_EQ(pair->id, (std::uint64_t{3} << 56) + 100 + i);
        EXPECT_GT(pair->id, last);
        last = pair->id;
        shard.table.erase(*pair);
    }
    EXPECT_EQ(shard.check(), "");
}

TEST(Table, AliasesAnswerForBothDirections) {
    Shard shard({.records = 64, .scopes = 1, .aliases = 2});
    const Key key = tcp_key(shard.scope("g1"), 1, 2);
    FlowPair* pair = shard.insert(key, 1);
    const net::Tuple rewritten = tcp_key(0, 7, 8).tuple;
    ASSERT_TRUE(shard.table.add_alias(*pair, rewritten, 0, net::symmetric_hash(rewritten)));
    ASSERT_TRUE(shard.table.add_alias(*pair, rewritten, 0, net::symmetric_hash(rewritten)))
        << "the same again is no second alias";
    const auto hit = shard.find({key.scope, key.vni, rewritten.reversed()});
    EXPECT_EQ(hit.pair, pair);
    EXPECT_EQ(hit.direction, 1);
    EXPECT_EQ(shard.check(), "");

    FlowPair* other = shard.insert(tcp_key(key.scope, 3, 4), 1);
    EXPECT_FALSE(shard.table.add_alias(*other, rewritten, 0, net::symmetric_hash(rewritten)))
        << "the key is taken";
    const net::Tuple second = tcp_key(0, 9, 8).tuple, third = tcp_key(0, 10, 8).tuple;
    EXPECT_TRUE(shard.table.add_alias(*other, second, 1, net::symmetric_hash(second)));
    EXPECT_FALSE(shard.table.add_alias(*other, third, 1, net::symmetric_hash(third)))
        << "the pool is full";
    EXPECT_EQ(shard.table.stats().refused_alias, 2u);

    shard.table.erase(*pair);
    EXPECT_FALSE(shard.find({key.scope, key.vni, rewritten}));
    EXPECT_TRUE(shard.table.add_alias(*other, third, 1, net::symmetric_hash(third)));
    EXPECT_EQ(shard.find({key.scope, key.vni, third}).direction, 1);
    EXPECT_EQ(shard.check(), "");
}

TEST(Table, BulkLookupAgreesWithSingle) {
    Shard shard({.records = 256, .scopes = 1});
    const std::uint32_t g1 = shard.scope("g1");
    for (std::uint32_t i = 0; i < 100; i += 2) shard.insert(tcp_key(g1, i, 1), 1);
    std::array<Key, limits::max_burst> keys;
    std::array<Table::Query, limits::max_burst> queries;
    std::array<Table::Hit, limits::max_burst> hits;
    for (std::uint32_t i = 0; i < limits::max_burst; ++i) {
        keys[i] = tcp_key(g1, i, 1);
        if (i % 3 == 0) keys[i].tuple = keys[i].tuple.reversed();
        queries[i] = {g1, keys[i].vni, &keys[i].tuple, net::symmetric_hash(keys[i].tuple)};
    }
    shard.table.find_bulk(queries, hits);
    for (std::uint32_t i = 0; i < limits::max_burst; ++i) {
        const Table::Hit single = shard.find(keys[i]);
        EXPECT_EQ(hits[i].pair, single.pair) << i;
        EXPECT_EQ(hits[i].direction, single.direction) << i;
        EXPECT_EQ(hits[i].pair != nullptr, i % 2 == 0) << i;
    }
}

TEST(Table, RefusesKeysCrowdedIntoOneHash) {
    Shard shard({.records = 1024, .scopes = 1});
    const std::uint32_t g1 = shard.scope("g1");
    std::uint32_t inserted = 0;
    InsertOutcome outcome{};
    for (std::uint32_t i = 0; i < 200; ++i)
        if (shard.table.insert(tcp_key(g1, i, 1), 42, 1, &outcome) != nullptr) ++inserted;
    EXPECT_EQ(inserted, Index::max_row * Bucket::entries);
    EXPECT_EQ(outcome, InsertOutcome::crowded);
    EXPECT_EQ(shard.table.stats().refused_crowded, 200 - inserted);
    EXPECT_NE(shard.insert(tcp_key(g1, 500, 1), 1), nullptr) << "others are not concerned";
    EXPECT_EQ(shard.check(), "");
}

TEST(Table, ScopesAreNamedAndCounted) {
    Shard shard({.records = 256, .scopes = 3});
    const std::uint32_t g1 = shard.scope("g1");
    EXPECT_EQ(shard.scope("g1"), g1) << "open again: the same";
    EXPECT_EQ(*shard.table.open_scope("g3", 2), 2u);
    EXPECT_EQ(shard.table.open_scope("g1", 1).error().code, Errc::conflict);
    EXPECT_EQ(shard.table.open_scope("other", 2).error().code, Errc::conflict);
    EXPECT_EQ(shard.table.open_scope("", 1).error().code, Errc::invalid);
    EXPECT_EQ(shard.table.open_scope(std::string(64, 'x'), 1).error().code, Errc::invalid);
    EXPECT_TRUE(shard.table.open_scope(std::string(63, 'x'), 1));
    EXPECT_EQ(shard.table.open_scope("fourth").error().code, Errc::limit);

    shard.insert(tcp_key(g1, 1, 1), 1);
    shard.insert(tcp_key(2, 1, 1), 1);
    EXPECT_EQ(shard.table.scope(g1)->records, 1u);
    const std::uint32_t incarnation = shard.table.scope(g1)->incarnation;
    shard.table.close_scope(g1);
    EXPECT_EQ(shard.table.scope(g1), nullptr);
    EXPECT_FALSE(shard.find(tcp_key(g1, 1, 1)));
    EXPECT_TRUE(shard.find(tcp_key(2, 1, 1)));
    EXPECT_EQ(shard.scope("new"), g1);
    EXPECT_GT(shard.table.scope(g1)->incarnation, incarnation);
    EXPECT_EQ(shard.check(), "");
}

TEST(Table, OwnerChangesWithoutTouchingRecords) {
    Shard shard({.records = 256, .scopes = 3});
    const std::uint32_t g1 = shard.scope("g1");
    FlowPair* pair = shard.insert(tcp_key(g1, 1, 1), 1);
    const FlowPair before = *pair;
    shard.table.set_owner(g1, 7);
    EXPECT_EQ(shard.table.owner(g1), 7u);
    EXPECT_EQ(std::memcmp(&before, pair, sizeof(before)), 0);
    Result<Table> second = Table::attach(shard.memory());
    ASSERT_TRUE(second);
    EXPECT_EQ(second->owner(g1), 7u);
    EXPECT_EQ(second->find(g1, pair->key.vni, pair->key.tuple, pair->hash()).pair, pair);
}

TEST(Table, VisitsTheRecordsOfOneScopeOnly) {
    Shard shard({.records = 1024, .scopes = 3});
    const std::uint32_t g1 = shard.scope("g1"), g2 = shard.scope("g2");
    for (std::uint32_t i = 0; i < 200; ++i) shard.insert(tcp_key(i % 2 == 0 ? g1 : g2, i, 1), 1);
    std::uint32_t seen = 0;
    shard.table.for_each(g1, [&](FlowPair& pair) {
        EXPECT_EQ(pair.key.scope, g1);
        ++seen;
        shard.table.erase(pair);
    });
    EXPECT_EQ(seen, 100u);
    EXPECT_EQ(shard.table.scope(g1)->slab_count, 0u) << "empty slabs go back";
    EXPECT_EQ(shard.table.size(), 100u);
    EXPECT_EQ(shard.check(), "");
}

TEST(Table, RefusesImpossibleLimits) {
    EXPECT_EQ(Table::bytes_needed({.records = max_records_of(16) + 1, .scopes = 1}), 0u);
    EXPECT_EQ(Table::bytes_needed({.records = 0, .scopes = 1}), 0u);
    Shard shard({.records = 64, .scopes = 1});
    EXPECT_FALSE(Table::create(shard.memory().first(1000), {.records = 64, .scopes = 1}, 0));
    EXPECT_FALSE(Table::create(shard.memory(), {.records = 64, .scopes = 1}, limits::max_workers));
    EXPECT_FALSE(Table::create(shard.memory().subspan(8), {.records = 64, .scopes = 1}, 0));
}

TEST(Table, WorkerAndSlotShareAHandle) {
    for (const std::uint32_t workers : {1u, 2u, 3u, 4u, 9u, 16u}) {
        const std::uint32_t worker = workers - 1;
        const TableLimits limits{.records = 128, .scopes = 1, .workers = workers};
        Shard shard(limits, worker);
        EXPECT_EQ(shard.table.slot_bits(), slot_bits_of(workers));
        const std::uint32_t g1 = shard.scope("g1");
        for (std::uint32_t i = 0; i < 100; ++i) {
            FlowPair* pair = shard.insert(tcp_key(g1, i, 1), 1);
            const std::uint32_t handle = shard.table.make_handle(*pair);
            EXPECT_EQ(shard.table.worker_of(handle), worker);
            EXPECT_EQ(shard.table.at_handle(handle), pair);
        }
        EXPECT_FALSE(Table::create(shard.memory(), limits, workers)) << "no such worker";
        AdoptReport report;
        ASSERT_TRUE(Table::open(shard.memory(), limits, worker, &report));
        EXPECT_FALSE(report.created);
    }
    const auto refused = [](const TableLimits& limits) {
        std::array<std::byte, 64> memory;
        return Table::create(memory, limits, 0).error().field;
    };
    EXPECT_EQ(refused({.records = (1u << 24) + 1, .scopes = 1, .workers = 1}), "records");
    EXPECT_EQ(refused({.records = (1u << 23) + 1, .scopes = 1, .workers = 2}), "records");
    EXPECT_EQ(refused({.records = 64, .scopes = 1, .workers = 17}), "workers");
}

constexpr TableLimits ten_million{.records = 10'000'000, .scopes = 1024, .workers = 1};

TEST(Table, AConnectionTakesAtMost320Bytes) {
    const std::size_t bytes = Table::bytes_needed(ten_million);
    ASSERT_NE(bytes, 0u);
    EXPECT_LE(bytes, 320u * 10'000'000u) << bytes / 10'000'000;
}

TEST(Table, ALargeTableIsTouchedAsItFills) {
    const std::size_t bytes = Table::bytes_needed(ten_million);
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_NE(at, MAP_FAILED);
    ::madvise(at, bytes, MADV_NOHUGEPAGE);
    const auto resident = [&] {
        std::vector<unsigned char> pages((bytes + 4095) / 4096);
        EXPECT_EQ(::mincore(at, bytes, pages.data()), 0);
        return static_cast<std::size_t>(
                   std::count_if(pages.begin(), pages.end(), [](auto p) { return p & 1; })) *
               4096;
    };
    {
        Result<Table> table =
            Table::create({static_cast<std::byte*>(at), bytes}, ten_million, 0, Contents::zero);
        ASSERT_TRUE(table);
        EXPECT_LT(resident(), 1u << 20);
        ASSERT_TRUE(table->open_scope("g1"));
        for (std::uint32_t i = 0; i < 10'000; ++i) {
            const Key key = udp_key(0, i, 1);
            ASSERT_NE(table->insert(key, net::symmetric_hash(key.tuple), 1), nullptr);
        }
        // A record has its page to itself at worst in the index, which is filled at random.
        EXPECT_LT(resident(), 10'000u * (256 + 4096) + (2u << 20));
        EXPECT_EQ(table->size(), 10'000u);
    }
    ::munmap(at, bytes);
}

TEST(Table, DecisionsForServicesFindRoomOrAreRefused) {
    Shard shard({.records = 128, .scopes = 1, .insertions = 2});
    const std::uint32_t g1 = shard.scope("g1");
    InsertionDecision plain, chained;
    plain.verdict = {ServiceVerdict::no_service, ServiceVerdict::no_service};
    plain.revision = 5;
    chained.verdict = {ServiceVerdict::redirect, ServiceVerdict::redirect};
    chained.revision = 6;
    std::vector<FlowPair*> flows;
    for (std::uint32_t i = 0; i < 100; ++i) {
        flows.push_back(shard.insert(tcp_key(g1, i, 1), 1));
        ASSERT_TRUE(shard.table.set_insertion(*flows.back(), plain)) << "takes no room";
        ASSERT_EQ(shard.table.insertion(*flows.back()), plain);
    }
    EXPECT_TRUE(shard.table.set_insertion(*flows[0], chained));
    EXPECT_TRUE(shard.table.set_insertion(*flows[1], chained));
    EXPECT_FALSE(shard.table.set_insertion(*flows[2], chained));
    EXPECT_EQ(shard.table.stats().refused_insertion, 1u);
    EXPECT_EQ(shard.table.insertion(*flows[2]), plain) << "as it was";
    shard.table.erase(*flows[0]);
    EXPECT_TRUE(shard.table.set_insertion(*flows[2], chained));
    EXPECT_TRUE(shard.table.set_insertion(*flows[1], {}));
    EXPECT_EQ(shard.table.insertion(*flows[1]).revision, 0u);
    EXPECT_TRUE(shard.table.set_insertion(*flows[3], chained));
    EXPECT_EQ(shard.check(), "");
}

TEST(Table, SmallestShardWorks) {
    Shard shard({.records = 1, .scopes = 1, .aliases = 1, .chunks = 1});
    const std::uint32_t g1 = shard.scope("g1");
    for (std::uint32_t i = 0; i < 64; ++i) ASSERT_NE(shard.insert(tcp_key(g1, i, 1), 1), nullptr);
    EXPECT_EQ(shard.table.capacity(), 64u);
    EXPECT_EQ(shard.check(), "");
}

// Of one burst: a packet is fetched for, another one begins a flow of a scope that has nothing to
// give, and takes a whole slab of the first one's.
TEST(Table, WhatIsGoneSinceItWasFetchedIsNotConfirmed) {
    Shard shard{{.records = 128, .scopes = 2}};
    const std::uint32_t poor = shard.scope("poor"), rich = shard.scope("rich");
    for (std::uint32_t i = 0; i < 64; ++i) {
        shard.insert(udp_key(poor, i, 1), 1'000'000);
        FlowPair* pair = shard.insert(tcp_key(rich, i, 1), 1'000'000);
        establish(*pair, 1'000'000);
        shard.table.refile(*pair, default_timeouts);
    }
    const Key key = udp_key(poor, 40, 1);
    const std::uint32_t hash = net::symmetric_hash(key.tuple);
    shard.table.begin_burst();
    Table::Probe probe;
    Table::Hit hit;
    shard.table.begin(probe, shard.table.scope_seed(poor, key.vni), hash);
    shard.table.fetch(probe, net::runs_upward(key.tuple), false, hit);
    ASSERT_NE(hit.pair, nullptr);
    InsertOutcome outcome;
    ASSERT_NE(shard.insert(tcp_key(rich, 900, 1), 2'000'000, &outcome), nullptr);
    ASSERT_FALSE(shard.find(key));
    EXPECT_FALSE(shard.table.confirm(hit, poor, key.vni, key.tuple));
    EXPECT_FALSE(shard.table.answer(hit, {poor, key.vni, &key.tuple, hash}));
}

}  // namespace
}  // namespace weir::flow
