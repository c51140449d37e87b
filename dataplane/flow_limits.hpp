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
    bool is_used_up(const FlowLimits& limits, std::uint64_t now_ns) const {
        return limits.interval_ns != 0 && used_until_ns_ > now_ns + limits.burst_ns;
    }
    void begin(const FlowLimits& limits, std::uint32_t workers, std::uint64_t now_ns) {
        if (limits.interval_ns == 0) return;
        used_until_ns_ = std::max(used_until_ns_, now_ns) + limits.interval_ns * workers;
    }

private:
    std::uint64_t used_until_ns_ = 0;
};

}  // namespace weir::dataplane
