#include "features/chain/node/node_transfer.hpp"

#include <algorithm>
#include <functional>
#include <string>

#include "net/rss.hpp"

namespace weir::chain {
namespace {

std::uint64_t idle(std::uint64_t used_ns, std::uint64_t now_ns) {
    return now_ns > used_ns ? now_ns - used_ns : 0;
}

std::uint64_t used(std::uint64_t idle_ns, std::uint64_t now_ns) {
    return idle_ns < now_ns ? now_ns - idle_ns : 1;
}

Error error(Errc code, std::string_view node, std::string why) {
    return {code, "service-node/" + std::string(node), "state", std::move(why)};
}

NodeIdentity identity_of(const LocalNode& node, std::size_t n, ToNode::State& state,
                         std::uint64_t now_ns) {
    const NodeSlot& slot = state.binding.slot(n);
    NodeIdentity out;
    out.secret = state.binding.secret(n);
    out.liveness = slot.judge.save(now_ns);
    out.heartbeat = slot.sequence.load(std::memory_order_acquire);
    out.issuer_sequence = state.proxies.last_sequence(node.id, now_ns);
    return out;
}

SavedFlowContext saved(const FlowContext& context, std::uint32_t id, std::uint64_t now_ns) {
    SavedFlowContext out;
    out.id = id;
    out.cookie = context.cookie;
    out.age = context.age;
    out.known = context.known;
    out.idle_ns = idle(context.used_ns, now_ns);
    out.tuple = context.tuple;
    for (const unsigned direction : {0u, 1u})
        if (context.knows(direction != 0)) out.smd[direction] = context.smd[direction];
    out.before_mark = context.before_mark;
    out.answered = context.answered != 0 ? 1 : 0;
    out.tag_count = context.tag_count;
    std::copy_n(context.tags.begin(), context.tag_count, out.tags.begin());
    return out;
}

FlowContext fresh(const SavedFlowContext& saved, std::uint8_t slot, std::uint64_t now_ns) {
    FlowContext out;
    out.node = slot;
    out.cookie = saved.cookie;
    out.age = saved.age;
    out.known = saved.known;
    out.used_ns = used(saved.idle_ns, now_ns);
    out.tuple = saved.tuple;
    out.smd = saved.smd;
    out.before_mark = saved.before_mark;
    out.answered = saved.answered;
    out.tags = saved.tags;
    out.tag_count = saved.tag_count;
    return out;
}

void take_identity(const SavedNode& in, NodeSlot& slot, ToNode::State& state,
                   std::uint64_t now_ns) {
    const NodeIdentity& identity = *in.identity;
    slot.secret[0].store(identity.secret[0], std::memory_order_relaxed);
    slot.secret[1].store(identity.secret[1], std::memory_order_release);
    slot.judge.restore(identity.liveness, now_ns);
    slot.sequence.store(identity.heartbeat, std::memory_order_release);
    slot.silent_until_ns.store(now_ns + frozen_ns, std::memory_order_release);
    state.proxies.raise_sequence(in.node_id, identity.issuer_sequence, now_ns);
}

void take_tags(const SavedNode& in, const NodeSlot& slot, ToNode::State& state,
               std::uint64_t now_ns, RestoredPart& out) {
    if (in.by_vlan.empty()) return;
    Contexts contexts = state.binding.contexts_of(slot);
    const std::uint32_t epoch = slot.epoch.load(std::memory_order_acquire);
    contexts.claim(epoch);
    for (const SavedContext& one : in.by_vlan) {
        Context context;
        context.smd = one.smd;
        context.age = one.age;
        context.used_ns = used(one.idle_ns, now_ns);
        if (contexts.put(one.vlan, context)) ++out.taken;
    }
    contexts.recover(epoch);
}

// Where the node carries the number, the worker that owns it; else the one that owns the addresses.
bool is_ours(const SavedNode& in, const SavedFlowContext& one, const NodeBinding& binding) {
    const std::uint32_t owner = in.context_of() == ContextOf::tuple
                                    ? net::flow_owner(one.tuple, binding.workers())
                                    : flow_context_owner(one.id, binding.workers());
    return owner == binding.worker();
}

void take_flows(const SavedNode& in, const NodeSlot& slot, ToNode::State& state,
                std::uint64_t now_ns, RestoredPart& out) {
    if (in.by_flow.empty()) return;
    FlowContexts& contexts = state.binding.flow_contexts();
    const std::uint8_t number = state.binding.number_of(slot);
    contexts.claim(number, slot.epoch.load(std::memory_order_acquire));
    std::vector<const SavedFlowContext*> ours, others;
    for (const SavedFlowContext& one : in.by_flow)
        if (is_ours(in, one, state.binding)) ours.push_back(&one);
    // Lists of contexts are in the order of their use: as far as one part tells, so are these.
    std::ranges::stable_sort(ours, std::greater<>(), &SavedFlowContext::idle_ns);
    for (const SavedFlowContext* one : ours) {
        const FlowContext context = fresh(*one, number, now_ns);
        if (contexts.holds(context, in.context_of())) continue;  // it came a second time
        if (contexts.put(one->id, context, in.context_of(), now_ns)) ++out.taken;
        else others.push_back(one);
    }
    for (const SavedFlowContext* one : others) {
        const bool numbered = in.context_of() != ContextOf::tuple;
        if (!contexts.add(fresh(*one, number, now_ns), in.context_of(), now_ns,
                          numbered ? one->id : no_context_id)) {
            ++out.lost;
            continue;
        }
        ++out.taken;
        if (numbered) ++out.renumbered;
    }
}

}  // namespace

Result<SavedPart> save_node(const ToNode::Tables& tables, ToNode::State& state,
                            std::string_view name, std::uint32_t from, std::uint64_t now_ns) {
    const auto& nodes = tables.nodes.nodes;
    const auto found = std::ranges::find(nodes, name, &LocalNode::name);
    if (found == nodes.end()) return error(Errc::not_found, name, "is not on this host");
    const Move* move = tables.move(found->id);
    if (!move || found->frozen_for == 0) return error(Errc::conflict, name, "is not frozen");
    if (!state.binding.follow(tables.nodes, true))
        return error(Errc::unavailable, name, "has no memory");
    const auto n = static_cast<std::size_t>(found - nodes.begin());
    SavedNode out;
    out.node_id = found->id;
    out.move = move->number;
    out.mode = found->mode;
    out.contexts = found->contexts;
    out.metadata = found->metadata;
    SavedPart part;
    if (from == 0) {  // who it is; then what is remembered, from number 1 on
        if (found->has_vlan_contexts() || found->has_flow_contexts()) part.next = 1;
        part.identity = found->vnics[0].polling_worker == state.binding.worker();
        if (!part.identity) return part;
        out.identity = identity_of(*found, n, state, now_ns);
    } else if (found->has_vlan_contexts()) {
        part.next = state.binding.contexts(n).each_from(
            from, max_contexts_of_part, [&](std::uint16_t vlan, const Context& context) {
                out.by_vlan.push_back(
                    {vlan, context.age, idle(context.used_ns, now_ns), context.smd});
            });
    } else {
        part.next = state.binding.flow_contexts().each_from(
            state.binding.slot_number(n), from, max_contexts_of_part,
            [&](std::uint32_t id, const FlowContext& context) {
                out.by_flow.push_back(saved(context, id, now_ns));
            });
    }
    part.bytes = encode(out);
    return part;
}

Result<RestoredPart> restore_node(const ToNode::Tables& tables, ToNode::State& state,
                                  std::span<const std::uint8_t> bytes, std::uint64_t now_ns) {
    const auto in = decode_saved_node(bytes);
    if (!in) return in.error();
    const std::string name = std::to_string(in->node_id);
    if (std::ranges::find(tables.nodes.nodes, in->node_id, &LocalNode::id) !=
        tables.nodes.nodes.end())
        return error(Errc::conflict, name, "is on this host already");
    if (!std::ranges::binary_search(tables.expected, std::pair(in->node_id, in->move)))
        return error(Errc::conflict, name, "is not expected on this host");
    if (!state.binding.follow(tables.nodes, true))
        return error(Errc::unavailable, name, "finds no memory here");
    RestoredPart out;
    if (in->identity) {
        if (state.binding.worker() != 0) return out;
        NodeSlot* slot = state.binding.take_in(in->node_id, in->move, tables.nodes);
        if (!slot) return error(Errc::limit, name, "finds no place: too many nodes are here");
        take_identity(*in, *slot, state, now_ns);
        return out;
    }
    NodeSlot* slot = state.binding.taken_in(in->node_id, in->move);
    if (!slot) return error(Errc::conflict, name, "must say first who it is");
    take_tags(*in, *slot, state, now_ns, out);
    take_flows(*in, *slot, state, now_ns, out);
    return out;
}

}  // namespace weir::chain
