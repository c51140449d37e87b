#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir::chain {

// Counters by number, in fixed memory: what finds no room is counted together under number 0.
// One writer.
template <class Counters>
class CounterMap {
public:
    explicit CounterMap(std::size_t capacity) : entries_(std::bit_ceil(2 * capacity)) {}

    Counters& operator[](std::uint64_t number) {
        if (number == 0) return others_;
        for (std::size_t i = 0; i < probes; ++i) {
            Entry& e = entries_[(home(number) + i) & (entries_.size() - 1)];
            if (e.number == 0) e.number = number;
            if (e.number == number) return e.counters;
        }
        ++misses_;
        return others_;
    }
    std::uint64_t misses() const { return misses_; }  // times a number found no room
    // Zeroes where nothing was counted.
    const Counters& at(std::uint64_t number) const {
        static const Counters none{};
        for (std::size_t i = 0; number != 0 && i < probes; ++i) {
            const Entry& e = entries_[(home(number) + i) & (entries_.size() - 1)];
            if (e.number == number) return e.counters;
            if (e.number == 0) break;
        }
        return none;
    }
    const Counters& others() const { return others_; }

private:
    static constexpr std::size_t probes = 32;
    struct Entry {
        std::uint64_t number = 0;
        Counters counters{};
    };
    static std::size_t home(std::uint64_t number) {
        return static_cast<std::size_t>(number * 0x9e3779b97f4a7c15ull >> 24);
    }
    std::vector<Entry> entries_;
    Counters others_{};
    std::uint64_t misses_ = 0;
};

}  // namespace weir::chain
