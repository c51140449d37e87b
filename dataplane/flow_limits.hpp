#pragma once
#include <algorithm>
#include <cstdint>

namespace weir::dataplane {

// What a port may take of the flow table (resource `flow-limits`).
struct FlowLimits {
    std::uint32_t max_flows = 0;    // of both ways, on all workers; 0: no limit
    std::uint64_t interval_ns = 0;  // between flows that its guest begins; 0: no limit
    std::uint64_t burst_ns = 0;     // how far they may run ahead of that

    std::uint32_t max_per_worker(std::uint32_t workers) const {
        return max_flows / workers + (max_flows % workers != 0);
    }
};

// The flows that a port's guest began lately, on one worker: the time for which they use its rate
// up (GCRA). Workers share nothing, so each has its part of the rate, and of the burst.
class FlowBudget {
public:
    // What ran ahead under a larger burst or a lower rate is no debt under others.
    bool is_used_up(const FlowLimits& limits, std::uint32_t workers, std::uint64_t now_ns) {
        if (limits.interval_ns == 0) return false;
        const std::uint64_t full = now_ns + limits.burst_ns;
        used_until_ns_ = std::min(used_until_ns_, full + limits.interval_ns * workers);
        return used_until_ns_ > full;
    }
    void begin(const FlowLimits& limits, std::uint32_t workers, std::uint64_t now_ns) {
        if (limits.interval_ns == 0) return;
        used_until_ns_ = std::max(used_until_ns_, now_ns) + limits.interval_ns * workers;
    }

private:
    std::uint64_t used_until_ns_ = 0;
};

}  // namespace weir::dataplane
