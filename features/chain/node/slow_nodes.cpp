#include <algorithm>
#include <cstdio>

#include "features/chain/node/from_node_work.hpp"
#include "features/chain/node/node_watch.hpp"

// Limits of latency: who keeps to them is judged by each worker, from the packets it timed.
namespace weir::chain {
namespace {

using dataplane::Emit;

constexpr std::uint64_t tell_again_ns = 30'000'000'000;

void tell(Emit& emit, const LocalNode& node, const SlowWatch& watch, bool again) {
    char text[256];
    const int n =
        std::snprintf(text, sizeof text,
                      R"({"event":"%s","node":"%s","node_id":%u,"p99_us":%llu,"limit_us":%u%s})",
                      watch.slow() ? "node-slow" : "node-fast", node.name.c_str(), node.id,
                      static_cast<unsigned long long>(watch.p99_us()), node.latency_limit_us,
                      again ? R"(,"again":true)" : "");
    if (n > 0 && static_cast<std::size_t>(n) < sizeof text)
        emit.event({text, static_cast<std::size_t>(n)});
}

}  // namespace

// What is slow is told again: another worker that sees fewer packets may have thought otherwise.
// What is fast is told once, as somebody may remember it as slow from before, unless another worker
// finds it slow.
void FromNode::tick(const Tables& table, State& state, dataplane::Exits<Exit>&, Emit& emit) {
    state.arrange(table, emit.now_ns);
    from::tell_refusals(table, state, emit);
    // What an engine before this one found, of packets that are gone, counts for nobody's load.
    const bool bound = state.binding.follow(table, true);
    const bool again = emit.now_ns - state.slow_told_ns >= tell_again_ns;
    if (again) state.slow_told_ns = emit.now_ns;
    for (std::size_t n = 0; n < table.nodes.size(); ++n) {
        const LocalNode& node = table.nodes[n];
        SlowWatch& watch = state.slow[n];
        const auto change = watch.look(state.latency[n].count, node.latency_limit_us, emit.now_ns);
        if (bound)
            state.binding.tally(n).p99_us.store(static_cast<std::uint32_t>(watch.recent_p99_us()),
                                                std::memory_order_relaxed);
        std::uint64_t& from = state.slow_from_ns[n];
        const bool states = from != 0 && emit.now_ns - from >= settled_ns;
        const bool others_mind = bound && node.latency_limit_us != 0 &&
                                 state.binding.slot(n).p99_us() > node.latency_limit_us;
        if (states) from = 0;
        if (change != SlowWatch::Change::none) tell(emit, node, watch, false);
        else if (watch.slow() ? again : states && !others_mind) tell(emit, node, watch, true);
    }
}

}  // namespace weir::chain
