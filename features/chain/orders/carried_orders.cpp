#include "features/chain/orders/carried_orders.hpp"

#include <algorithm>

#include "features/chain/orders/ctrl.hpp"

namespace weir::chain {
namespace {

using Carried = ProxyOrderMemory::Carried;

constexpr std::uint64_t keep_ns = 1'000'000'000;
constexpr std::uint32_t rest_ms = 10'000;  // without a message: its number says nothing any more
enum : std::uint32_t { empty = 0, busy, full };

std::uint32_t milliseconds(std::uint64_t now_ns) {
    return static_cast<std::uint32_t>(now_ns / 1'000'000);
}

// Whoever gets a place has it alone until it says otherwise.
bool claim(Carried& place, std::uint32_t from) {
    return place.state.compare_exchange_strong(from, busy, std::memory_order_acquire);
}

}  // namespace

void ProxyOrders::open(const dataplane::OpenInput& input) {
    bool fresh = false;
    memory_ = static_cast<ProxyOrderMemory*>(input.pool(ProxyOrderMemory::pool_name,
                                                        sizeof(ProxyOrderMemory),
                                                        ProxyOrderMemory::layout_version, fresh));
}

std::uint32_t ProxyOrders::next_sequence(std::uint32_t node_id, std::uint64_t now_ns) {
    const std::uint32_t now_ms = milliseconds(now_ns);
    ProxyOrderMemory::Issuer* place = issuer(node_id, now_ms);
    if (!place) return 0;
    std::uint32_t last = place->sequence.load(std::memory_order_relaxed);
    for (;;) {
        const std::uint32_t next = is_newer(now_ms, last) ? now_ms : last + 1;
        if (place->sequence.compare_exchange_weak(last, next, std::memory_order_relaxed))
            return next;
    }
}

// A place that no node has had, else that of one at rest: its next number is the time again.
ProxyOrderMemory::Issuer* ProxyOrders::issuer(std::uint32_t node_id, std::uint32_t now_ms) {
    for (std::size_t i = 0; memory_ && i < memory_->issuers.size(); ++i) {
        auto& place = memory_->issuers[(node_id + i) % memory_->issuers.size()];
        std::uint32_t seen = 0;
        if (place.node_id.compare_exchange_strong(seen, node_id, std::memory_order_acq_rel) ||
            seen == node_id)
            return &place;
    }
    for (std::size_t i = 0; memory_ && i < memory_->issuers.size(); ++i) {
        auto& place = memory_->issuers[i];
        std::uint32_t seen = place.node_id.load(std::memory_order_acquire);
        if (is_newer(now_ms - rest_ms, place.sequence.load(std::memory_order_relaxed)) &&
            place.node_id.compare_exchange_strong(seen, node_id, std::memory_order_acq_rel))
            return &place;
    }
    return nullptr;
}

// Who has no place may have had one: it was given away when the time was beyond its numbers.
std::uint32_t ProxyOrders::last_sequence(std::uint32_t node_id, std::uint64_t now_ns) const {
    if (!memory_) return 0;
    for (const ProxyOrderMemory::Issuer& place : memory_->issuers)
        if (place.node_id.load(std::memory_order_acquire) == node_id)
            return place.sequence.load(std::memory_order_relaxed);
    return milliseconds(now_ns);
}

void ProxyOrders::raise_sequence(std::uint32_t node_id, std::uint32_t last, std::uint64_t now_ns) {
    const std::uint32_t now_ms = milliseconds(now_ns);
    ProxyOrderMemory::Issuer* place = last != 0 ? issuer(node_id, now_ms) : nullptr;
    if (place && is_newer(last, place->sequence.load(std::memory_order_relaxed)))
        place->sequence.store(last, std::memory_order_relaxed);
}

void ProxyOrders::put(net::Packet& p, std::uint32_t node_id, std::uint64_t now_ns) {
    const std::uint8_t count = p.ctrl_count;
    p.ctrl_count = 0;
    if (!memory_ || count == 0 || p.smd.copy) return;  // nothing comes back of a copy
    for (Carried& place : memory_->carried) {
        if (!claim(place, empty)) {
            if (!claim(place, full)) continue;
            if (now_ns < place.until_ns) {
                place.state.store(full, std::memory_order_release);
                continue;
            }
            memory_->carrying.fetch_sub(1, std::memory_order_relaxed);
        }
        place.node_id = node_id;
        place.handle = p.smd.flow_handle;
        place.reverse = p.smd.reverse;
        place.count = count;
        place.until_ns = now_ns + keep_ns;
        std::copy_n(p.ctrl.begin(), count, place.ctrl.begin());
        memory_->carrying.fetch_add(1, std::memory_order_relaxed);
        place.state.store(full, std::memory_order_release);
        return;
    }
}

void ProxyOrders::find(net::Packet& p, std::uint32_t node_id, std::uint64_t now_ns) {
    for (Carried& place : memory_->carried) {
        if (!claim(place, full)) continue;
        const bool over = now_ns >= place.until_ns;
        const bool fits = place.node_id == node_id && place.handle == p.smd.flow_handle &&
                          place.reverse == p.smd.reverse;
        if (!over && !fits) {
            place.state.store(full, std::memory_order_release);
            continue;
        }
        if (!over)
            for (std::size_t i = 0; i < place.count && p.ctrl_count < p.ctrl.size(); ++i)
                p.ctrl[p.ctrl_count++] = place.ctrl[i];
        memory_->carrying.fetch_sub(1, std::memory_order_relaxed);
        place.state.store(empty, std::memory_order_release);
    }
}

}  // namespace weir::chain
