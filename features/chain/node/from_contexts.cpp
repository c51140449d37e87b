#include "dataplane/dispatch.hpp"
#include "features/chain/liveness/heartbeat.hpp"
#include "features/chain/node/from_node_work.hpp"
#include "features/chain/node/header_mark.hpp"
#include "net/ethernet.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

// Frames of nodes that know nothing of service metadata: which packet is it?
namespace weir::chain::from {
void take_back(Packet& p, FlowContext& context, bool reverse, const NodeTable::Place& place,
               Work& work) {
    leave_context(context, p, place, work);
    p.smd = context.of(reverse);
    p.smd.si = static_cast<std::uint8_t>(p.smd.si - 1);
    p.hand.trace_id = context.trace_id;
    p.hand.trace_collector = context.trace_collector;
}

FlowContext* find_by_number(Packet& p, std::uint32_t id, const NodeTable::Place& place, Exit& why,
                            Work& work) {
    const std::uint32_t owner = flow_context_owner(id, work.emit.workers);
    why = Exit::no_context;
    if (owner >= work.emit.workers) return nullptr;
    if (p.hand.dispatched == 0 && !within_rate(place, work)) {
        why = Exit::rate_limit;
        return nullptr;
    }
    if (owner != work.emit.worker) {
        if (p.hand.dispatched != 0) return nullptr;
        p.hand.dispatched = 2;
        why = work.move_to(p, owner);
        return nullptr;
    }
    NodeBinding& binding = work.state.binding;
    return binding.flow_contexts().find(id, binding.slot_number(place.node), work.emit.now_ns);
}

bool restore_tags(Packet& p, const FlowContext& context) {
    for (std::size_t i = context.tag_count; i-- > 0;)
        if (!net::push_vlan(p, static_cast<std::uint16_t>(context.tags[i]),
                            static_cast<std::uint16_t>(context.tags[i] >> 16)))
            return false;
    return true;
}

namespace {

Exit take_heartbeat(Packet& p, const NodeTable::Place& place, Work& work) {
    const auto beat = parse_heartbeat(p);
    NodeSlot& slot = work.state.binding.slot(place.node);
    if (!beat || beat->live.node != node_at(place, work).id ||
        beat->live.sequence != slot.sequence.load(std::memory_order_acquire))
        return Exit::bad_heartbeat;
    if (beat->entered == place.side) return Exit::wrong_side;
    add_one(slot.heard[static_cast<std::size_t>(place.side)]);
    ++work.state.answers[place.node];
    return work.end(p);
}

// A TCP reset that a node sends back on the side that its packets came in on, in the other end's
// name, orders the same for the whole flow where its service may (DP-16, step 5). `p` is without
// the tags of its context; `sent`: what the context's packets were given with.
bool order_reset(Packet& p, const net::Smd& sent, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = node_at(place, work);
    if ((node.privileges & bit(Privilege::reset_flow)) == 0) return false;
    if (node.mode == NodeMode::l2 &&
        (net::source_mac(p) != sent.original_dst || net::destination_mac(p) != sent.original_src))
        return false;
    if (net::parse(p) != net::ParseError::none || p.headers.proto != net::proto_tcp ||
        p.headers.icmp_error || (p.headers.tcp_flags & net::tcp_rst) == 0)
        return false;
    p.smd = sent;
    p.hash = net::symmetric_hash(p.tuple);
    p.vni = p.hand.vni = node.svni;
    p.ctrl_count = 0;
    const auto hop = static_cast<std::uint8_t>(sent.initial_si - sent.si);
    const net::NodeControl control{static_cast<std::uint8_t>(CtrlOp::flow_reset), 0, 0, 0};
    work.state.orders.take(p, control, {node, place.node, hop, true}, work.emit);
    return true;
}

Exit wrong_side_or_reset(Packet& p, const net::Smd& sent, const NodeTable::Place& place,
                         unsigned tags, Work& work) {
    std::uint16_t tci = 0;
    for (unsigned i = 0; i < tags; ++i) net::pop_vlan(p, tci);
    return order_reset(p, sent, place, work) ? work.end(p) : Exit::wrong_side;
}

Exit from_l2_by_tag(Packet& p, const NodeTable::Place& place, Work& work) {
    const std::uint16_t ethertype = net::load16(p.data + 12);
    if (ethertype != net::ethertype_vlan || p.length < net::ethernet_bytes + net::vlan_bytes)
        return Exit::no_context;
    const auto vlan = static_cast<std::uint16_t>(net::load16(p.data + 14) & 0x0fff);
    const std::uint32_t owner = context_owner(vlan, work.emit.workers);
    if (owner >= work.emit.workers) return Exit::no_context;
    if (p.hand.dispatched == 0 && !within_rate(place, work)) return Exit::rate_limit;
    if (owner != work.emit.worker) {
        if (p.hand.dispatched != 0) return Exit::no_context;
        p.hand.dispatched = 2;
        return work.move_to(p, owner);
    }
    Context* context = work.state.binding.contexts(place.node).find(vlan, work.emit.now_ns);
    if (!context) return Exit::no_context;
    const Side expected = context->smd.reverse ? Side::left : Side::right;
    if (place.side != expected) return wrong_side_or_reset(p, context->smd, place, 1, work);
    if (net::source_mac(p) != context->smd.original_src ||
        net::destination_mac(p) != context->smd.original_dst)
        return Exit::wrong_source;
    if (context->smd.copy) return Exit::copy_return;
    leave_context(*context, p, place, work);
    std::uint16_t tci = 0;
    net::pop_vlan(p, tci);
    p.smd = context->smd;
    p.smd.si = static_cast<std::uint8_t>(p.smd.si - 1);
    p.hand.trace_id = context->trace_id;
    p.hand.trace_collector = context->trace_collector;
    return goes_on;
}

// Whether the frame is one of the context's packets, on the side that those come out on.
Exit check_l2(const Packet& p, FlowContext& context, bool reverse, const NodeTable::Place& place) {
    if (place.side != (reverse ? Side::left : Side::right)) return Exit::wrong_side;
    const net::Smd& sent = context.of(reverse);
    if (net::source_mac(p) != sent.original_src || net::destination_mac(p) != sent.original_dst)
        return Exit::wrong_source;
    return sent.copy ? Exit::copy_return : goes_on;
}

Exit from_l2_by_two_tags(Packet& p, const NodeTable::Place& place, Work& work) {
    if (p.length < net::ethernet_bytes + 2 * net::vlan_bytes ||
        net::load16(p.data + 12) != net::ethertype_qinq ||
        net::load16(p.data + 16) != net::ethertype_vlan)
        return Exit::no_context;
    const std::uint32_t id = id_of({static_cast<std::uint16_t>(net::load16(p.data + 14) & 0x0fff),
                                    static_cast<std::uint16_t>(net::load16(p.data + 18) & 0x0fff)});
    Exit missing = Exit::no_context;
    FlowContext* context = find_by_number(p, id, place, missing, work);
    if (!context) return missing;
    const bool reverse = !context->knows(false);
    if (place.side != (reverse ? Side::left : Side::right))
        return wrong_side_or_reset(p, context->of(reverse), place, 2, work);
    if (const Exit why = check_l2(p, *context, reverse, place); why != goes_on) return why;
    std::uint16_t tci = 0;
    net::pop_vlan(p, tci);
    net::pop_vlan(p, tci);
    take_back(p, *context, reverse, place, work);
    return goes_on;
}

// The context that the packet's own addresses name. It is with the worker that owns these
// addresses, or, where a node before this one changed them or ports are missing, with any other:
// they are asked in turn. HandOver::dispatched counts from 2 how many have been.
Exit find_by_tuple(Packet& p, const NodeTable::Place& place, FlowContext*& found, Work& work) {
    constexpr std::uint8_t first = 2;
    if (p.hand.dispatched == 0) {
        if (!within_rate(place, work)) return Exit::rate_limit;
        const std::uint32_t home =
            dataplane::home_of(p.headers, p.tuple, p.hand, work.emit.workers, work.emit.worker)
                .worker;
        p.hand.dispatched = first;
        if (home != work.emit.worker) return work.move_to(p, home);
    }
    NodeBinding& binding = work.state.binding;
    const std::uint8_t slot = binding.slot_number(place.node);
    const net::Tuple key = tuple_key(p.headers, p.tuple);
    const bool reverse = place.side == Side::left;
    found = binding.flow_contexts().find(key, reverse, slot, work.emit.now_ns);
    p.hand.dispatched = found ? first : p.hand.dispatched;
    if (found) return goes_on;
    if (binding.flow_contexts().find(key, !reverse, slot, work.emit.now_ns))
        return Exit::wrong_side;
    FlowContext* entered =
        binding.flow_contexts().find(key.reversed(), !reverse, slot, work.emit.now_ns);
    if (entered && order_reset(p, entered->of(!reverse), place, work)) return work.end(p);
    if (node_at(place, work).contexts == NodeContexts::proxy) {
        found = begun_by_node(p, reverse, place, work);
        if (found) return goes_on;
    }
    if (p.hand.dispatched - first + 1u >= work.emit.workers) return Exit::no_context;
    ++p.hand.dispatched;
    return work.move_to(p, (work.emit.worker + 1) % work.emit.workers);
}

Exit from_l2_by_tuple(Packet& p, const NodeTable::Place& place, Work& work) {
    if (net::parse(p) != net::ParseError::none) return Exit::bad_frame;
    if (p.headers.family == net::Family::none) return Exit::no_context;
    FlowContext* context = nullptr;
    const Exit why = find_by_tuple(p, place, context, work);
    if (why != goes_on || work.taken) return why;
    const bool reverse = place.side == Side::left;
    if (const Exit bad = check_l2(p, *context, reverse, place); bad != goes_on) return bad;
    take_back(p, *context, reverse, place, work);
    return goes_on;
}

}  // namespace

Exit from_l2(Packet& p, const NodeTable::Place& place, Work& work) {
    if (p.length < net::ethernet_bytes) return Exit::no_context;
    if (net::load16(p.data + 12) == net::ethertype_heartbeat) return take_heartbeat(p, place, work);
    switch (node_at(place, work).contexts) {
        case NodeContexts::qinq:
            return from_l2_by_two_tags(p, place, work);
        case NodeContexts::tuple:
            return from_l2_by_tuple(p, place, work);
        default:
            return from_l2_by_tag(p, place, work);
    }
}

namespace {

Exit take_router_heartbeat(Packet& p, const NodeTable::Place& place, Work& work) {
    const net::Live live = read_router_heartbeat(p);
    NodeSlot& slot = work.state.binding.slot(place.node);
    if (live.node != node_at(place, work).id ||
        live.sequence != slot.sequence.load(std::memory_order_acquire))
        return Exit::bad_heartbeat;
    const std::size_t family = p.headers.family == net::Family::ip4 ? 0 : 1;
    add_one(slot.heard[2 * family + static_cast<std::size_t>(place.side)]);
    ++work.state.answers[place.node];
    return work.end(p);
}

// The context that a router's packet names by its mark, whatever its addresses are now.
Exit find_by_mark(Packet& p, const NodeTable::Place& place, FlowContext*& found, Work& work) {
    if (p.headers.family == net::Family::none || !can_be_marked(p)) return Exit::no_context;
    const std::uint32_t id = id_of_mark(read_mark(p), work.emit.workers);
    Exit missing = Exit::no_context;
    FlowContext* context = find_by_number(p, id, place, missing, work);
    if (!context) return missing;
    const bool reverse = context->knows(true);
    if (!fits_mark(p, *context, reverse)) return Exit::no_context;
    if (place.side != (reverse ? Side::left : Side::right)) return Exit::wrong_side;
    found = context;
    return goes_on;
}

}  // namespace

// A router speaks to its own link; what it routes is from its MAC to the proxy's.
Exit from_l3(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = node_at(place, work);
    if (net::parse(p) != net::ParseError::none) return Exit::bad_frame;
    if (p.hand.dispatched == 0) {
        if (net::source_mac(p) != node.vnics[static_cast<std::size_t>(place.side)].mac)
            return Exit::wrong_source;
        if (const auto talk = take_link_talk(p, place, work)) return *talk;
        if (net::destination_mac(p) != proxy_side_mac(node.id, place.side)) return Exit::link_talk;
        if (is_router_heartbeat(p, node, place.side)) return take_router_heartbeat(p, place, work);
    }
    const bool marked = node.contexts == NodeContexts::mark;
    FlowContext* context = nullptr;
    const Exit why =
        marked ? find_by_mark(p, place, context, work) : find_by_tuple(p, place, context, work);
    if (why != goes_on || work.taken) return why;
    const bool reverse = place.side == Side::left;
    const net::Smd& sent = context->of(reverse);
    if (sent.copy) return Exit::copy_return;
    if (marked) restore_mark(p, *context);
    net::set_macs(p, sent.original_dst, sent.original_src);
    if (!restore_tags(p, *context)) return Exit::bad_frame;
    take_back(p, *context, reverse, place, work);
    return goes_on;
}

}  // namespace weir::chain::from
