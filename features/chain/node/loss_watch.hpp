#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::chain {

// How many packets of a thousand go in and do not come out: judged in windows of five seconds, two
// in a row above the limit or below it, like latency (slow_watch.hpp). Windows with few packets say
// nothing, but half a minute of them is another chance. Pure.
class LossWatch {
public:
    static constexpr std::uint64_t window_ns = 5'000'000'000;
    static constexpr std::uint64_t least = 50;  // packets in a window
    // Upper ends of the histogram's buckets, thousandths.
    static constexpr std::array<std::uint32_t, 10> bounds = {0,  1,  2,   5,   10,
                                                             20, 50, 100, 500, 1000};
    enum class Change : std::uint8_t { none = 0, lossy, whole };

    // `in`, `out`: all there have been; less than before: they were counted anew. Call it often;
    // `limit` 0: there is none.
    Change look(std::uint64_t in, std::uint64_t out, std::uint32_t limit, std::uint64_t now_ns) {
        if (from_ns_ == 0 || in < in_ || out < out_) return start(in, out, now_ns);
        if (now_ns - from_ns_ < window_ns) return Change::none;
        const std::uint64_t went = in - in_, came = std::min(out - out_, went);
        start(in, out, now_ns);
        if (went < least) {
            quiet_ = std::min<std::uint8_t>(quiet_ + 1, quiet_windows);
            return lossy_ && quiet_ == quiet_windows ? become(false) : Change::none;
        }
        quiet_ = 0;
        sum_ += (went - came) * 1'000'000 / went;
        loss_ = static_cast<std::uint32_t>((went - came) * 1000 / went);
        for (std::size_t i = 0; i < bounds.size(); ++i)
            if (loss_ <= bounds[i]) {
                ++windows_[i];
                break;
            }
        const bool above = limit != 0 && loss_ > limit;
        in_a_row_ = above == lossy_ ? std::uint8_t{0} : static_cast<std::uint8_t>(in_a_row_ + 1);
        return in_a_row_ < 2 ? Change::none : become(above);
    }
    bool lossy() const { return lossy_; }
    std::uint32_t loss() const { return loss_; }  // of the last window that said something
    const std::array<std::uint64_t, bounds.size()>& windows() const { return windows_; }
    std::uint64_t sum_millionths() const { return sum_; }  // of the losses of all windows

private:
    static constexpr std::uint8_t quiet_windows = 6;
    Change become(bool lossy) {
        in_a_row_ = 0;
        lossy_ = lossy;
        return lossy ? Change::lossy : Change::whole;
    }
    Change start(std::uint64_t in, std::uint64_t out, std::uint64_t now_ns) {
        in_ = in;
        out_ = out;
        from_ns_ = now_ns;
        return Change::none;
    }
    std::uint64_t in_ = 0, out_ = 0, from_ns_ = 0, sum_ = 0;
    std::array<std::uint64_t, bounds.size()> windows_{};
    std::uint32_t loss_ = 0;
    std::uint8_t in_a_row_ = 0, quiet_ = 0;
    bool lossy_ = false;
};

}  // namespace weir::chain
