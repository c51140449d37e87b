#include "features/chain/node/node_watch.hpp"

#include <algorithm>
#include <cstdio>

namespace weir::chain {
namespace {

using dataplane::Emit;

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t overload_pause_ns = second_ns / 2;
constexpr std::uint64_t tell_again_ns = 30 * second_ns;

// Packets that went in a second ago and have not come out (TM-3).
void watch_returns(const Liveness::State::Watch& watch, NodeSlot& slot) {
    const std::uint64_t returned = slot.returned(Side::left) + slot.returned(Side::right);
    if (watch.looked_ns != 0 && watch.delivered > returned) {
        const std::uint64_t missing = watch.delivered - returned;
        if (missing > slot.unreturned.load(std::memory_order_relaxed))
            slot.unreturned.store(missing, std::memory_order_relaxed);
    }
}

bool states_now(const Liveness::State::Watch& watch, std::uint64_t now_ns) {
    return !watch.stated && now_ns - watch.began_ns >= settled_ns;
}

// What the node was given in the last second and holds, of what it can take (PS-6).
void watch_load(Liveness::State::Watch& watch, const LocalNode& node, const NodeSlot& slot,
                std::uint64_t delivered, std::uint64_t bytes, Emit& emit) {
    if (watch.looked_ns == 0) return;
    const std::uint64_t all_contexts = node.has_vlan_contexts()   ? max_contexts
                                       : node.has_flow_contexts() ? max_flow_contexts_of_node
                                                                  : 0;
    const NodeUse use{static_cast<double>(emit.now_ns - watch.looked_ns) / 1e9,
                      delivered - watch.delivered,
                      bytes - watch.bytes,
                      slot.contexts(),
                      slot.p99_us(),
                      node.capacity_pps,
                      node.capacity_mbps,
                      node.capacity_flows != 0 ? node.contexts_of_a_flow() * node.capacity_flows
                                               : all_contexts,
                      node.latency_limit_us};
    watch.load.sample(utilisation(use));
    const bool states = states_now(watch, emit.now_ns);
    const auto load = watch.load.tell(emit.now_ns, states);
    if (!load) return;
    char text[200];
    const int n = std::snprintf(
        text, sizeof text, R"({"event":"node-load","node":"%.63s","node_id":%u,"load":%u%s})",
        node.name.c_str(), node.id, *load, states ? R"(,"again":true)" : "");
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

// What the node said of itself goes to its own anchors at once and to those of other hosts, at most
// twice a second; the last word counts.
void tell_overload(Liveness::State::Watch& watch, const LocalNode& node, const NodeSlot& slot,
                   Liveness::State& state, Emit& emit) {
    const std::uint64_t said = slot.overload.load(std::memory_order_acquire);
    const auto serial = static_cast<std::uint32_t>(said >> 32);
    if (serial == watch.overload) return;
    if (watch.overload_ns != 0 && emit.now_ns - watch.overload_ns < overload_pause_ns) return;
    Liveness::State::Publication* place = place_for(node, CtrlOp::overload, state);
    if (!place) return;
    watch.overload = serial;
    watch.overload_ns = emit.now_ns;
    const auto share = static_cast<std::uint32_t>(said & 0xffff);
    const auto valid_s = static_cast<std::uint16_t>(said >> 16);
    *place = {node.id, sequence_at(emit.now_ns), CtrlOp::overload, valid_s, share, serial};
    emit.health->overloads().set(node.id, share, emit.now_ns + valid_s * second_ns, emit.now_ns);
    char text[200];
    const int n = std::snprintf(
        text, sizeof text,
        R"({"event":"node-overload","node":"%.63s","node_id":%u,"share":%u,"valid_s":%u})",
        node.name.c_str(), node.id, share, unsigned{valid_s});
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

// Whether the node keeps more packets than its limit allows; told again, as slow nodes are.
void watch_loss(Liveness::State::Watch& watch, const LocalNode& node, std::uint64_t delivered,
                std::uint64_t returned, Emit& emit) {
    const LossWatch::Change change =
        watch.loss.look(delivered, returned, node.loss_limit, emit.now_ns);
    const bool again =
        (watch.loss.lossy() && emit.now_ns - watch.lossy_told_ns >= tell_again_ns) ||
        states_now(watch, emit.now_ns);
    if (change == LossWatch::Change::none && !again) return;
    watch.lossy_told_ns = emit.now_ns;
    char text[256];
    const int n = std::snprintf(
        text, sizeof text,
        R"({"event":"%s","node":"%.63s","node_id":%u,"loss":%u,"limit":%u%s})",
        watch.loss.lossy() ? "node-lossy" : "node-whole", node.name.c_str(), node.id,
        watch.loss.loss(), node.loss_limit,
        change == LossWatch::Change::none ? R"(,"again":true)" : "");
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

// Once a second.
void look(Liveness::State::Watch& watch, const LocalNode& node, NodeSlot& slot, Emit& emit) {
    if (watch.looked_ns != 0 && emit.now_ns - watch.looked_ns < second_ns) return;
    const std::uint64_t delivered = slot.delivered(Side::left) + slot.delivered(Side::right);
    const std::uint64_t bytes = slot.delivered_bytes();
    watch_returns(watch, slot);
    watch_loss(watch, node, delivered, slot.returned(Side::left) + slot.returned(Side::right),
               emit);
    watch_load(watch, node, slot, delivered, bytes, emit);
    watch.stated |= states_now(watch, emit.now_ns);
    watch.looked_ns = emit.now_ns;
    watch.delivered = delivered;
    watch.bytes = bytes;
}

}  // namespace

Liveness::State::Publication* place_for(const LocalNode& node, CtrlOp op, Liveness::State& state) {
    Liveness::State::Publication* place = nullptr;
    for (Liveness::State::Publication& message : state.publications) {
        if (message.node_id == node.id && message.op == op) message = {};
        if (message.node_id == 0 && !place) place = &message;
    }
    return place;
}

void arrange_watches(const NodeTable& table, Liveness::State& state) {
    if (state.watched_digest == table.digest) return;
    const auto before = state.watches;
    for (std::size_t n = 0; n < max_local_nodes; ++n) {
        const auto is_same = [&](const Liveness::State::Watch& watch) {
            return n < table.nodes.size() && watch.node_id == table.nodes[n].id;
        };
        const auto at = std::ranges::find_if(before, is_same);
        state.watches[n] = at != before.end() ? *at : Liveness::State::Watch{};
    }
    state.watched_digest = table.digest;
}

void begin_watch(const LocalNode& node, std::size_t n, Liveness::State& state,
                 std::uint64_t now_ns) {
    Liveness::State::Watch& watch = state.watches[n];
    if (watch.node_id == node.id) return;
    watch = {};
    watch.node_id = node.id;
    watch.began_ns = now_ns;
    // What an engine before this one told is not told again (PS-7).
    watch.overload = state.binding.slot(n).overload_told.load(std::memory_order_acquire);
}

void watch_node(const LocalNode& node, std::size_t n, Liveness::State& state, Emit& emit) {
    look(state.watches[n], node, state.binding.slot(n), emit);
    tell_overload(state.watches[n], node, state.binding.slot(n), state, emit);
}

}  // namespace weir::chain
