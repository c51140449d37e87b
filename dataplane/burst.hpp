#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "base/limits.hpp"
#include "net/packet.hpp"

namespace weir::dataplane {

using net::Packet;

// The packets one stage works on. Order is kept. What the stage does not take out goes on.
class Burst {
public:
    Burst() {}  // the slots stay as they are: a pipeline makes many of these and fills few
    std::span<Packet* const> packets() const { return {slots_.data(), size_}; }
    std::size_t size() const { return size_; }
    bool full() const { return size_ == slots_.size(); }
    void push(Packet& p) { slots_[size_++] = &p; }
    void clear() { size_ = 0; }

private:
    std::array<Packet*, limits::max_burst> slots_;
    std::uint32_t size_ = 0;
};

// A bounded first-in-first-out list of packets; `push` says no when it is full.
template <std::size_t Capacity>
class PacketQueue {
    static_assert((Capacity & (Capacity - 1)) == 0, "a power of two");

public:
    bool push(Packet& p) {
        if (tail_ - head_ == Capacity) return false;
        slots_[tail_++ % Capacity] = &p;
        return true;
    }
    Packet* pop() { return head_ == tail_ ? nullptr : slots_[head_++ % Capacity]; }
    Packet* front() const { return head_ == tail_ ? nullptr : slots_[head_ % Capacity]; }
    bool empty() const { return head_ == tail_; }
    std::size_t size() const { return tail_ - head_; }

private:
    std::array<Packet*, Capacity> slots_{};
    std::size_t head_ = 0, tail_ = 0;
};

}  // namespace weir::dataplane
