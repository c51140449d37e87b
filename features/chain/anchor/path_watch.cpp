#include <algorithm>
#include <cstdio>

#include "features/chain/anchor/insert.hpp"
#include "features/chain/hop/stale.hpp"

// Whether paths keep to the limits of their chain (`latency_limit_us`, `loss_limit_permille`), as
// each worker of their anchor sees it.
namespace weir::chain {
namespace {

using dataplane::Emit;

constexpr std::uint64_t look_ns = 1'000'000'000;
constexpr std::uint64_t avoid_ns = 2 * look_ns;  // renewed as long as it lasts

void tell(Emit& emit, const char* event, const Path& path, std::uint64_t is, std::uint32_t limit) {
    char text[256];
    const int n = std::snprintf(
        text, sizeof text,
        R"({"event":"%s","path":"%.63s","chain":"%.63s","spi":%u,"is":%llu,"limit":%u})", event,
        path.name.c_str(), path.chain.c_str(), path.spi, static_cast<unsigned long long>(is),
        limit);
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

void look_at(const Chain& chain, const Path& path, Insert::State& state, Emit& emit) {
    const std::uint64_t number = std::uint64_t{path.svni} << 24 | path.spi;
    const std::optional<PathTime> time = state.times.find(number);
    PathWatch::One* one = time ? state.watch.at(number) : nullptr;
    if (!one) return;
    using Slow = SlowWatch::Change;
    using Loss = LossWatch::Change;
    const Slow slow = one->slow.look(time->count, chain.latency_limit_us, emit.now_ns);
    const Loss loss = one->loss.look(time->sent, time->returned, chain.loss_limit, emit.now_ns);
    if (slow != Slow::none)
        tell(emit, slow == Slow::slow ? "path-slow" : "path-fast", path, one->slow.p99_us(),
             chain.latency_limit_us);
    if (loss != Loss::none)
        tell(emit, loss == Loss::lossy ? "path-lossy" : "path-whole", path, one->loss.loss(),
             chain.loss_limit);
    if (chain.drain && (one->slow.slow() || one->loss.lossy()))
        emit.health->avoided_paths().add(path.svni, path.spi, emit.now_ns + avoid_ns,
                                         static_cast<std::uint8_t>(StaleReason::drained));
}

bool has_limits(const Chain& chain) {
    return chain.latency_limit_us != 0 || chain.loss_limit != 0;
}

// Whether one of those chains that flows of this host may have has the path.
template <class F>
bool knows(const Plane& plane, std::uint64_t number, F&& which) {
    return std::ranges::any_of(plane.chains, [&](const Chain& chain) {
        return chain.svni == number >> 24 && which(chain) &&
               chain.path(static_cast<std::uint32_t>(number & 0xffffff)) != nullptr;
    });
}

// What is not there any more makes room for others.
void forget_paths(const Plane& plane, Insert::State& state, std::uint64_t now_ns) {
    state.times.forget(now_ns, [&](std::uint64_t number) {
        return knows(plane, number, [](const Chain&) { return true; });
    });
    state.watch.forget([&](std::uint64_t number) { return knows(plane, number, has_limits); });
}

}  // namespace

void watch_paths(const Plane& plane, Insert::State& state, Emit& emit) {
    if (state.watch.looked_ns != 0 && emit.now_ns - state.watch.looked_ns < look_ns) return;
    state.watch.looked_ns = emit.now_ns;
    forget_paths(plane, state, emit.now_ns);
    for (const Chain& chain : plane.chains)
        if (has_limits(chain))
            for (const Path& path : chain.paths) look_at(chain, path, state, emit);
}

}  // namespace weir::chain
