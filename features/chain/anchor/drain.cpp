#include "features/chain/anchor/drain.hpp"

#include "features/chain/hop/stale.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000, round_ns = 100'000'000;

// The engine before this one may have seen the deadline pass.
bool is_drained(const dataplane::HealthBoard& health, const Path& path) {
    return health.failed_paths().reason(path.svni, path.spi) ==
           static_cast<std::uint8_t>(StaleReason::drained);
}

}  // namespace

void Drains::look(const Plane& plane, dataplane::HealthBoard& health, std::uint64_t now_ns) {
    if (looked_ns != 0 && now_ns - looked_ns < round_ns) return;
    looked_ns = now_ns;
    for (const Chain& chain : plane.chains) {
        for (const Path& path : chain.paths) {
            if (!path.maintenance || path.drain_s == 0) continue;
            One& one = ones[dataplane::FailedPaths::key(path.svni, path.spi)];
            if (one.deadline_ns == 0)
                one.deadline_ns =
                    now_ns + (is_drained(health, path) ? 0 : path.drain_s * second_ns);
            one.seen_ns = now_ns;
            if (now_ns < one.deadline_ns) continue;
            // Renewed each round, so that it ends soon after the maintenance does.
            health.fail_path(path.svni, path.spi, now_ns + second_ns,
                             static_cast<std::uint8_t>(StaleReason::drained));
            refused += !health.failed_paths().contains(path.svni, path.spi);
        }
    }
    std::erase_if(ones, [&](const auto& row) { return row.second.seen_ns != now_ns; });
}

}  // namespace weir::chain
