#include "features/chain/node/to_node.hpp"

#include <algorithm>

#include "dataplane/cut.hpp"
#include "features/chain/hop/resolve_step.hpp"
#include "features/chain/node/header_mark.hpp"
#include "features/chain/node/slow_watch.hpp"
#include "features/chain/node/to_node_work.hpp"
#include "features/chain/packet_mark.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/geneve.hpp"
#include "net/gwlb.hpp"
#include "net/hash.hpp"
#include "net/nsh.hpp"
#include "net/quick_nsh.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::Packet;
using Exit = ToNode::Exit;

constexpr std::uint64_t timing_pause_ns = 10'000'000;  // between timed packets, a node and worker
constexpr std::uint64_t timing_limit_ns = 1'000'000'000;  // then the timed packet counts as lost
constexpr std::uint8_t outer_ttl = 64;
constexpr Exit sent = Exit::count_;

// Whether this packet carries the liveness query (LV-2): one packet of all workers wins it.
bool take_query(const LocalNode& node, NodeSlot& slot, std::uint64_t now_ns) {
    if (!node.liveness_support) return false;
    std::uint64_t from = slot.ask_from_ns.load(std::memory_order_relaxed);
    if (now_ns < from) return false;
    if (!slot.ask_from_ns.compare_exchange_strong(from, never_ns, std::memory_order_acq_rel))
        return false;
    slot.asked_ns.store(now_ns, std::memory_order_release);
    slot.rode_ns.store(now_ns, std::memory_order_relaxed);
    slot.questions.fetch_add(1, std::memory_order_relaxed);
    return true;
}

// One packet of a node at a time is timed: of the flows that are watched whenever there is one,
// else one in a while.
bool take_timing(const Packet& p, NodeSlot& slot, std::uint64_t& from_ns, std::uint64_t now_ns) {
    if (now_ns < from_ns && !Symmetry::watches(p.smd)) return false;
    from_ns = now_ns + timing_pause_ns;
    std::uint64_t running = slot.timed_ns.load(std::memory_order_relaxed);
    if (running != 0 && now_ns - running < timing_limit_ns) return false;
    return slot.timed_ns.compare_exchange_strong(running, timed_at(p.smd, now_ns),
                                                 std::memory_order_acq_rel);
}

struct Work {
    const ToNode::Tables& tables;
    ToNode::State& state;
    Emit& emit;
};

// To the node's port; copies are not expected back and not counted.
Exit hand_over(Packet& p, const NodeTable::Place& place, std::uint32_t port, Work& work) {
    if (!p.smd.copy) {
        Tally& tally = work.state.binding.tally(place.node);
        add_one(tally.delivered[p.smd.reverse ? 1 : 0]);
        add(tally.delivered_bytes, p.length);
    }
    if (p.ctrl_count != 0)
        work.state.proxies.put(p, work.tables.nodes.nodes[place.node].id, work.emit.now_ns);
    work.emit.transmit(p, port);
    return sent;
}

// A hop that cannot be made is left out where the chain allows it (§5.5).
Exit without_context(Packet& p, Work& work) {
    if (p.smd.copy || work.tables.policy_of(p.smd.sci) != FailurePolicy::allow)
        return Exit::ctx_full;
    ++work.state.skipped;
    work.emit.note(p, "skipped", "no context");
    p.smd.si = static_cast<std::uint8_t>(p.smd.si - 1);
    p.destination_port = net::no_port;
    work.emit.enter(p, dataplane::Context::service, work.emit.stages->service_from_anchor);
    return sent;
}

// One packet of a context at a time is timed. With others inside it is known by its mark when it
// comes back; alone it need not be, so that nodes which change everything are timed too.
template <class AnyContext>
void time_context(AnyContext& context, const Packet& p, std::uint64_t now_ns) {
    if (context.sampled_ns == 0 || now_ns - context.sampled_ns >= timing_limit_ns) {
        context.sampled_ns = timed_at(p.smd, now_ns);
        context.sample_mark = context.inside == 0 ? std::uint16_t{0} : frame_mark(p);
    }
    if (context.inside != 0xffff) ++context.inside;
}

// What is remembered of the packet while it is in a node without metadata; null: nothing can be.
FlowContext* remember(Packet& p, const NodeTable::Place& place, ContextOf of, Work& work) {
    const net::Tuple tuple = tuple_key(p.headers, p.tuple);
    const auto [context, taken] = work.state.binding.flow_contexts().refresh(
        {work.state.binding.slot_number(place.node), of, p.smd, p.headers, tuple},
        work.emit.now_ns);
    if (taken) ++work.state.conflicts;
    if (!context) return nullptr;
    time_context(*context, p, work.emit.now_ns);
    context->trace_id = p.hand.trace_id;
    context->trace_collector = p.hand.trace_collector;
    return context;
}

// The same for a node that carries the context's number.
FlowContext* remember_by_cookie(Packet& p, const NodeTable::Place& place, ContextOf of,
                                Work& work) {
    FlowContext* context = remember(p, place, of, work);
    if (!context) return nullptr;
    const std::uint32_t id = work.state.binding.flow_contexts().id_of(*context);
    // One that came from another host may have another number here. A mark has its number beside
    // the cookie.
    const bool is_former = id_of_cookie(context->cookie) != id &&
                           work.tables.nodes.nodes[place.node].contexts != NodeContexts::mark;
    if (context->cookie == 0 || is_former)
        context->cookie = context_cookie(work.state.binding.secret(place.node), id,
                                         std::uint64_t{p.smd.flow_handle} << 32 ^ p.smd.spi ^
                                             std::uint64_t{p.smd.anchor_host} << 16);
    return context;
}

Exit to_aware(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = work.tables.nodes.nodes[place.node];
    const LocalNode::Vnic& vnic = node.vnics[0];
    NodeSlot& slot = work.state.binding.slot(place.node);
    const bool fixed = node.metadata == NshMetadata::type1;
    const auto nsh_bytes =
        static_cast<std::uint32_t>(fixed ? net::nsh_md1_bytes : net::nsh_md2_bytes);
    if (p.length + nsh_bytes > vnic.mtu) return Exit::mtu;
    if (p.headroom < nsh_bytes + net::ethernet_bytes) return Exit::bad_frame;
    const FlowContext* context = nullptr;
    if (fixed && !(context = remember_by_cookie(p, place, ContextOf::direction, work)))
        return without_context(p, work);
    p.smd.returning = p.smd.live_ack = false;
    p.smd.live_query = take_query(node, slot, work.emit.now_ns);
    if (fixed) {
        net::Nsh nsh;
        nsh.md_type = net::MdType::fixed;
        nsh.smd = p.smd;
        nsh.cookie = context->cookie;
        net::push_nsh(p, nsh);
    } else {
        std::uint64_t& from_ns = work.state.time_from_ns[place.node];
        const bool timed = !p.smd.copy && take_timing(p, slot, from_ns, work.emit.now_ns);
        const std::uint32_t cookie =
            work.state.cookies.of(work.state.binding.secret(place.node), p.smd, timed);
        net::write_quick_nsh(p.prepend(net::nsh_md2_bytes), p.smd, cookie);
    }
    net::push_ethernet(p, vnic.mac, work.tables.nodes.proxy_mac, net::ethertype_nsh);
    if (p.smd.trace) {
        slot.trace.store(std::uint64_t{p.hand.trace_id} << 32 | p.hand.trace_collector,
                         std::memory_order_relaxed);
        slot.traced_flow.store(p.smd.flow_handle, std::memory_order_release);
    }
    return hand_over(p, place, vnic.port, work);
}

// Two tags tell the contexts apart.
Exit to_l2_by_two_tags(Packet& p, const NodeTable::Place& place, std::uint32_t port, Work& work) {
    if (p.headroom < 2 * net::vlan_bytes) return Exit::bad_frame;
    const FlowContext* context = remember(p, place, ContextOf::direction, work);
    if (!context) return without_context(p, work);
    const TwoTags tags = tags_of(work.state.binding.flow_contexts().id_of(*context));
    work.emit.note(p, "outer_vlan", tags.outer);
    work.emit.note(p, "vlan", tags.inner);
    net::push_vlan(p, tags.inner);
    net::push_vlan(p, tags.outer, net::ethertype_qinq);
    return hand_over(p, place, port, work);
}

Exit to_l2(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = work.tables.nodes.nodes[place.node];
    // Forward packets enter on the left, reverse ones on the right, whichever port was resolved.
    const LocalNode::Vnic& vnic = node.vnics[p.smd.reverse ? 1 : 0];
    if (vnic.port == net::no_port) return without_context(p, work);
    if (p.length - net::ethernet_bytes > vnic.mtu) return Exit::mtu;
    if (node.contexts == NodeContexts::qinq) return to_l2_by_two_tags(p, place, vnic.port, work);
    if (node.contexts == NodeContexts::tuple) {
        if (!remember(p, place, ContextOf::tuple, work)) return without_context(p, work);
        return hand_over(p, place, vnic.port, work);
    }
    if (p.headroom < net::vlan_bytes) return Exit::bad_frame;
    Contexts& contexts = work.state.binding.contexts(place.node);
    Context* context =
        contexts.refresh(p.smd, p.headers.proto, p.headers.tcp_flags, work.emit.now_ns);
    if (!context) return without_context(p, work);
    time_context(*context, p, work.emit.now_ns);
    context->trace_id = p.hand.trace_id;
    context->trace_collector = p.hand.trace_collector;
    if (context->tuple.proto == 0 && p.headers.fragment != net::Fragment::later)
        context->tuple = p.tuple;
    const std::uint16_t vlan = contexts.vlan_of(*context);
    work.emit.note(p, "vlan", vlan);
    net::push_vlan(p, vlan);
    return hand_over(p, place, vnic.port, work);
}

void keep_tags(Packet& p, FlowContext& context) {
    context.tag_count = 0;
    while (context.tag_count < context.tags.size()) {
        const std::uint32_t protocol = net::load16(p.data + 12);
        std::uint16_t tci = 0;
        if (!net::pop_vlan(p, tci)) return;
        context.tags[context.tag_count++] = protocol << 16 | tci;
    }
}

// The same for a node that leaves a mark alone.
FlowContext* remember_by_mark(Packet& p, const NodeTable::Place& place, Work& work) {
    if (!can_be_marked(p)) return nullptr;
    FlowContext* context = remember_by_cookie(p, place, ContextOf::direction, work);
    if (!context) return nullptr;
    const std::uint32_t mark =
        mark_of(work.state.binding.flow_contexts().id_of(*context), work.emit.workers);
    if (mark == no_mark) return nullptr;
    work.emit.note(p, "mark", mark);
    write_mark(p, *context, mark);
    return context;
}

// A router is on the link between itself and the proxy: the guest's MACs and tags stay here.
Exit to_l3(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = work.tables.nodes.nodes[place.node];
    const Side side = p.smd.reverse ? Side::right : Side::left;
    const LocalNode::Vnic& vnic = node.vnics[static_cast<std::size_t>(side)];
    if (vnic.port == net::no_port) return without_context(p, work);
    if (p.headers.family == net::Family::none) return Exit::bad_frame;
    if (p.length - p.headers.l3 > vnic.mtu) return Exit::mtu;
    FlowContext* context = node.contexts == NodeContexts::mark
                               ? remember_by_mark(p, place, work)
                               : remember(p, place, ContextOf::tuple, work);
    if (!context) return without_context(p, work);
    keep_tags(p, *context);
    net::set_macs(p, vnic.mac, proxy_side_mac(node.id, side));
    return hand_over(p, place, vnic.port, work);
}

// An appliance gets the IP packet behind Geneve. Its endpoint is the guest's network, its
// attachment the chain; the cookie is the same for both directions, as appliances may expect.
Exit to_gwlb(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = work.tables.nodes.nodes[place.node];
    const LocalNode::Vnic& vnic = node.vnics[0];
    const std::uint32_t ip_bytes = node.address.is4() ? net::ip4_min_bytes : net::ip6_bytes;
    const std::uint32_t overhead = ip_bytes + net::udp_bytes + net::gwlb_bytes;
    if (p.headers.family == net::Family::none) return Exit::bad_frame;
    if (p.length - p.headers.l3 + overhead > vnic.mtu) return Exit::mtu;
    if (p.headroom + p.headers.l3 < overhead + net::ethernet_bytes) return Exit::bad_frame;
    FlowContext* context = remember_by_cookie(p, place, ContextOf::flow, work);
    if (!context) return without_context(p, work);
    const std::uint16_t source_port = net::outer_source_port(net::symmetric_hash(p.tuple));
    const std::uint16_t protocol =
        p.headers.family == net::Family::ip4 ? net::ethertype_ip4 : net::ethertype_ip6;
    p.trim_to(std::min<std::uint32_t>(p.length, p.headers.l3_end));  // Ethernet's padding stays
    keep_tags(p, *context);
    p.strip(net::ethernet_bytes);
    const net::Gwlb gwlb{std::uint64_t{node.svni} << 32 | p.smd.tenant_vni, p.smd.sci,
                         context->cookie};
    const net::OuterAddresses outer{node.gwlb_proxy(), node.address,
                                    proxy_side_mac(node.id, Side::left), vnic.mac};
    if (!net::push_gwlb(p, gwlb, protocol) || !net::push_outer(p, outer, source_port, outer_ttl))
        return Exit::bad_frame;
    return hand_over(p, place, vnic.port, work);
}

// What was negotiated between guest and host means nothing to the node (DP-25). Control packets
// never come here: Arrive and Resolve leave them to those who read messages (HD-5).
Exit deliver(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = work.tables.nodes.nodes[place.node];
    if (!net::resolve_partial_checksum(p)) return Exit::bad_frame;
    if (p.length < net::ethernet_bytes) return Exit::bad_frame;
    net::set_macs(p, p.smd.original_dst, p.smd.original_src);
    work.emit.note(p, "node", node.name);
    work.emit.note(p, "si", p.smd.si);
    work.emit.note(p, "d", p.smd.reverse ? 1 : 0);
    switch (node.mode) {
        case NodeMode::aware:
            return to_aware(p, place, work);
        case NodeMode::l2:
            return to_l2(p, place, work);
        case NodeMode::l3:
            return to_l3(p, place, work);
        case NodeMode::gwlb:
            return to_gwlb(p, place, work);
    }
    return Exit::bad_frame;
}

// The node is on its way to another host: what comes for it waits until it is there.
Exit wait_for_node(Packet& p, const NodeTable::Place& place, Work& work) {
    ToNode::State& state = work.state;
    if (state.waits == state.waiting.size()) return Exit::queue_full;
    const LocalNode& node = work.tables.nodes.nodes[place.node];
    state.waiting[state.waits++] = {&p, p.destination_port, node.id, node.frozen_for,
                                    work.emit.now_ns + frozen_ns};
    work.emit.note(p, "waits for", node.name);
    work.emit.keep(p);
    return sent;
}

// The segments go on by themselves; the whole is freed.
Exit deliver_segments(Packet& whole, const NodeTable::Place& place, Work& work,
                      dataplane::Exits<Exit>& exits) {
    const auto take = [&](Packet& piece) {
        if (const Exit why = deliver(piece, place, work); why != sent) {
            exits.note(why);
            work.emit.release(piece);
        }
    };
    if (!dataplane::cut_super_frame(whole, work.emit, take)) return Exit::bad_frame;
    ++work.state.segmented;
    return sent;
}

enum class Waits : std::uint8_t { still = 0, here, there, too_long };

// The node thawed, or is gone, or its new host says that it is there.
Waits fate_of(const ToNode::State::Waiting& one, Work& work) {
    const NodeTable::Place* place = work.tables.nodes.at(one.port);
    const bool here = place && work.tables.nodes.nodes[place->node].id == one.node_id;
    if (here && work.tables.nodes.nodes[place->node].frozen_for == 0) return Waits::here;
    const Move* move = work.tables.move(one.node_id);
    if (move && (!here || work.state.moves.is_away(*move))) return Waits::there;
    return here && work.emit.now_ns < one.until_ns ? Waits::still : Waits::too_long;
}

Exit deliver_any(Packet& p, const NodeTable::Place& place, Work& work,
                 dataplane::Exits<Exit>& exits) {
    return p.flags & net::packet_super_frame ? deliver_segments(p, place, work, exits)
                                             : deliver(p, place, work);
}

// To the host that the node went to, as if it had not stopped here.
Exit follow(Packet& p, std::uint32_t to_host, Work& work) {
    if (p.flags & net::packet_super_frame || !net::resolve_partial_checksum(p))
        return Exit::bad_frame;
    if (!spend_ttl(p.smd)) return Exit::ttl_expired;
    p.destination_port = net::no_port;
    p.tunnel_peer = to_host;
    ++work.state.followed;
    work.emit.enter(p, dataplane::Context::service, work.emit.stages->service_from_anchor);
    return sent;
}

std::uint32_t contexts_in_use(const LocalNode& node, std::size_t n, const NodeBinding& binding) {
    std::size_t used = 0;
    if (node.has_vlan_contexts()) used = binding.contexts(n).size();
    if (node.has_flow_contexts()) used = binding.flow_contexts().size(binding.slot_number(n));
    return static_cast<std::uint32_t>(used);
}

}  // namespace

Exit give_usual(Packet& p, const NodeTable::Place& place, const ToNode::Tables& tables,
                ToNode::State& state, Emit& emit) {
    Work work{tables, state, emit};
    return tables.nodes.nodes[place.node].mode == NodeMode::aware ? to_aware(p, place, work)
                                                                  : to_l2(p, place, work);
}

FailurePolicy ToNode::Tables::policy_of(std::uint32_t sci) const {
    const auto at = std::ranges::lower_bound(policies, sci, {}, &Policy::sci);
    return at != policies.end() && at->sci == sci ? at->policy : FailurePolicy::block;
}

const Move* ToNode::Tables::move(std::uint32_t node_id) const {
    const auto at = std::ranges::lower_bound(moves, node_id, {}, &Move::node_id);
    return at != moves.end() && at->node_id == node_id ? &*at : nullptr;
}

Result<std::shared_ptr<const ToNode::Tables>> ToNode::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    auto nodes = compile_nodes(input);
    if (!nodes) return nodes.error();
    Tables tables{*std::move(nodes), {}, {}, {}};
    for (const auto& [name, move] : input.snapshot.all<ServiceNodeMove>()) {
        if (move.to == input.ports.host_name)
            tables.expected.emplace_back(move.node_id, move.number);
        if (move.from == input.ports.host_name)
            tables.moves.push_back({move.node_id, move.svni, move.number, move.from_id, move.to_id,
                                    name, false, {}});
    }
    std::ranges::sort(tables.expected);
    std::ranges::sort(tables.moves, {}, &Move::node_id);
    for (const auto& [name, chain] : input.snapshot.all<ServiceChain>())
        tables.policies.push_back({chain.sci, chain.failure_policy});
    std::ranges::sort(tables.policies, {}, &Tables::Policy::sci);
    if (previous && *previous == tables) return std::shared_ptr(previous);
    return std::shared_ptr<const Tables>(std::make_shared<Tables>(std::move(tables)));
}

void ToNode::run(dataplane::Burst& burst, const Tables& tables, State& state,
                 dataplane::Exits<Exit>& exits, Emit& emit) {
    const bool ready = state.binding.follow(tables.nodes, true);
    Work work{tables, state, emit};
    for (Packet* p : burst.packets()) {
        const NodeTable::Place* place = tables.nodes.at(p->destination_port);
        if (!place) continue;
        const bool frozen = tables.nodes.nodes[place->node].frozen_for != 0;
        const Exit why = frozen   ? wait_for_node(*p, *place, work)
                         : !ready ? without_context(*p, work)
                                  : deliver_any(*p, *place, work, exits);
        if (why != sent) exits.take(*p, why);
    }
}

namespace {

// In the order they came.
void look_after_waiting(Work& work, dataplane::Exits<Exit>& exits) {
    ToNode::State& state = work.state;
    std::size_t left = 0;
    for (std::size_t i = 0; i < state.waits; ++i) {
        const ToNode::State::Waiting one = state.waiting[i];
        const Waits fate = fate_of(one, work);
        if (fate == Waits::still) {
            state.waiting[left++] = one;
            continue;
        }
        Exit why = Exit::queue_full;
        if (fate == Waits::there) why = follow(*one.packet, one.to_host, work);
        if (fate == Waits::here)
            why = deliver_any(*one.packet, *work.tables.nodes.at(one.port), work, exits);
        if (why == sent) continue;
        exits.note(why);
        work.emit.release(*one.packet);
    }
    state.waits = left;
}

}  // namespace

void ToNode::leave(State& state, dataplane::Exits<Exit>& exits, Emit& emit) {
    for (std::size_t i = 0; i < state.waits; ++i) {
        exits.note(Exit::hold_gone);
        emit.release(*state.waiting[i].packet);
    }
    state.waits = 0;
}

void ToNode::tick(const Tables& tables, State& state, dataplane::Exits<Exit>& exits, Emit& emit) {
    if (!state.binding.follow(tables.nodes, true)) return;
    if (state.waits != 0) [[unlikely]] {
        Work work{tables, state, emit};
        look_after_waiting(work, exits);
    }
    NodeBinding& binding = state.binding;
    for (std::size_t n = 0; n < tables.nodes.nodes.size(); ++n) {
        binding.tally(n).contexts.store(contexts_in_use(tables.nodes.nodes[n], n, binding),
                                        std::memory_order_relaxed);
        if (tables.nodes.nodes[n].has_vlan_contexts()) binding.contexts(n).expire(emit.now_ns);
        if (tables.nodes.nodes[n].has_flow_contexts())
            binding.flow_contexts().expire(binding.slot_number(n), emit.now_ns);
    }
}

}  // namespace weir::chain
