#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

namespace weir::host {

// Events from any thread to the control thread: bounded, never waiting, never allocating on the
// writer's side. What does not fit is counted.
class EventQueue {
public:
    static constexpr std::size_t capacity = 1024;
    static constexpr std::size_t max_bytes = 1000;

    EventQueue() : slots_(std::make_unique<Slot[]>(capacity)) {
        for (std::size_t i = 0; i < capacity; ++i)
            slots_[i].turn.store(i, std::memory_order_relaxed);
    }

    bool push(const char* text, std::size_t bytes) {
        if (bytes > max_bytes) return lose();
        std::size_t at = tail_.load(std::memory_order_relaxed);
        for (;;) {
            Slot& slot = slots_[at % capacity];
            const std::size_t turn = slot.turn.load(std::memory_order_acquire);
            if (turn == at) {
                if (!tail_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) continue;
                std::memcpy(slot.text, text, bytes);
                slot.bytes = static_cast<std::uint32_t>(bytes);
                slot.turn.store(at + 1, std::memory_order_release);
                return true;
            }
            if (turn < at) return lose();
            at = tail_.load(std::memory_order_relaxed);
        }
    }

    // Control thread only; false when there is none.
    bool pop(std::string& out) {
        Slot& slot = slots_[head_ % capacity];
        if (slot.turn.load(std::memory_order_acquire) != head_ + 1) return false;
        out.assign(slot.text, slot.bytes);
        slot.turn.store(head_ + capacity, std::memory_order_release);
        ++head_;
        return true;
    }

    // Events that got lost further on; may be called by any thread.
    void add_lost(std::uint64_t count) { lost_.fetch_add(count, std::memory_order_relaxed); }
    std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

private:
    struct Slot {
        std::atomic<std::size_t> turn{0};
        std::uint32_t bytes = 0;
        char text[max_bytes];
    };
    bool lose() {
        lost_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }

    std::unique_ptr<Slot[]> slots_;
    alignas(64) std::atomic<std::size_t> tail_{0};
    alignas(64) std::size_t head_ = 0;
    std::atomic<std::uint64_t> lost_{0};
};

}  // namespace weir::host
