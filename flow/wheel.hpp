#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/prefetch.hpp"
#include "flow/layout.hpp"

namespace weir::flow {

// A hierarchical timer wheel over the records of a shard, threaded through their timer_ links.
//
// One tick is 2^24 ns (16.8 ms); level l holds what is due within 64^(l+1) ticks, the last level
// also what is later. Empty stretches are skipped by bitmap, so a jump of hours costs nothing. A
// record never fires before its time and at most one tick after it, provided advance() is called.
class Wheel {
public:
    static constexpr unsigned levels = WheelState::levels, slots = WheelState::slots;

    Wheel() = default;
    Wheel(WheelState* state, FlowPair* records) : state_(state), records_(records) {}

    void clear();
    // An empty wheel may be set to any time at once.
    void set_time(std::uint64_t now_ns) { state_->tick = now_ns >> WheelState::tick_shift; }
    bool empty() const {
        return (state_->occupied[0] | state_->occupied[1] | state_->occupied[2] |
                state_->occupied[3]) == 0;
    }

    void arm(std::uint32_t slot, std::uint64_t expires_ns);  // the record must not be armed
    void disarm(std::uint32_t slot);                         // the record must be armed
    // For the time it was armed for last, which is to come.
    void arm_again(std::uint32_t slot) {
        const auto tick = static_cast<std::uint32_t>(state_->tick);
        const std::uint32_t ticks = records_[slot].expires_tick - tick;
        arm(slot, (state_->tick + ticks) << WheelState::tick_shift);
    }
    bool armed(std::uint32_t slot) const { return records_[slot].timer_armed != 0; }
    // Whether the record is looked at by `expires_ns` as it is armed now.
    bool due_before(std::uint32_t slot, std::uint64_t expires_ns) const {
        // Idle times are below 2^31 ticks, so the low bits tell.
        return static_cast<std::int32_t>(tick_of(expires_ns) - records_[slot].expires_tick) >= 0;
    }

    // Whether the time it was armed for last lies ahead of the wheel's own, within 2^31 ticks.
    bool is_to_come(std::uint32_t slot) const {
        const auto tick = static_cast<std::uint32_t>(state_->tick);
        return static_cast<std::int32_t>(records_[slot].expires_tick - tick) > 0;
    }

    // Moves time on to `now_ns` and calls fire(slot) for each record whose time may have come,
    // after taking it off the wheel; fire() may arm it again. Stops after `budget` calls and goes
    // on there next time. Returns the number of calls. Some calls before, fetch(slot) may ask for
    // memory that fire() will need, besides the record itself.
    template <class Fetch, class Fire>
    std::size_t advance(std::uint64_t now_ns, std::size_t budget, Fetch&& fetch, Fire&& fire) {
        const std::uint64_t target = now_ns >> WheelState::tick_shift;
        std::size_t calls = 0;
        while (state_->tick < target) {
            const std::uint64_t next = next_event();
            if (next > target) {
                state_->tick = target;
                break;
            }
            // While a tick is worked on, `tick` stays one below it: arming is then never behind it,
            // and a stop in between finds the same place again.
            state_->tick = next - 1;
            for (unsigned level = levels; level-- > 0;) {
                if ((next & ((std::uint64_t{1} << (6 * level)) - 1)) != 0) continue;
                const unsigned at = level * slots + slot_of(next, level);
                LookAhead ahead{head(at)};
                while (head(at) != no_index) {
                    if (calls == budget) return calls;
                    look_ahead(ahead, fetch);
                    const std::uint32_t record = head(at);
                    disarm_first(at, record);
                    ++calls;
                    fire(record);
                }
            }
            state_->tick = next;
        }
        return calls;
    }

private:
    static std::uint32_t tick_of(std::uint64_t expires_ns) {
        return static_cast<std::uint32_t>(expires_ns >> WheelState::tick_shift);
    }
    static unsigned slot_of(std::uint64_t tick, unsigned level) {
        return static_cast<unsigned>(tick >> (6 * level)) & (slots - 1);
    }
    // disarm() of the first record of a list.
    void disarm_first(unsigned at, std::uint32_t slot) {
        FlowPair& pair = records_[slot];
        const std::uint32_t next = pair.timer_next;
        head(at) = next;
        if (next != no_index) records_[next].timer_previous = no_index;
        else state_->occupied[at / slots] &= ~(std::uint64_t{1} << (at % slots));
        pair.timer_next = no_index;
        pair.timer_armed = 0;
    }
    unsigned place_of(std::uint64_t expires_ns);
    std::uint32_t& head(unsigned at) { return state_->head[at / slots][at % slots]; }

    // How far the records of a list, and what they lead to, have been fetched before they fire.
    struct LookAhead {
        static constexpr std::uint32_t step = 8, distance = 2 * step;
        std::uint32_t next = no_index;  // first that has not been
        std::uint32_t lead = 0;         // how many have been and have not fired
    };
    template <class Fetch>
    void look_ahead(LookAhead& ahead, Fetch&& fetch) {
        while (ahead.lead < LookAhead::distance && ahead.next != no_index) {
            std::array<std::uint32_t, LookAhead::step> batch;
            std::uint32_t count = 0;
            for (; count < batch.size() && ahead.next != no_index; ++count) {
                batch[count] = ahead.next;
                // Lists run backwards in time, and records made one after the other are
                // neighbours more often than not: a guess spares waiting for each link.
                if (ahead.next >= LookAhead::distance)
                    prefetch(&records_[ahead.next - LookAhead::distance], sizeof(FlowPair));
                ahead.next = records_[ahead.next].timer_next;
            }
            for (std::uint32_t i = 0; i < count; ++i) fetch(batch[i]);
            ahead.lead += count;
        }
        if (ahead.lead > 0) --ahead.lead;
    }

    // The next tick at which the lowest level that holds anything moves on.
    std::uint64_t next_event() const {
        for (unsigned level = 0; level < levels; ++level)
            if (state_->occupied[level] != 0)
                return ((state_->tick >> (6 * level)) + 1) << (6 * level);
        return ~std::uint64_t{0};
    }

    WheelState* state_ = nullptr;
    FlowPair* records_ = nullptr;
    // Where a record was armed last, for records that begin together.
    struct Known {
        std::uint64_t tick = ~std::uint64_t{0}, expires_tick = 0;
        unsigned at = 0;
    };
    Known known_;
};

}  // namespace weir::flow
