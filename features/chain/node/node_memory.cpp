#include "features/chain/node/node_memory.hpp"

#include <algorithm>
#include <random>

namespace weir::chain {
namespace {

constexpr std::size_t nowhere = max_local_nodes;

std::uint64_t draw_seed() {
    std::random_device device;
    std::uint64_t seed = 0;
    while (seed == 0) seed = std::uint64_t{device()} << 32 | device();
    return seed;
}

bool contains(const NodeTable& table, std::uint32_t node_id) {
    return std::ranges::binary_search(table.nodes, node_id, {}, &LocalNode::id);
}

void reset(NodeSlot& slot) {
    slot.judge = {};
    slot.heard_before = {};
    for (AtomicU64* value : {&slot.ask_from_ns, &slot.asked_ns, &slot.rode_ns, &slot.questions,
                             &slot.heard[0], &slot.heard[1], &slot.heard[2], &slot.heard[3],
                             &slot.timed_ns, &slot.trace, &slot.unreturned, &slot.secret[0],
                             &slot.secret[1], &slot.silent_until_ns, &slot.overload})
        value->store(0, std::memory_order_relaxed);
    slot.ask_from_ns.store(never_ns, std::memory_order_relaxed);
    slot.sequence.store(0, std::memory_order_relaxed);
    slot.traced_flow.store(0, std::memory_order_relaxed);
    slot.overload_told.store(0, std::memory_order_relaxed);
    slot.moved_by.store(0, std::memory_order_relaxed);
    for (Tally& tally : slot.tallies)
        for (auto* counters : {&tally.delivered, &tally.returned})
            for (AtomicU64& counter : *counters) counter.store(0, std::memory_order_relaxed);
}

}  // namespace

void HeardNode::forget() {
    for (AtomicU32* value : {&sequence, &stale_sequence, &unknown_since, &host, &overload_sequence})
        value->store(0, std::memory_order_relaxed);
    for (AtomicU64* value : {&message_ns, &status_generation, &stale_ns, &overload_ns})
        value->store(0, std::memory_order_relaxed);
}

void NodeMemory::sweep_heard(std::uint64_t now_ns, const std::vector<std::uint32_t>& known) {
    using dataplane::UnknownSince;
    bool any_gone = false;
    for (std::size_t place = 0; place < heard.size(); ++place) {
        HeardNode& h = heard[place];
        std::uint32_t id = h.node_id.load(std::memory_order_acquire);
        any_gone = any_gone || id == HeardPlaces::gone;
        if (id == HeardPlaces::never || id == HeardPlaces::gone) continue;
        if (id == resting) {
            h.forget();
            h.node_id.compare_exchange_strong(id, HeardPlaces::gone, std::memory_order_seq_cst);
            continue;
        }
        const std::uint32_t since = h.unknown_since.load(std::memory_order_relaxed);
        const bool is_known = std::ranges::binary_search(known, id);
        if (heard_places().is_behind(place, id) ||
            (!is_known && UnknownSince::is_over(since, now_ns))) {
            h.node_id.compare_exchange_strong(id, resting, std::memory_order_seq_cst);
        } else if (is_known != (since == UnknownSince::known)) {
            h.unknown_since.store(is_known ? UnknownSince::known : UnknownSince::at(now_ns),
                                  std::memory_order_relaxed);
        }
    }
    if (any_gone) heard_places().trim();
}

void NodeBinding::open(const dataplane::OpenInput& input) {
    worker_ = input.worker;
    workers_ = input.workers;
    bool fresh = false;
    memory_ = static_cast<NodeMemory*>(
        input.pool(NodeMemory::pool_name, sizeof(NodeMemory), NodeMemory::layout_version, fresh));
    flow_memory_ = static_cast<FlowContextMemory*>(
        input.pool(FlowContextMemory::pool_name, sizeof(FlowContextMemory),
                   FlowContextMemory::layout_version, fresh));
    renumbered_ = static_cast<RenumberedMemory*>(
        input.pool(RenumberedMemory::pool_name, sizeof(RenumberedMemory),
                   RenumberedMemory::layout_version, fresh));
    if (!flow_memory_ || !renumbered_) memory_ = nullptr;
    if (!memory_) return;
    flow_contexts_ = FlowContexts(*flow_memory_, *renumbered_, worker_, workers_);
    std::uint64_t none = 0;
    memory_->seed.compare_exchange_strong(none, draw_seed(), std::memory_order_acq_rel);
}

// The node's slot, a free one, or one whose node has left the table.
std::size_t NodeBinding::claim(std::uint32_t node_id, const NodeTable& table) {
    for (std::size_t i = 0; i < max_local_nodes; ++i)
        if (memory_->slots[i].node_id.load(std::memory_order_acquire) == node_id) return i;
    for (const bool evict : {false, true}) {
        for (std::size_t i = 0; i < max_local_nodes; ++i) {
            NodeSlot& slot = memory_->slots[i];
            std::uint32_t holder = slot.node_id.load(std::memory_order_acquire);
            if (evict ? contains(table, holder) : holder != 0) continue;
            if (slot.node_id.compare_exchange_strong(holder, node_id, std::memory_order_acq_rel)) {
                reset(slot);
                slot.epoch.fetch_add(1, std::memory_order_acq_rel);
                return i;
            }
            if (holder == node_id) return i;  // another worker was faster
        }
    }
    return nowhere;
}

NodeSlot* NodeBinding::take_in(std::uint32_t node_id, std::uint32_t move, const NodeTable& table) {
    if (!memory_ || contains(table, node_id)) return nullptr;
    const std::size_t at = claim(node_id, table);
    if (at == nowhere) return nullptr;
    NodeSlot& slot = memory_->slots[at];
    if (slot.moved_by.load(std::memory_order_acquire) == move) return &slot;
    reset(slot);
    slot.epoch.fetch_add(1, std::memory_order_acq_rel);
    slot.moved_by.store(move, std::memory_order_release);
    return &slot;
}

NodeSlot* NodeBinding::taken_in(std::uint32_t node_id, std::uint32_t move) {
    for (NodeSlot& slot : memory_->slots)
        if (slot.node_id.load(std::memory_order_acquire) == node_id &&
            slot.moved_by.load(std::memory_order_acquire) == move)
            return &slot;
    return nullptr;
}

Contexts NodeBinding::contexts_of(const NodeSlot& slot) {
    return Contexts(memory_->slabs[number_of(slot)], worker_, workers_);
}

bool NodeBinding::follow(const NodeTable& table, bool contexts) {
    if (!memory_) return false;
    if (follows(table)) return true;
    size_ = 0;
    if (contexts && !recovered_) flow_contexts_.recover();
    for (const LocalNode& node : table.nodes) {
        const std::size_t slot = claim(node.id, table);
        if (slot == nowhere) return false;
        slots_[size_] = static_cast<std::uint8_t>(slot);
        secrets_[size_] = memory_->secret_of(memory_->slots[slot], node.id);
        const std::uint32_t epoch = memory_->slots[slot].epoch.load(std::memory_order_acquire);
        if (contexts) flow_contexts_.claim(static_cast<std::uint8_t>(slot), epoch);
        if (contexts && node.has_vlan_contexts()) {
            contexts_[size_] = Contexts(memory_->slabs[slot], worker_, workers_);
            if (recovered_) {
                contexts_[size_].claim(epoch);
            } else {
                contexts_[size_].recover(epoch);
            }
        }
        ++size_;
    }
    recovered_ = true;
    digest_ = table.digest;
    return true;
}

}  // namespace weir::chain
