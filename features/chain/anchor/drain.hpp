#pragma once
#include <cstdint>
#include <unordered_map>

#include "dataplane/health.hpp"
#include "features/chain/plane.hpp"

namespace weir::chain {

// Paths in maintenance with a deadline: when it has passed they count as failed, and the flows that
// are still on them get other paths (spec service-plane §5.5). The time begins when this host first
// sees the maintenance. As many as there are paths: they are few, and only what begins or ends
// takes memory.
struct Drains {
    struct One {
        std::uint64_t deadline_ns = 0;
        std::uint64_t seen_ns = 0;  // in which round
    };
    std::unordered_map<std::uint64_t, One> ones;  // by FailedPaths::key()
    std::uint64_t looked_ns = 0;
    std::uint64_t refused = 0;  // deadlines that passed and found no room among the failed paths

    // Costs nothing but ten times a second.
    void look(const Plane& plane, dataplane::HealthBoard& health, std::uint64_t now_ns);
};

}  // namespace weir::chain
