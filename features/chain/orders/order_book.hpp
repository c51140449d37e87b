#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/limits.hpp"
#include "dataplane/stage.hpp"
#include "features/chain/orders/ctrl.hpp"
#include "flow/record.hpp"

// What nodes have ordered for flows of this host (spec service-plane §6.4: FlowProgTable): a pool
// of the host's vault. A worker keeps the orders of the flows it owns; workers share nothing but
// the mailboxes and the rates of issuers. Zeroed memory is a valid empty book; no pointers.
namespace weir::chain {

// One operation that one issuer ordered for one flow. Without scope it has ended and only its
// sequence is remembered. A kill may lose the order being written, no other.
struct Order {
    std::uint32_t handle = 0;  // of the flow; 0: free. Written last on insert, first on removal
    std::uint32_t issuer = 0;  // node id
    std::uint64_t flow_id = 0;
    std::uint64_t until_ns = 0;  // 0: as long as the flow
    std::uint32_t sequence = 0;  // of the last message
    std::uint32_t parameter = 0;
    std::uint32_t sci = 0;  // chain that the rules gave the flow: the order ends with it
    std::uint8_t op = 0;    // CtrlOp
    std::uint8_t scope = 0;
    std::uint16_t reserved = 0;
};
static_assert(sizeof(Order) == 40);

inline constexpr std::uint32_t max_orders = 262'144;  // of a host (CT-9)

// A message on its way to the worker that owns its flow.
struct OrderLetter {
    Ctrl ctrl;
    std::uint32_t svni = 0;
    std::uint32_t from_host = 0;  // standalone: where it came from
    bool standalone = false;
    bool reverse = false;  // D of the packet that brought it
};

// Letters to one worker, from any. A full box loses letters: the node repeats them (CT-8).
class OrderBox {
public:
    static constexpr std::size_t capacity = 256;
    bool put(const OrderLetter& letter);
    bool take(OrderLetter& letter);

private:
    enum : std::uint32_t { empty = 0, writing, full, reading };
    struct Slot {
        std::atomic<std::uint32_t> state{empty};
        OrderLetter letter;
    };
    std::array<Slot, capacity> slots_;
    std::atomic<std::uint32_t> waiting_{0};  // letters, about: nobody looks for them at 0
    std::atomic<std::uint32_t> next_{0};     // where the next writer looks first
    std::uint32_t read_ = 0;                 // where the reader looks first
};

struct OrderMemory {
    static constexpr std::string_view pool_name = "flow-orders";
    static constexpr std::uint32_t layout_version = 2;

    struct alignas(64) Part {
        std::uint32_t workers = 0;  // the orders were divided by; another number empties the part
        std::atomic<std::uint32_t> used{0};
        std::atomic<std::uint32_t> generation{0};  // grows with every message that is applied
    };
    // One issuer's bucket: when its next message is due were it to send at its rate (GCRA).
    struct Rate {
        std::atomic<std::uint32_t> issuer{0};
        std::atomic<std::uint64_t> due_ns{0};
    };
    std::array<Part, limits::max_workers> parts;
    std::array<OrderBox, limits::max_workers> boxes;
    std::array<Rate, dataplane::HealthBoard::capacity> rates;
    std::array<Order, max_orders> orders;
};

// Messages a second of one issuer, and how many at once (CT-6).
inline constexpr std::uint64_t order_rate = 10'000, order_burst = 2'000;

// One worker's view of the book.
class OrderBook {
public:
    void open(const dataplane::OpenInput& input);
    explicit operator bool() const { return memory_ != nullptr; }

    // The order of this issuer for this flow with this operation; null: none.
    Order* find(std::uint32_t handle, std::uint64_t flow_id, std::uint32_t issuer, CtrlOp op);
    // A new one to be filled in, `handle` last, by place(). Null: no room.
    Order* free_place(std::uint32_t handle);
    void place(Order& at, const Order& order);
    void erase(Order& order);
    template <class F>
    void for_each(std::uint32_t handle, std::uint64_t flow_id, F&& visit) {  // visit(Order&)
        for (std::uint32_t i = 0; memory_ && i < window_; ++i)
            if (Order& o = at(handle, i); o.handle == handle && o.flow_id == flow_id) visit(o);
    }
    // Visits up to `most` places, going round; visit(Order&) for those that are taken.
    template <class F>
    void go_round(std::uint32_t most, F&& visit) {
        if (size() == 0) return;
        for (std::uint32_t i = 0; i < most; ++i) {
            turn_ = turn_ + 1 < count_ ? turn_ + 1 : 0;
            if (Order& o = memory_->orders[first_ + turn_]; o.handle != 0) visit(o);
        }
    }

    // Visits the places first … first + most - 1 of this worker; true: there are none behind them.
    template <class F>
    bool visit(std::uint32_t first, std::uint32_t most, F&& look) const {
        if (size() == 0) return true;
        const std::uint32_t end = first < count_ ? std::min(count_ - first, most) + first : first;
        for (std::uint32_t i = first; i < end; ++i)
            if (const Order& o = memory_->orders[first_ + i]; o.handle != 0) look(o);
        return end >= count_;
    }

    // False: the issuer has sent more than its rate.
    bool take_token(std::uint32_t issuer, std::uint64_t now_ns);
    bool send(std::uint32_t worker, const OrderLetter& letter) {
        return memory_ && memory_->boxes[worker].put(letter);
    }
    bool receive(OrderLetter& letter) { return memory_ && memory_->boxes[worker_].take(letter); }

    std::uint32_t size() const { return memory_ ? part().used.load(std::memory_order_relaxed) : 0; }
    std::uint32_t capacity() const { return count_; }
    std::uint32_t generation() const {
        return memory_ ? part().generation.load(std::memory_order_relaxed) : 0;
    }
    void count_message() { part().generation.fetch_add(1, std::memory_order_relaxed); }

private:
    OrderMemory::Rate* rate_of(std::uint32_t issuer, std::uint64_t now_ns);
    OrderMemory::Part& part() const { return memory_->parts[worker_]; }
    // The orders of a flow stand in a window of places that its handle names.
    Order& at(std::uint32_t handle, std::uint32_t i) {
        const std::uint32_t start =
            static_cast<std::uint32_t>(handle * 0x9e3779b97f4a7c15ull >> 32) % count_;
        const std::uint32_t place = start + i;
        return memory_->orders[first_ + (place < count_ ? place : place - count_)];
    }

    OrderMemory* memory_ = nullptr;
    std::uint32_t worker_ = 0;
    std::uint32_t first_ = 0, count_ = 0, window_ = 0;
    std::uint32_t turn_ = 0;
};

}  // namespace weir::chain
