#pragma once
#include <cstdint>

namespace weir::chain {

// Numbers of flows that get them by chance (PS-4). Of one worker; `salt` (the time) keeps hosts and
// engines that began alike from drawing alike. Nothing secret depends on it.
class Draws {
public:
    void begin(std::uint32_t worker) { state_ = (worker + 1) * 0xd1342543de82ef95ull; }
    std::uint32_t next(std::uint64_t salt) {
        state_ += 0x9e3779b97f4a7c15ull;  // splitmix64
        std::uint64_t z = state_ ^ salt << 32 ^ salt >> 32;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        return static_cast<std::uint32_t>((z ^ z >> 31) >> 32);
    }

private:
    std::uint64_t state_ = 0;
};

}  // namespace weir::chain
