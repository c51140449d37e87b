#include "features/chain/node/from_node.hpp"

#include <algorithm>
#include <string>

#include "features/chain/node/from_node_work.hpp"
#include "features/chain/node/neighbour_answer.hpp"
#include "features/chain/node/profile_map.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/hash.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::chain {

namespace from {
namespace {

constexpr std::uint64_t refill_pause_ns = 100'000;
constexpr std::uint64_t timing_limit_ns = 1'000'000'000;

}  // namespace

bool within_rate(const NodeTable::Place& place, Work& work) {
    NodeRate& rate = work.state.rates[place.node][static_cast<std::size_t>(place.side)];
    const std::uint64_t now = work.emit.now_ns;
    if (rate.looked_ns == 0 || now - rate.looked_ns >= refill_pause_ns) {
        const NodeSlot& slot = work.state.binding.slot(place.node);
        // What went in on the left comes out on the right; others have one side for all.
        const std::uint64_t given =
            node_at(place, work).has_two_sides()
                ? slot.delivered(place.side == Side::right ? Side::left : Side::right)
                : slot.delivered(Side::left) + slot.delivered(Side::right);
        rate.refill(given, now);
    }
    return rate.take();
}

std::optional<Exit> take_link_talk(Packet& p, const NodeTable::Place& place, Work& work) {
    const std::uint32_t port = p.hand.port;
    switch (answer_neighbour(p, node_at(place, work), place.side)) {
        case LinkTalk::question:
            if (!within_rate(place, work)) return Exit::rate_limit;
            work.emit.transmit(p, port);
            work.taken = true;
            return goes_on;
        case LinkTalk::other:
            return Exit::link_talk;
        case LinkTalk::none:
            break;
    }
    return std::nullopt;
}

namespace {

// The service index as it was when the node got the packet, or why that cannot be.
Exit check_cookie(const NodeTable::Place& place, const net::Nsh& nsh, Work& work) {
    const LocalNode& node = node_at(place, work);
    const NodeSecret& secret = work.state.binding.secret(place.node);
    NodeSlot& slot = work.state.binding.slot(place.node);
    net::Smd sent = nsh.smd;
    if (node.can_decrement_si) sent.si = static_cast<std::uint8_t>(sent.si + 1);
    if (cookie(secret, sent, false) == nsh.cookie) return goes_on;
    if (cookie(secret, sent, true) == nsh.cookie) {
        const std::uint64_t since = slot.timed_ns.exchange(0, std::memory_order_acq_rel);
        if (since != 0 && work.emit.now_ns - since < timing_limit_ns)
            work.state.time(place.node, since, work.emit.now_ns);
        return goes_on;
    }
    for (unsigned si = 1; si <= limits::max_hops; ++si) {
        sent.si = static_cast<std::uint8_t>(si);
        if (cookie(secret, sent, false) == nsh.cookie || cookie(secret, sent, true) == nsh.cookie)
            return Exit::bad_si;
    }
    return Exit::immutable_tamper;
}

void restore_trace(Packet& p, const NodeSlot& slot) {
    if (!p.smd.trace || slot.traced_flow.load(std::memory_order_acquire) != p.smd.flow_handle)
        return;
    const std::uint64_t trace = slot.trace.load(std::memory_order_relaxed);
    p.hand.trace_id = static_cast<std::uint32_t>(trace >> 32);
    p.hand.trace_collector = static_cast<std::uint32_t>(trace);
}

void give_order(Packet& p, const NodeOrders::Place& place, Work& work) {
    if (work.order->operation == static_cast<std::uint8_t>(CtrlOp::overload))
        return work.state.orders.take_overload(*work.order, place.index,
                                               work.state.binding.slot(place.index).overload);
    work.state.orders.take(p, *work.order, place, work.emit);
}

// The guest's frame, or what is left of it, as the packet that the order is about.
Exit order_of_frame(Packet& p, const NodeTable::Place& place, const net::NshView& view,
                    Work& work) {
    p.strip(net::ethernet_bytes + view.header_bytes);
    mend_cut_frame(p);
    if (net::parse(p) != net::ParseError::none) return Exit::bad_frame;
    p.smd = view.nsh.smd;
    p.hash = net::symmetric_hash(p.tuple);
    p.vni = p.hand.vni = node_at(place, work).svni;
    p.ctrl_count = 0;
    const auto hop = static_cast<std::uint8_t>(p.smd.initial_si - p.smd.si);
    give_order(p, {node_at(place, work), place.node, hop, true}, work);
    return goes_on;
}

// A node that keeps a packet says what it orders with the packet's first bytes in an O packet, its
// metadata as it got them (orders.md).
Exit take_order_alone(Packet& p, const NodeTable::Place& place, net::NshView& view, Work& work) {
    if (!within_rate(place, work)) return Exit::rate_limit;
    if (view.inner.size() < net::ethernet_bytes) return Exit::bad_frame;
    view.nsh.smd.original_dst = net::Mac::from(view.inner.data());
    view.nsh.smd.original_src = net::Mac::from(view.inner.data() + 6);
    net::Nsh as_returned = view.nsh;
    if (node_at(place, work).can_decrement_si)
        as_returned.smd.si = static_cast<std::uint8_t>(as_returned.smd.si - 1);
    if (const Exit why = check_cookie(place, as_returned, work); why != goes_on) return why;
    if (const Exit why = order_of_frame(p, place, view, work); why != goes_on) return why;
    return work.end(p);
}

// The same of a node with metadata of type 1.
Exit take_fixed_order_alone(Packet& p, net::NshView& view, const NodeTable::Place& place,
                            Work& work) {
    if (view.inner.size() < net::ethernet_bytes) return Exit::bad_frame;
    Exit why = Exit::no_context;
    FlowContext* context = find_by_number(p, id_of_cookie(view.nsh.cookie), place, why, work);
    if (!context) return why;
    if (!work.state.binding.flow_contexts().is_named(*context, view.nsh.cookie, work.emit.now_ns))
        return Exit::immutable_tamper;
    view.nsh.smd = context->of(context->knows(true));
    why = order_of_frame(p, place, view, work);
    return why != goes_on ? why : work.end(p);
}

// Whether a service header of fixed length says what the context's packets were given, and of these
// things one that a node may change at most (HD-4, HD-8).
Exit check_fixed(const net::Smd& back, const net::Smd& sent, const LocalNode& node) {
    if (back.reverse != sent.reverse || back.at_ingress != sent.at_ingress ||
        back.spi != sent.spi || back.initial_si != sent.initial_si || back.sci != sent.sci ||
        back.path_epoch != sent.path_epoch || back.ttl != sent.ttl)
        return Exit::immutable_tamper;
    return back.si + (node.can_decrement_si ? 1 : 0) == sent.si ? goes_on : Exit::bad_si;
}

// MD type 1 says too little: the context that its cookie names knows the rest.
Exit from_aware_fixed(Packet& p, const net::NshView& view, const NodeTable::Place& place,
                      Work& work) {
    if (view.inner.size() < net::ethernet_bytes) return Exit::bad_frame;
    Exit why = Exit::no_context;
    FlowContext* context = find_by_number(p, id_of_cookie(view.nsh.cookie), place, why, work);
    if (!context) return why;
    if (!work.state.binding.flow_contexts().is_named(*context, view.nsh.cookie, work.emit.now_ns))
        return Exit::immutable_tamper;
    const bool reverse = context->knows(true);
    const net::Smd& sent = context->of(reverse);
    if (net::Mac::from(view.inner.data()) != sent.original_dst ||
        net::Mac::from(view.inner.data() + 6) != sent.original_src)
        return Exit::immutable_tamper;
    why = check_fixed(view.nsh.smd, sent, node_at(place, work));
    if (why != goes_on) return why;
    if (sent.copy) return Exit::copy_return;
    const std::uint32_t tag = view.nsh.smd.flow_tag;
    p.strip(net::ethernet_bytes + view.header_bytes);
    take_back(p, *context, reverse, place, work);
    p.smd.flow_tag = tag;
    return goes_on;
}

Exit from_aware(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = node_at(place, work);
    if (p.length < net::ethernet_bytes || net::load16(p.data + 12) != net::ethertype_nsh)
        return Exit::no_context;
    if (net::source_mac(p) != node.vnics[0].mac) return Exit::wrong_source;
    net::NshView view;
    const auto error = net::decode_nsh(p.bytes().subspan(net::ethernet_bytes), view);
    if (error != net::NshError::none) {
        work.emit.note(p, "nsh", net::name(error));
        return Exit::bad_nsh;
    }
    const bool fixed = node.metadata == NshMetadata::type1;
    if ((view.nsh.md_type == net::MdType::fixed) != fixed)
        return Exit::no_context;  // never given to it
    NodeSlot& slot = work.state.binding.slot(place.node);
    const bool answer = view.nsh.smd.live_ack && node.liveness_support;
    if (answer && p.hand.dispatched == 0) add_one(slot.heard[0]);
    work.order = fixed ? flow_action(view.nsh.flow_action) : view.nsh.control;
    if (view.nsh.smd.oam && work.order)
        return fixed ? take_fixed_order_alone(p, view, place, work)
                     : take_order_alone(p, place, view, work);
    if (view.nsh.smd.oam) {
        if (!answer) return Exit::no_context;
        ++work.state.answers[place.node];
        return work.end(p);
    }
    if (fixed) return from_aware_fixed(p, view, place, work);
    if (!within_rate(place, work)) return Exit::rate_limit;
    if (view.inner.size() < net::ethernet_bytes) return Exit::bad_frame;
    view.nsh.smd.original_dst = net::Mac::from(view.inner.data());
    view.nsh.smd.original_src = net::Mac::from(view.inner.data() + 6);
    if (const Exit why = check_cookie(place, view.nsh, work); why != goes_on) return why;
    if (view.nsh.smd.copy) {
        // A tap may give orders (CT-11); its frames end here.
        if (work.order) order_of_frame(p, place, view, work);
        return Exit::copy_return;
    }
    p.strip(net::ethernet_bytes + view.header_bytes);
    p.smd = view.nsh.smd;
    if (!node.can_decrement_si) p.smd.si = static_cast<std::uint8_t>(p.smd.si - 1);
    restore_trace(p, slot);
    return goes_on;
}

// The frame is the guest's again.
Exit finish(Packet& p, const NodeTable::Place& place, Work& work) {
    if (net::parse(p) != net::ParseError::none) return Exit::bad_frame;
    if ((p.flags & net::packet_partial_checksum) && !net::resolve_partial_checksum(p))
        return Exit::bad_frame;
    p.hash = net::symmetric_hash(p.tuple);
    p.vni = p.hand.vni = node_at(place, work).svni;
    p.source_port = p.destination_port = p.tunnel_peer = net::no_port;
    p.hand.source_port = net::no_port;
    p.flow = nullptr;
    p.program = nullptr;
    p.oam = false;
    p.smd.live_query = p.smd.live_ack = false;  // they were between the node and its proxy
    p.ctrl_count = 0;
    work.state.orders.proxies.give_back(p, node_at(place, work).id, work.emit.now_ns);
    if (work.order) {
        const auto hop = static_cast<std::uint8_t>(p.smd.initial_si - p.smd.si - 1);
        give_order(p, {node_at(place, work), place.node, hop, false}, work);
    }
    add_one(work.state.binding.tally(place.node).returned[p.smd.reverse ? 1 : 0]);
    work.emit.note(p, "node", node_at(place, work).name);
    work.emit.note(p, "si", p.smd.si);
    work.emit.note(p, "d", p.smd.reverse ? 1 : 0);
    return goes_on;
}

Exit receive(Packet& p, const NodeTable::Place& place, Work& work) {
    Exit why = Exit::no_context;
    switch (node_at(place, work).mode) {
        case NodeMode::aware:
            why = from_aware(p, place, work);
            break;
        case NodeMode::l2:
            why = from_l2(p, place, work);
            break;
        case NodeMode::l3:
            why = from_l3(p, place, work);
            break;
        case NodeMode::gwlb:
            why = from_gwlb(p, place, work);
            break;
    }
    return why != goes_on || work.taken ? why : finish(p, place, work);
}

}  // namespace
}  // namespace from

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

}  // namespace

void NodeRate::refill(std::uint64_t given_now, std::uint64_t now_ns) {
    constexpr std::uint64_t base = 10'000;  // 1000 packets
    if (looked_ns == 0) {
        *this = {given_now, now_ns, now_ns, 0, 0, base};
        return;
    }
    const std::uint64_t delivered = given_now - given;
    const std::uint64_t elapsed = std::min(now_ns - looked_ns, second_ns);
    given = given_now;
    looked_ns = now_ns;
    if (now_ns - window_ns >= second_ns) {
        last_window_given = now_ns - window_ns < 2 * second_ns ? window_given : 0;
        window_given = 0;
        window_ns = now_ns;
    }
    window_given += delivered;
    const std::uint64_t most = base + 12 * std::max(window_given, last_window_given);
    tokens = std::min(most, tokens + 12 * delivered + elapsed * base / second_ns);
}

Result<std::shared_ptr<const FromNode::Tables>> FromNode::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    auto nodes = compile_nodes(input);
    if (!nodes) return nodes.error();
    Tables table{*std::move(nodes), {}};
    const auto maps = profile_maps(input.snapshot);
    for (const LocalNode& node : table.nodes) {
        if (node.vnics[0].foreign) continue;
        const auto map = maps.find(node.name);
        table.told.push_back(
            {node.name, profile_map_text(input.snapshot, node.name,
                                         map == maps.end() ? ProfileMap() : map->second)});
    }
    if (previous && *previous == table) return std::shared_ptr(previous);
    return std::shared_ptr<const Tables>(std::make_shared<Tables>(std::move(table)));
}

void FromNode::State::arrange(const NodeTable& table, std::uint64_t now_ns) {
    if (digest == table.digest) return;
    const auto keep = [&](auto& array, auto&& fresh) {
        const auto before = array;
        for (std::size_t n = 0; n < table.nodes.size(); ++n) {
            const auto at = std::ranges::find(ids, table.nodes[n].id);
            array[n] = at != ids.end() ? before[static_cast<std::size_t>(at - ids.begin())]
                                       : std::decay_t<decltype(array[n])>(fresh);
        }
    };
    keep(latency, Latency{});
    keep(watched, Latency{});
    keep(slow, SlowWatch{});
    keep(slow_from_ns, now_ns);
    keep(answers, std::uint64_t{0});
    keep(refusals, Refusals{});
    rates = {};
    orders.clear_counters();
    ids = {};
    for (std::size_t n = 0; n < table.nodes.size(); ++n) ids[n] = table.nodes[n].id;
    digest = table.digest;
}

void FromNode::run(dataplane::Burst& burst, const Tables& table, State& state,
                   dataplane::Exits<Exit>& exits, dataplane::Emit& emit) {
    const bool ready = state.binding.follow(table, true);
    state.arrange(table, emit.now_ns);
    for (dataplane::Packet* p : burst.packets()) {
        const NodeTable::Place* place = table.at(p->hand.port);
        from::Work work{table, state, emit};
        const Exit why = !place  ? Exit::not_a_node
                         : ready ? from::receive(*p, *place, work)
                                 : Exit::no_context;
        if (why == from::goes_on) continue;
        if (place) state.refusals[place->node].add(static_cast<std::size_t>(why));
        exits.take(*p, why);
    }
}

namespace {

void count_latency(const std::string& metric, const std::string& node, const Latency& latency,
                   dataplane::CounterSink& sink) {
    if (latency.total == 0) return;
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < Latency::buckets; ++i) {
        below += latency.count[i];
        const std::string le =
            i + 1 < Latency::buckets ? std::to_string(1ull << i) : std::string("+Inf");
        sink.add(metric + "_bucket", {{"node", node}, {"le", le}}, below);
    }
    sink.add(metric + "_count", {{"node", node}}, latency.total);
    sink.add(metric + "_sum", {{"node", node}}, latency.sum_ns / 1000);
}

}  // namespace

void FromNode::counters(const Tables& table, const State& state, dataplane::CounterSink& sink) {
    if (state.digest != table.digest) return;
    state.orders.counters(table, sink);
    for (std::size_t n = 0; n < table.nodes.size(); ++n)
        from::count_refusals(table.nodes[n].name, state.refusals[n], sink);
    for (std::size_t n = 0; n < table.nodes.size(); ++n) {
        const std::string& node = table.nodes[n].name;
        sink.add("weir_service_node_answers_total", {{"node", node}}, state.answers[n]);
        count_latency("weir_service_hop_latency_microseconds", node, state.watched[n], sink);
        if (table.nodes[n].latency_limit_us != 0)
            sink.add("weir_service_node_slow", {{"node", node}}, state.slow[n].slow());
        count_latency("weir_service_node_latency_microseconds", node, state.latency[n], sink);
    }
}

}  // namespace weir::chain
