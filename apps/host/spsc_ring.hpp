#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "net/packet.hpp"

namespace weir::host {

// Packets from exactly one worker to exactly one other; neither ever waits.
class SpscRing {
public:
    static constexpr std::size_t capacity = 2048;
    static_assert((capacity & (capacity - 1)) == 0, "a power of two");

    // As many of `packets` as there is room for; the popper sees them at once.
    std::uint32_t push(net::Packet* const* packets, std::uint32_t count) {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - known_head_ + count > capacity)
            known_head_ = head_.load(std::memory_order_acquire);
        const std::size_t room = capacity - (tail - known_head_);
        const auto n = static_cast<std::uint32_t>(room < count ? room : count);
        for (std::uint32_t i = 0; i < n; ++i) slots_[(tail + i) % capacity] = packets[i];
        tail_.store(tail + n, std::memory_order_release);
        return n;
    }

    // Takes up to `max` packets, oldest first.
    std::uint32_t pop(net::Packet** out, std::uint32_t max) {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (known_tail_ == head) {
            known_tail_ = tail_.load(std::memory_order_acquire);
            if (known_tail_ == head) return 0;
        }
        const std::size_t there = known_tail_ - head;
        const auto n = static_cast<std::uint32_t>(there < max ? there : max);
        for (std::uint32_t i = 0; i < n; ++i) out[i] = slots_[(head + i) % capacity];
        head_.store(head + n, std::memory_order_release);
        return n;
    }

    // The popper's: nothing to pop, as far as it can know.
    bool empty() const {
        return tail_.load(std::memory_order_seq_cst) == head_.load(std::memory_order_relaxed);
    }

private:
    alignas(64) std::atomic<std::size_t> tail_{0};
    std::size_t known_head_ = 0;  // the pusher's view
    alignas(64) std::atomic<std::size_t> head_{0};
    std::size_t known_tail_ = 0;  // the popper's view
    alignas(64) net::Packet* slots_[capacity];
};

}  // namespace weir::host
