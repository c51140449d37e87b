#pragma once
#include <array>
#include <bit>
#include <cstdint>

#include "bench/gen/page.hpp"

// How long packets were under way, counted from the moment they were due: what waits because the
// side under test did not ask for it counts as well.
namespace weir::gen {

// Sixteen buckets for each power of two; the driver reads them the same way.
constexpr std::uint32_t delay_bucket(std::uint64_t cycles) {
    if (cycles < 16) return static_cast<std::uint32_t>(cycles);
    const auto power = static_cast<std::uint32_t>(std::bit_width(cycles)) - 5;
    return 16 * (power + 1) + static_cast<std::uint32_t>(cycles >> power & 15);
}
static_assert(delay_bucket(~std::uint64_t{0}) < delay_buckets);

// When each packet of one direction was due, by its number; 0: nobody said.
struct Dues {
    std::array<std::uint64_t, 65536> at{};

    std::uint64_t& of(std::uint64_t number) { return at[number % at.size()]; }
};

// Says how many packets of a steady load are due.
class Pace {
public:
    // How many by `now`, of `rate` a second; both clocks in cycles of `hz`.
    std::uint32_t due(std::uint64_t now, std::uint64_t rate, std::uint64_t hz) {
        if (rate != rate_) {
            rate_ = rate;
            gap_ = static_cast<double>(hz) / static_cast<double>(rate);
            next_ = static_cast<double>(now);
        }
        const double late = static_cast<double>(now) - next_;
        return late < 0 ? 0 : static_cast<std::uint32_t>(late / gap_) + 1;
    }
    // When the next packet was due.
    std::uint64_t take() {
        const auto at = static_cast<std::uint64_t>(next_);
        next_ += gap_;
        return at;
    }

private:
    std::uint64_t rate_ = 0;
    double gap_ = 0, next_ = 0;  // cycles
};

}  // namespace weir::gen
