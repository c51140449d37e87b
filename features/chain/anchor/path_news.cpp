#include <algorithm>
#include <cstdio>

#include "features/chain/anchor/insert.hpp"
#include "features/chain/anchor/selection.hpp"

// Events of paths that become unusable for flows of this host, and of chains that have none left,
// so that their failure policy counts (spec service-plane §12.4).
namespace weir::chain {
namespace {

using dataplane::Emit;
using Told = Insert::Told;

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t chain_pause_ns = 10 * second_ns;  // between events of one chain
constexpr unsigned paths_a_look = 32;                     // that are told of; others follow

void say(Emit& emit, const char* text, int n, std::size_t room) {
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), room - 1)});
}

void tell_path(Emit& emit, const Path& path, bool usable) {
    char text[256];
    const int n =
        std::snprintf(text, sizeof text,
                      R"({"event":"%s","path":"%.63s","chain":"%.63s","svni":%u,"spi":%u})",
                      usable ? "path-up" : "path-down", path.name.c_str(), path.chain.c_str(),
                      path.svni, path.spi);
    say(emit, text, n, sizeof text);
}

void tell_chain(Emit& emit, const Chain& chain, bool whole) {
    char text[256];
    const int n = std::snprintf(
        text, sizeof text, R"({"event":"%s","chain":"%.63s","sci":%u,"failure_policy":"%s"})",
        whole ? "chain-whole" : "chain-failing", chain.name.c_str(), chain.sci,
        std::string(model::enum_name(chain.failure_policy)).c_str());
    say(emit, text, n, sizeof text);
}

// Nothing is said of a path that was never seen otherwise than usable.
void look_at(const Path& path, const Plane& plane, Insert::State& state, unsigned& left,
             bool& pending, Emit& emit) {
    Insert::PathCounters& one = state.paths[std::uint64_t{path.svni} << 24 | path.spi];
    if (&one == &state.paths.others()) return;
    const bool usable = is_usable(path, plane.host_id, *emit.health);
    const Told now = usable ? Told::good : Told::bad;
    if (now == one.told || (usable && one.told == Told::nothing)) return;
    if (left == 0) {
        pending = true;
        return;
    }
    --left;
    one.told = now;
    tell_path(emit, path, usable);
}

// What lasts a second is told, and then not for ten: the last word counts. A path on demand comes
// with the first flow.
void look_at(const Chain& chain, const Plane& plane, Insert::State& state, bool& pending,
             Emit& emit) {
    Insert::ChainCounters& one = state.chains[chain.sci];
    if (&one == &state.chains.others()) return;
    const bool whole = (chain.on_demand && chain.paths.empty()) ||
                       select_path(chain, plane.host_id, *emit.health, 0) != nullptr;
    const Told now = whole ? Told::good : Told::bad;
    if (now == one.told || (whole && one.told == Told::nothing)) {
        one.differs_ns = 0;
        return;
    }
    pending = true;
    if (one.differs_ns == 0) one.differs_ns = emit.now_ns;
    if (emit.now_ns - one.differs_ns < second_ns ||
        (one.told_ns != 0 && emit.now_ns - one.told_ns < chain_pause_ns))
        return;
    one.told = now;
    one.told_ns = emit.now_ns;
    one.differs_ns = 0;
    tell_chain(emit, chain, whole);
}

}  // namespace

void tell_path_news(const Plane& plane, Insert::State& state, Emit& emit) {
    Insert::News& news = state.news;
    if (news.looked_ns != 0 && emit.now_ns - news.looked_ns < second_ns) return;
    news.looked_ns = emit.now_ns;
    const std::uint32_t generation = emit.health->generation.load(std::memory_order_acquire);
    if (!news.pending && news.plane == &plane && news.generation == generation) return;
    news = {emit.now_ns, &plane, generation, false};
    unsigned left = paths_a_look;
    for (const Chain& chain : plane.chains) {
        look_at(chain, plane, state, news.pending, emit);
        for (const Path& path : chain.paths) look_at(path, plane, state, left, news.pending, emit);
    }
}

}  // namespace weir::chain
