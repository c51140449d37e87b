#include "features/chain/orders/order_book.hpp"

#include <algorithm>

namespace weir::chain {
namespace {

constexpr std::uint32_t window = 64;  // places an order of a flow may stand in

}  // namespace

bool OrderBox::put(const OrderLetter& letter) {
    const std::uint32_t start = next_.fetch_add(1, std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < capacity; ++i) {
        Slot& slot = slots_[(start + i) % capacity];
        std::uint32_t seen = empty;
        if (!slot.state.compare_exchange_strong(seen, writing, std::memory_order_acquire)) continue;
        slot.letter = letter;
        slot.state.store(full, std::memory_order_release);
        waiting_.fetch_add(1, std::memory_order_release);
        return true;
    }
    return false;
}

bool OrderBox::take(OrderLetter& letter) {
    std::uint32_t waiting = waiting_.load(std::memory_order_acquire);
    if (waiting == 0) return false;
    for (std::uint32_t i = 0; i < capacity; ++i) {
        Slot& slot = slots_[(read_ + i) % capacity];
        std::uint32_t seen = full;
        if (!slot.state.compare_exchange_strong(seen, reading, std::memory_order_acquire)) continue;
        letter = slot.letter;
        slot.state.store(empty, std::memory_order_release);
        read_ = (read_ + i + 1) % capacity;
        waiting_.fetch_sub(1, std::memory_order_relaxed);
        return true;
    }
    // A worker that was killed in the middle miscounts. Whoever writes now makes it another number.
    waiting_.compare_exchange_strong(waiting, 0, std::memory_order_relaxed);
    return false;
}

void OrderBook::open(const dataplane::OpenInput& input) {
    bool fresh = false;
    memory_ = static_cast<OrderMemory*>(input.pool(OrderMemory::pool_name, sizeof(OrderMemory),
                                                   OrderMemory::layout_version, fresh));
    worker_ = input.worker;
    count_ = max_orders / input.workers;
    first_ = count_ * input.worker;
    window_ = std::min(window, count_);
    if (!memory_ || part().workers == input.workers) return;
    for (std::uint32_t i = 0; part().workers != 0 && i < count_; ++i)
        memory_->orders[first_ + i].handle = 0;
    part().used.store(0, std::memory_order_relaxed);
    part().workers = input.workers;
}

Order* OrderBook::find(std::uint32_t handle, std::uint64_t flow_id, std::uint32_t issuer,
                       CtrlOp op) {
    Order* found = nullptr;
    for_each(handle, flow_id, [&](Order& o) {
        if (o.issuer == issuer && o.op == static_cast<std::uint8_t>(op)) found = &o;
    });
    return found;
}

Order* OrderBook::free_place(std::uint32_t handle) {
    for (std::uint32_t i = 0; memory_ && i < window_; ++i)
        if (Order& o = at(handle, i); o.handle == 0) return &o;
    return nullptr;
}

void OrderBook::place(Order& at, const Order& order) {
    Order written = order;
    written.handle = 0;
    at = written;
    flow::ordered();
    at.handle = order.handle;
    part().used.fetch_add(1, std::memory_order_relaxed);
}

void OrderBook::erase(Order& order) {
    order.handle = 0;
    // A kill between the two lines of place() leaves one that was never counted.
    if (size() != 0) part().used.fetch_sub(1, std::memory_order_relaxed);
}

bool OrderBook::take_token(std::uint32_t issuer, std::uint64_t now_ns) {
    constexpr std::uint64_t step_ns = 1'000'000'000 / order_rate;
    constexpr std::uint64_t ahead_ns = step_ns * (order_burst - 1);
    OrderMemory::Rate* rate = rate_of(issuer, now_ns);
    if (!rate) return false;
    std::uint64_t due = rate->due_ns.load(std::memory_order_relaxed);
    for (;;) {
        const std::uint64_t from = std::max(due, now_ns);
        if (from - now_ns > ahead_ns) return false;
        if (rate->due_ns.compare_exchange_weak(due, from + step_ns, std::memory_order_relaxed))
            return true;
    }
}

// A place that no issuer has had, else that of one at rest: an empty bucket says nothing.
OrderMemory::Rate* OrderBook::rate_of(std::uint32_t issuer, std::uint64_t now_ns) {
    auto& rates = memory_->rates;
    for (std::size_t i = 0; i < rates.size(); ++i) {
        OrderMemory::Rate& rate = rates[(issuer + i) % rates.size()];
        std::uint32_t seen = 0;
        if (rate.issuer.compare_exchange_strong(seen, issuer, std::memory_order_acq_rel) ||
            seen == issuer)
            return &rate;
    }
    for (OrderMemory::Rate& rate : rates) {
        std::uint32_t seen = rate.issuer.load(std::memory_order_acquire);
        if (rate.due_ns.load(std::memory_order_relaxed) < now_ns &&
            rate.issuer.compare_exchange_strong(seen, issuer, std::memory_order_acq_rel))
            return &rate;
    }
    return nullptr;
}

}  // namespace weir::chain
