#pragma once
#include <cstdint>

namespace weir::net {

// A trace whose number (HandOver::trace_id) has this bit ends with the guest: its packet is
// delivered.
inline constexpr std::uint32_t trace_delivers = 1u << 31;

}  // namespace weir::net
