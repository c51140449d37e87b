// What a flow costs: finding one among 1 k, 100 k and 1 M, making one, losing one to age.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>

#include "flow/tcp.hpp"
#include "flow/testing.hpp"

namespace weir::flow {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

struct Filled {
    explicit Filled(std::uint32_t flows)
        : shard({.records = std::max(flows, 64u), .scopes = 1, .workers = 1}),
          scope(shard.scope("g1")) {
        keys.reserve(flows);
        for (std::uint32_t i = 0; i < flows; ++i) {
            keys.push_back(udp_key(scope, i, 1));
            shard.insert(keys.back(), second + i);
        }
        std::mt19937 random{1};
        std::shuffle(keys.begin(), keys.end(), random);
        hashes.reserve(flows);
        for (const Key& key : keys) hashes.push_back(net::symmetric_hash(key.tuple));
    }
    Shard shard;
    std::uint32_t scope;
    std::vector<Key> keys;
    std::vector<std::uint32_t> hashes;
};

void find_hit(benchmark::State& state) {
    Filled filled(static_cast<std::uint32_t>(state.range(0)));
    std::size_t i = 0;
    for (auto _ : state) {
        const Key& key = filled.keys[i];
        benchmark::DoNotOptimize(
            filled.shard.table.find(key.scope, key.vni, key.tuple, filled.hashes[i]).pair);
        if (++i == filled.keys.size()) i = 0;
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(find_hit)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

// A burst of 32, touched as a packet would.
void find_bulk_and_touch(benchmark::State& state) {
    Filled filled(static_cast<std::uint32_t>(state.range(0)));
    std::array<Table::Query, limits::max_burst> queries;
    std::array<Table::Hit, limits::max_burst> hits;
    std::size_t i = 0;
    for (auto _ : state) {
        for (Table::Query& query : queries) {
            const Key& key = filled.keys[i];
            query = {key.scope, key.vni, &key.tuple, filled.hashes[i]};
            if (++i == filled.keys.size()) i = 0;
        }
        filled.shard.table.begin_burst();
        filled.shard.table.find_bulk(queries, hits);
        for (const Table::Hit& hit : hits)
            filled.shard.table.touch(*hit.pair, hit.direction, default_timeouts, 2 * second);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(limits::max_burst));
}
BENCHMARK(find_bulk_and_touch)->Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Arg(10'000'000);

void find_miss(benchmark::State& state) {
    Filled filled(static_cast<std::uint32_t>(state.range(0)));
    std::size_t i = 0;
    for (auto _ : state) {
        const Key& key = filled.keys[i];
        benchmark::DoNotOptimize(
            filled.shard.table.find(key.scope, key.vni + 1, key.tuple, filled.hashes[i]).pair);
        if (++i == filled.keys.size()) i = 0;
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(find_miss)->Arg(1'000)->Arg(1'000'000);

void insert_and_erase(benchmark::State& state) {
    const auto flows = static_cast<std::uint32_t>(state.range(0));
    Filled filled(flows);
    std::size_t i = 0;
    for (auto _ : state) {
        const Key& key = filled.keys[i];
        filled.shard.table.erase(
            *filled.shard.table.find(key.scope, key.vni, key.tuple, filled.hashes[i]).pair);
        benchmark::DoNotOptimize(filled.shard.table.insert(key, filled.hashes[i], 2 * second));
        if (++i == filled.keys.size()) i = 0;
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(insert_and_erase)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

// A new UDP flow in every packet, and as many old ones that age out: one item is one of both.
void new_flow_in_every_packet(benchmark::State& state) {
    const auto live = static_cast<std::uint32_t>(state.range(0));
    Shard shard({.records = live + live / 8, .scopes = 1, .workers = 1});
    const std::uint32_t scope = shard.scope("g1");
    const std::uint64_t step = 60 * second / live;  // flows end after 60 s
    std::uint64_t now = second;
    std::uint32_t i = 0;
    const auto burst = [&] {
        std::array<Key, limits::max_burst> keys;
        std::array<Table::Query, limits::max_burst> queries;
        std::array<Table::Hit, limits::max_burst> hits;
        shard.table.begin_burst();
        for (std::size_t n = 0; n < keys.size(); ++n, ++i) {
            keys[n] = udp_key(scope, i & 0x3ffffff, 1);
            queries[n] = {scope, keys[n].vni, &keys[n].tuple, net::symmetric_hash(keys[n].tuple)};
        }
        shard.table.find_bulk(queries, hits);
        for (std::size_t n = 0; n < keys.size(); ++n) {
            now += step;
            benchmark::DoNotOptimize(shard.table.insert(keys[n], queries[n].hash, now));
        }
        shard.table.age(now, 256);
    };
    for (std::uint32_t n = 0; n < 2 * live; n += limits::max_burst) burst();
    for (auto _ : state) burst();
    if (shard.table.stats().refused_full != 0) state.SkipWithError("the table was full");
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(limits::max_burst));
    state.counters["live"] = static_cast<double>(shard.table.size());
}
BENCHMARK(new_flow_in_every_packet)->Arg(100'000)->Arg(1'000'000);

// Each insert into a full table of half-open flows evicts one.
void insert_evicting(benchmark::State& state) {
    Shard shard({.records = static_cast<std::uint32_t>(state.range(0)), .scopes = 1});
    const std::uint32_t scope = shard.scope("g1");
    std::uint32_t i = 0;
    for (auto _ : state) {
        ++i;
        const Key key = tcp_key(scope, i & 0xfffff, i >> 20);
        benchmark::DoNotOptimize(shard.insert(key, second + i));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(insert_evicting)->Arg(65'536);

// One timer looked at: half of the flows are due, half were seen since and are armed anew.
void age(benchmark::State& state) {
    const auto flows = static_cast<std::uint32_t>(state.range(0));
    for (auto _ : state) {
        state.PauseTiming();
        Filled filled(flows);
        for (std::size_t i = 0; i < flows; i += 2) {
            const auto hit = filled.shard.find(filled.keys[i]);
            filled.shard.table.touch(*hit.pair, 0, default_timeouts, 50 * second);
        }
        state.ResumeTiming();
        benchmark::DoNotOptimize(filled.shard.table.age(63 * second, ~std::size_t{0}));
        state.PauseTiming();
        if (filled.shard.table.size() != flows / 2) state.SkipWithError("not half of them expired");
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * flows);
}
BENCHMARK(age)->Arg(100'000)->Unit(benchmark::kMillisecond);

void age_when_nothing_is_due(benchmark::State& state) {
    Filled filled(100'000);
    std::uint64_t now = 2 * second;
    for (auto _ : state) {
        now += 1'000;
        if (now > 50 * second) now = 2 * second;
        benchmark::DoNotOptimize(filled.shard.table.age(now, 64));
    }
}
BENCHMARK(age_when_nothing_is_due);

// A second of a table that holds nothing but idle established connections (2 h): 60 ticks, and the
// timers that happen to move between the levels of the wheel.
void age_a_second_of_idle_connections(benchmark::State& state) {
    const auto flows = static_cast<std::uint32_t>(state.range(0));
    Shard shard({.records = flows, .scopes = 1, .workers = 1});
    const std::uint32_t scope = shard.scope("g1");
    std::uint64_t now = second;
    for (std::uint32_t i = 0; i < flows; ++i) {
        now += 7000 * second / flows;
        FlowPair* pair = shard.insert(tcp_key(scope, i, 1), now);
        pair->tcp = TcpState::established;
        shard.table.touch(*pair, 0, default_timeouts, now);
        if (i % 64 == 0) shard.table.age(now, 4096);
    }
    // Packets of all of them since: timers that come are armed anew, none expires.
    shard.table.for_each(scope, [&](FlowPair& pair) { pair.hot[0].last_seen_ns = now; });
    for (auto _ : state) {
        for (int tick = 0; tick < 60; ++tick) {
            now += second / 60;
            shard.table.age(now, 256);
        }
        if (now > 14'000 * second) state.SkipWithError("too long: connections begin to end");
    }
    if (shard.table.size() != flows) state.SkipWithError("idle connections were lost");
}
BENCHMARK(age_a_second_of_idle_connections)
    ->Arg(100'000)
    ->Arg(10'000'000)
    ->Iterations(300)
    ->Unit(benchmark::kMicrosecond);

void adopt_after_crash(benchmark::State& state) {
    Filled filled(static_cast<std::uint32_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(Table::adopt(filled.shard.memory()).ok());
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(adopt_after_crash)->Arg(65'536)->Unit(benchmark::kMillisecond);

void track_established(benchmark::State& state) {
    FlowPair pair;
    pair.key.tuple.proto = 6;
    TcpSegment segment;
    segment.flags = tcp_ack;
    segment.payload_bytes = 1448;
    segment.window = 65535;
    adopt_midflow(pair, 0, segment);
    for (auto _ : state) {
        segment.sequence += 1448;
        benchmark::DoNotOptimize(track(pair, 0, segment).verdict);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(track_established);

}  // namespace
}  // namespace weir::flow
