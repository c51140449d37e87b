// What the first packet of a flow pays for the rules there are, and what a change of them costs.
#include <benchmark/benchmark.h>

#include <functional>
#include <memory>

#include "dataplane/rule_index.hpp"
#include "dataplane/test_rules.hpp"

namespace weir::dataplane {
namespace {

constexpr std::size_t flows = 1 << 14;

struct Prepared {
    explicit Prepared(benchmark::State& state, bool hits) : rules(std::make_unique<TestRules>(7)) {
        const auto n = static_cast<std::uint32_t>(state.range(0));
        rules->make_data_centre(n);
        for (std::size_t i = 0; i < flows; ++i)
            tuples.push_back(hits ? rules->tuple_for(rules->matches[rules->pick(n)])
                                  : rules->unwanted_tuple());
    }
    std::unique_ptr<TestRules> rules;
    std::vector<net::Tuple> tuples;
};

void look_up(benchmark::State& state, bool hits,
             const std::function<std::uint32_t(const net::Tuple&)>& find,
             const std::vector<net::Tuple>& tuples) {
    std::size_t i = 0, found = 0;
    for (auto _ : state) {
        found += find(tuples[i]) != RuleIndex::none;
        i = (i + 1) % flows;
    }
    state.SetItemsProcessed(state.iterations());
    state.counters["found"] = static_cast<double>(found) / static_cast<double>(state.iterations());
    if (hits && found == 0) state.SkipWithError("no flow met a rule");
}

void find_indexed(benchmark::State& state) {
    const bool hits = state.range(1) != 0;
    const Prepared prepared(state, hits);
    const RuleIndex index(prepared.rules->order);
    look_up(
        state, hits, [&](const net::Tuple& tuple) { return index.find(tuple, true); },
        prepared.tuples);
    state.counters["bytes"] = static_cast<double>(index.bytes());
}
BENCHMARK(find_indexed)
    ->ArgNames({"rules", "hits"})
    ->ArgsProduct({{1, 100, 1'000, 10'000, 60'000, 120'000}, {1, 0}});

void find_one_by_one(benchmark::State& state) {
    const bool hits = state.range(1) != 0;
    const Prepared prepared(state, hits);
    look_up(
        state, hits,
        [&](const net::Tuple& tuple) {
            for (std::uint32_t i = 0; i < prepared.rules->matches.size(); ++i)
                if (prepared.rules->matches[i].matches(tuple, true)) return i;
            return RuleIndex::none;
        },
        prepared.tuples);
}
BENCHMARK(find_one_by_one)
    ->ArgNames({"rules", "hits"})
    ->ArgsProduct({{1, 100, 1'000, 10'000}, {1, 0}});

void build(benchmark::State& state) {
    TestRules rules(7);
    rules.make_data_centre(static_cast<std::uint32_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(RuleIndex(rules.order));
}
BENCHMARK(build)->Arg(100)->Arg(1'000)->Arg(10'000)->Arg(120'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weir::dataplane
