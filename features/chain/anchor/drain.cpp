#include "features/chain/anchor/drain.hpp"

#include <utility>

#include "features/chain/hop/stale.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000, round_ns = 100'000'000;

Drains::One* place_of(Drains& drains, std::uint64_t path) {
    Drains::One* free = nullptr;
    for (Drains::One& one : drains.ones) {
        if (one.path == path) return &one;
        if (one.path == 0 && !free) free = &one;
    }
    return free;
}

}  // namespace

void Drains::look(const Plane& plane, dataplane::HealthBoard& health, std::uint64_t now_ns) {
    if (looked_ns != 0 && now_ns - looked_ns < round_ns) return;
    looked_ns = now_ns;
    if (active)
        for (One& one : ones) one.seen = false;
    const bool was_active = std::exchange(active, false);
    for (const Chain& chain : plane.chains) {
        for (const Path& path : chain.paths) {
            if (!path.maintenance || path.drain_s == 0) continue;
            const std::uint64_t key = dataplane::FailedPaths::key(path.svni, path.spi);
            One* one = place_of(*this, key);
            if (!one) continue;
            if (one->path != key) *one = {key, now_ns + path.drain_s * second_ns, true};
            one->seen = active = true;
            // Renewed each round, so that it ends soon after the maintenance does.
            if (now_ns >= one->deadline_ns)
                health.fail_path(path.svni, path.spi, now_ns + second_ns,
                                 static_cast<std::uint8_t>(StaleReason::drained));
        }
    }
    if (!was_active) return;
    for (One& one : ones)
        if (!one.seen) one = {};
}

}  // namespace weir::chain
