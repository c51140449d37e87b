#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::chain {

// Chains without a path for flows of this worker, and until when packets may wait for one. The
// window opens with the first packet that finds none; when it is over, packets meet the failure
// policy until a path has been usable again. Fixed memory; where it is full, nobody waits.
class Outages {
public:
    // `spi`: of the one path that will do, for flows that may not change it; 0: any.
    static std::uint64_t key(std::uint32_t sci, std::uint32_t spi) {
        return std::uint64_t{1} << 48 | std::uint64_t{sci & 0xffffff} << 24 | (spi & 0xffffff);
    }
    static std::uint32_t sci_of(std::uint64_t key) {
        return static_cast<std::uint32_t>(key >> 24 & 0xffffff);
    }
    static std::uint32_t spi_of(std::uint64_t key) {
        return static_cast<std::uint32_t>(key & 0xffffff);
    }

    bool may_wait(std::uint64_t wanted, std::uint64_t window_ns, std::uint64_t now_ns) {
        for (std::size_t i = 0; i < count_; ++i)
            if (ones_[i].key == wanted) return now_ns < ones_[i].until_ns;
        if (count_ == ones_.size()) return false;
        ones_[count_++] = {wanted, now_ns + window_ns};
        return true;
    }
    bool knows(std::uint64_t wanted) const {
        for (std::size_t i = 0; i < count_; ++i)
            if (ones_[i].key == wanted) return true;
        return false;
    }
    // Nobody waits for it any more: its time is up, or it has healed.
    bool over(std::uint64_t wanted, std::uint64_t now_ns) const {
        for (std::size_t i = 0; i < count_; ++i)
            if (ones_[i].key == wanted) return now_ns >= ones_[i].until_ns;
        return true;
    }
    // Ends those for which healed(key) says so.
    template <class F>
    void heal(F&& healed) {
        for (std::size_t i = 0; i < count_;) {
            if (healed(ones_[i].key)) {
                ones_[i] = ones_[--count_];
            } else {
                ++i;
            }
        }
    }
    std::size_t size() const { return count_; }

private:
    struct One {
        std::uint64_t key = 0, until_ns = 0;
    };
    std::array<One, 64> ones_{};
    std::size_t count_ = 0;
};

}  // namespace weir::chain
