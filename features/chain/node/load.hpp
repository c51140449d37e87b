#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

// How busy a service node is, and what that means for its share of new flows (spec service-plane
// PS-6). Pure; loads are thousandths.
namespace weir::chain {

inline constexpr std::uint32_t whole_load = 1000;
inline constexpr std::uint32_t spill_load = 900;  // PS-3

// What is left of a weight: max(0.05, 1 - load), in thousandths.
inline std::uint32_t load_factor(std::uint32_t load) {
    constexpr std::uint32_t least = 50;
    return load + least >= whole_load ? least : whole_load - load;
}

// What a node was given in `seconds` and holds, and what it can take; 0: not said.
struct NodeUse {
    double seconds = 0;
    std::uint64_t packets = 0, bytes = 0;
    std::uint64_t contexts = 0;  // in use, one for each direction of a flow
    std::uint64_t p99_us = 0;    // how long packets take through it
    std::uint64_t capacity_pps = 0, capacity_mbps = 0, capacity_contexts = 0, limit_us = 0;
};

// Of the fullest of these: 1 when the node takes as much as it can.
inline double utilisation(const NodeUse& use) {
    const auto part = [](double is, double most) { return most > 0 ? is / most : 0.0; };
    const auto number = [](std::uint64_t n) { return static_cast<double>(n); };
    if (use.seconds <= 0) return 0;
    const double rate = part(number(use.packets) / use.seconds, number(use.capacity_pps));
    const double bits =
        part(number(use.bytes) * 8 / use.seconds, number(use.capacity_mbps) * 1e6);
    const double held = part(number(use.contexts), number(use.capacity_contexts));
    const double slow = part(number(use.p99_us), number(use.limit_us));
    return std::max({rate, bits, held, slow});
}

// A moving average of one sample a second, and when the rest of the world should hear of it. Zeroed
// memory is a valid start.
class NodeLoad {
public:
    // `utilisation`: 1 when the node takes as much as it said it can.
    void sample(double utilisation) {
        average_ += (std::clamp(utilisation, 0.0, 2.0) - average_) * share_of_new;
    }
    std::uint32_t load() const {
        return static_cast<std::uint32_t>(std::lround(std::min(average_, 1.0) * whole_load));
    }
    // The load, if it is to be told now: at most each five seconds, and when the factor is another
    // by more than a tenth. `state`: in any case.
    std::optional<std::uint32_t> tell(std::uint64_t now_ns, bool state = false) {
        const std::uint32_t before = load_factor(told_), now = load_factor(load());
        const std::uint32_t apart = before > now ? before - now : now - before;
        const bool soon = told_ns_ != 0 && now_ns - told_ns_ < quiet_ns;
        if (!state && (soon || apart * 10 <= before)) return std::nullopt;
        told_ns_ = now_ns;
        told_ = load();
        return told_;
    }

private:
    static constexpr double share_of_new = 0.3;
    static constexpr std::uint64_t quiet_ns = 5'000'000'000;
    double average_ = 0;
    std::uint32_t told_ = 0;
    std::uint64_t told_ns_ = 0;
};

}  // namespace weir::chain
