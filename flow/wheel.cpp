#include "flow/wheel.hpp"

#include <algorithm>

namespace weir::flow {

void Wheel::clear() {
    state_->occupied.fill(0);
    for (auto& level : state_->head) level.fill(no_index);
}

unsigned Wheel::place_of(std::uint64_t expires_ns) {
    // The tick after the one that contains the deadline: never early.
    const std::uint64_t base = state_->tick + 1;
    std::uint64_t due = (expires_ns >> WheelState::tick_shift) + 1;
    due = std::max(due, base);
    due = std::min(due, base + (std::uint64_t{1} << (6 * levels)) - 1);
    // Counted from `base`, a record armed while its old slot is being emptied never lands there
    // again.
    const std::uint64_t delta = due - base;
    const auto level = static_cast<unsigned>(std::bit_width(delta | (slots - 1)) - 1) / 6;
    return level * slots + slot_of(due, level);
}

void Wheel::arm(std::uint32_t slot, std::uint64_t expires_ns) {
    const std::uint64_t expires_tick = expires_ns >> WheelState::tick_shift;
    if (known_.expires_tick != expires_tick || known_.tick != state_->tick)
        known_ = {state_->tick, expires_tick, place_of(expires_ns)};
    const unsigned at = known_.at;
    FlowPair& pair = records_[slot];
    pair.expires_tick = static_cast<std::uint32_t>(expires_tick);
    pair.timer_slot = static_cast<std::uint8_t>(at);
    pair.timer_armed = 1;
    pair.timer_previous = no_index;
    pair.timer_next = head(at);
    if (pair.timer_next != no_index) records_[pair.timer_next].timer_previous = slot;
    head(at) = slot;
    state_->occupied[at / slots] |= std::uint64_t{1} << (at % slots);
}

void Wheel::disarm(std::uint32_t slot) {
    FlowPair& pair = records_[slot];
    const unsigned at = pair.timer_slot;
    if (pair.timer_previous != no_index) records_[pair.timer_previous].timer_next = pair.timer_next;
    else head(at) = pair.timer_next;
    if (pair.timer_next != no_index) records_[pair.timer_next].timer_previous = pair.timer_previous;
    if (head(at) == no_index) state_->occupied[at / slots] &= ~(std::uint64_t{1} << (at % slots));
    pair.timer_next = pair.timer_previous = no_index;
    pair.timer_armed = 0;
}

}  // namespace weir::flow
