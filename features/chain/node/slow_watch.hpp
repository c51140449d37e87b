#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "features/chain/anchor/symmetry.hpp"

namespace weir::chain {

// How long packets take through a node: bucket i counts those below 2^i µs, the last one all that
// take longer.
inline constexpr std::size_t latency_buckets = 24;

constexpr std::size_t latency_bucket(std::uint64_t ns) {
    std::size_t i = 0;
    while (i + 1 < latency_buckets && ns >= 1000ull << i) ++i;
    return i;
}

// When a packet was given to its node, or two nanoseconds before. The lowest bit says whether its
// flow is one of those that are watched at every hop, in both directions, on every host
// (Symmetry::watches()).
inline std::uint64_t timed_at(const net::Smd& smd, std::uint64_t now_ns) {
    return ((now_ns - 1) & ~std::uint64_t{1}) | (Symmetry::watches(smd) ? 1u : 0u);
}
constexpr bool is_watched(std::uint64_t timed_ns) {
    return (timed_ns & 1) != 0;
}

// Whether a node keeps to its limit: judges what was counted in five seconds, by the 99th
// percentile, rounded up to the bucket's end. Two windows in a row above the limit and the node is
// slow, two below and it is not any more. Windows with few packets say nothing, unless they are few
// because they took so long: one at a time is timed. A slow node that half a minute passes without
// them is given another chance. Pure.
class SlowWatch {
public:
    using Counts = std::array<std::uint64_t, latency_buckets>;
    static constexpr std::uint64_t window_ns = 5'000'000'000;
    static constexpr std::uint64_t least = 50;  // packets in a window,
    static constexpr std::uint64_t least_us = window_ns / 1000 / 4;  // or what they took together
    enum class Change : std::uint8_t { none = 0, slow, fast };

    // `counts`: all there have been; less than before: they were counted anew. Call it often;
    // `limit_us` 0: there is none.
    Change look(const Counts& counts, std::uint32_t limit_us, std::uint64_t now_ns) {
        if (limit_us == 0) {
            const bool was = slow_;
            *this = {};
            return was ? Change::fast : Change::none;
        }
        if (from_ns_ == 0 || began_anew(counts)) return start(counts, now_ns);
        if (now_ns - from_ns_ < window_ns) return Change::none;
        const std::uint64_t p99 = percentile(counts);
        start(counts, now_ns);
        if (p99 == 0) {
            quiet_ = std::min<std::uint8_t>(quiet_ + 1, quiet_windows);
            return slow_ && quiet_ == quiet_windows ? become(false) : Change::none;
        }
        quiet_ = 0;
        p99_us_ = p99;
        const bool above = p99 > limit_us;
        in_a_row_ = above == slow_ ? std::uint8_t{0} : static_cast<std::uint8_t>(in_a_row_ + 1);
        return in_a_row_ < 2 ? Change::none : become(above);
    }
    bool slow() const { return slow_; }
    std::uint64_t p99_us() const { return p99_us_; }  // of the last window that said something
    std::uint64_t recent_p99_us() const { return quiet_ == 0 ? p99_us_ : 0; }

private:
    static constexpr std::uint8_t quiet_windows = 6;
    Change become(bool slow) {
        in_a_row_ = 0;
        slow_ = slow;
        return slow ? Change::slow : Change::fast;
    }
    Change start(const Counts& counts, std::uint64_t now_ns) {
        before_ = counts;
        from_ns_ = now_ns;
        return Change::none;
    }
    bool began_anew(const Counts& counts) const {
        for (std::size_t i = 0; i < counts.size(); ++i)
            if (counts[i] < before_[i]) return true;
        return false;
    }
    std::uint64_t percentile(const Counts& counts) const {
        std::uint64_t total = 0, below = 0, took_us = 0;
        for (std::size_t i = 0; i < counts.size(); ++i) {
            total += counts[i] - before_[i];
            took_us += (counts[i] - before_[i]) * (std::uint64_t{1} << i) / 2;  // at least
        }
        if (total < least && took_us < least_us) return 0;
        for (std::size_t i = 0; i < counts.size(); ++i) {
            below += counts[i] - before_[i];
            if (below * 100 >= total * 99) return std::uint64_t{1} << i;
        }
        return std::uint64_t{1} << (counts.size() - 1);
    }

    Counts before_{};
    std::uint64_t from_ns_ = 0, p99_us_ = 0;
    std::uint8_t in_a_row_ = 0, quiet_ = 0;
    bool slow_ = false;
};

}  // namespace weir::chain
