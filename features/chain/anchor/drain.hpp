#pragma once
#include <array>
#include <cstdint>

#include "dataplane/health.hpp"
#include "features/chain/plane.hpp"

namespace weir::chain {

// Paths in maintenance with a deadline: when it has passed they count as failed, and the flows that
// are still on them get other paths (spec service-plane §5.5). The time begins when this host first
// sees the maintenance.
struct Drains {
    static constexpr std::size_t capacity = 256;
    struct One {
        std::uint64_t path = 0;  // FailedPaths::key(); 0: free
        std::uint64_t deadline_ns = 0;
        bool seen = false;  // in this round
    };
    std::array<One, capacity> ones{};
    bool active = false;  // some of them are in use
    std::uint64_t looked_ns = 0;

    // Costs nothing but ten times a second.
    void look(const Plane& plane, dataplane::HealthBoard& health, std::uint64_t now_ns);
};

}  // namespace weir::chain
