#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace weir::net {

// siphash24() of 39 bytes, as five words in memory order; the uppermost byte of the last one is not
// looked at.
std::uint64_t siphash24_of_39(std::span<const std::uint64_t, 2> key,
                              const std::array<std::uint64_t, 5>& words);

}  // namespace weir::net
