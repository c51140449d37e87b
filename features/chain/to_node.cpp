#include "features/chain/to_node.hpp"

#include <algorithm>

#include "dataplane/cut.hpp"
#include "features/chain/resources.hpp"
#include "model/value.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/nsh.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::Packet;
using Exit = ToNode::Exit;

constexpr std::uint64_t timing_pause_ns = 10'000'000;  // between timed packets, a node and worker
constexpr std::uint64_t timing_limit_ns = 1'000'000'000;  // then the timed packet counts as lost
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

bool take_timing(NodeSlot& slot, std::uint64_t& from_ns, std::uint64_t now_ns) {
    if (now_ns < from_ns) return false;
    from_ns = now_ns + timing_pause_ns;
    std::uint64_t running = slot.timed_ns.load(std::memory_order_relaxed);
    if (running != 0 && now_ns - running < timing_limit_ns) return false;
    return slot.timed_ns.compare_exchange_strong(running, now_ns, std::memory_order_acq_rel);
}

struct Work {
    const ToNode::Tables& tables;
    ToNode::State& state;
    Emit& emit;
};

// To the node's port; copies are not expected back and not counted.
Exit hand_over(Packet& p, const NodeTable::Place& place, std::uint32_t port, Work& work) {
    if (!p.smd.copy) add_one(work.state.binding.tally(place.node).delivered[p.smd.reverse ? 1 : 0]);
    work.emit.transmit(p, port);
    return sent;
}

Exit to_aware(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = work.tables.nodes.nodes[place.node];
    const LocalNode::Vnic& vnic = node.vnics[0];
    NodeSlot& slot = work.state.binding.slot(place.node);
    if (p.length + net::nsh_md2_bytes > vnic.mtu) return Exit::mtu;
    if (p.headroom < net::nsh_md2_bytes + net::ethernet_bytes) return Exit::bad_frame;
    const bool timed =
        !p.smd.copy && take_timing(slot, work.state.time_from_ns[place.node], work.emit.now_ns);
    net::Nsh nsh;
    nsh.smd = p.smd;
    nsh.smd.returning = nsh.smd.live_ack = false;
    nsh.smd.live_query = take_query(node, slot, work.emit.now_ns);
    nsh.cookie = cookie(work.state.binding.secret(place.node), nsh.smd, timed);
    net::push_nsh(p, nsh);
    net::push_ethernet(p, vnic.mac, work.tables.nodes.proxy_mac, net::ethertype_nsh);
    if (p.smd.trace) {
        slot.trace.store(std::uint64_t{p.hand.trace_id} << 32 | p.hand.trace_collector,
                         std::memory_order_relaxed);
        slot.traced_flow.store(p.smd.flow_handle, std::memory_order_release);
    }
    return hand_over(p, place, vnic.port, work);
}

// A hop that cannot be made is left out where the chain allows it (§5.5).
Exit without_context(Packet& p, Work& work) {
    if (p.smd.copy || work.tables.policy_of(p.smd.sci) == FailurePolicy::block)
        return Exit::ctx_full;
    ++work.state.skipped;
    work.emit.note(p, "skipped", "no context");
    p.smd.si = static_cast<std::uint8_t>(p.smd.si - 1);
    p.destination_port = net::no_port;
    work.emit.enter(p, dataplane::Context::service, work.emit.stages->service_from_anchor);
    return sent;
}

void time_context(Context& context, std::uint64_t now_ns) {
    if (context.inside == 0 && context.sampled_ns == 0) context.sampled_ns = now_ns;
    if (context.inside != 0xffff) ++context.inside;
}

Exit to_l2(Packet& p, const NodeTable::Place& place, Work& work) {
    const LocalNode& node = work.tables.nodes.nodes[place.node];
    // Forward packets enter on the left, reverse ones on the right, whichever port was resolved.
    const LocalNode::Vnic& vnic = node.vnics[p.smd.reverse ? 1 : 0];
    if (vnic.port == net::no_port) return without_context(p, work);
    if (p.length - net::ethernet_bytes > vnic.mtu) return Exit::mtu;
    if (p.headroom < net::vlan_bytes) return Exit::bad_frame;
    Contexts& contexts = work.state.binding.contexts(place.node);
    Context* context =
        contexts.refresh(p.smd, p.headers.proto, p.headers.tcp_flags, work.emit.now_ns);
    if (!context) return without_context(p, work);
    time_context(*context, work.emit.now_ns);
    context->trace_id = p.hand.trace_id;
    context->trace_collector = p.hand.trace_collector;
    const std::uint16_t vlan = contexts.vlan_of(*context);
    work.emit.note(p, "vlan", vlan);
    net::push_vlan(p, vlan);
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
    return node.mode == NodeMode::aware ? to_aware(p, place, work) : to_l2(p, place, work);
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

}  // namespace

FailurePolicy ToNode::Tables::policy_of(std::uint32_t sci) const {
    const auto at = std::ranges::lower_bound(policies, sci, {}, &Policy::sci);
    return at != policies.end() && at->sci == sci ? at->policy : FailurePolicy::block;
}

Result<std::shared_ptr<const ToNode::Tables>> ToNode::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    auto nodes = compile_nodes(input);
    if (!nodes) return nodes.error();
    Tables tables{*std::move(nodes), {}};
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
        const Exit why = !ready ? without_context(*p, work)
                         : p->flags & net::packet_super_frame
                             ? deliver_segments(*p, *place, work, exits)
                             : deliver(*p, *place, work);
        if (why != sent) exits.take(*p, why);
    }
}

void ToNode::tick(const Tables& tables, State& state, dataplane::Exits<Exit>&, Emit& emit) {
    if (!state.binding.follow(tables.nodes, true)) return;
    for (std::size_t n = 0; n < tables.nodes.nodes.size(); ++n)
        if (tables.nodes.nodes[n].mode == NodeMode::l2)
            state.binding.contexts(n).expire(emit.now_ns);
}

void ToNode::counters(const Tables& tables, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_service_hops_skipped_total", {{"reason", "no_context"}}, state.skipped);
    sink.add("weir_service_frames_segmented_total", {}, state.segmented);
    if (state.binding.size() != tables.nodes.nodes.size()) return;
    for (std::size_t n = 0; n < tables.nodes.nodes.size(); ++n) {
        const LocalNode& node = tables.nodes.nodes[n];
        if (node.vnics[0].foreign) continue;  // the engine that has the port counts it
        const Tally& tally = state.binding.tally(n);
        for (const std::size_t reverse : {0u, 1u}) {
            const std::string_view direction = reverse ? "reverse" : "forward";
            sink.add("weir_service_node_packets_total",
                     {{"node", node.name}, {"direction", direction}, {"way", "to"}},
                     tally.delivered[reverse].load(std::memory_order_relaxed));
            sink.add("weir_service_node_packets_total",
                     {{"node", node.name}, {"direction", direction}, {"way", "from"}},
                     tally.returned[reverse].load(std::memory_order_relaxed));
        }
        if (node.mode == NodeMode::l2)
            sink.add("weir_service_node_contexts", {{"node", node.name}},
                     state.binding.contexts(n).size());
    }
}

bool ToNode::query(std::string_view what, const Tables& tables, State& state, Emit& emit,
                   model::Value& rows) {
    if (what != "contexts") return false;
    if (!state.binding.follow(tables.nodes, true)) return true;
    constexpr std::size_t most = 256;
    for (std::size_t n = 0; n < tables.nodes.nodes.size(); ++n) {
        const LocalNode& node = tables.nodes.nodes[n];
        if (node.mode != NodeMode::l2 || node.vnics[0].foreign) continue;
        Contexts& contexts = state.binding.contexts(n);
        for (std::uint16_t vlan = 1; vlan <= max_contexts && rows.size() < most; ++vlan) {
            const Context* context = contexts.find(vlan, emit.now_ns);
            if (!context) continue;
            model::Value& row = rows.push(model::Value::object());
            row.set("node", node.name);
            row.set("vlan", std::uint64_t{vlan});
            row.set("spi", std::uint64_t{context->smd.spi});
            row.set("si", std::uint64_t{context->smd.si});
            row.set("direction", context->smd.reverse ? "reverse" : "forward");
            row.set("anchor_host", std::uint64_t{context->smd.anchor_host});
            row.set("flow_handle", std::uint64_t{context->smd.flow_handle});
            row.set("idle_ms", (emit.now_ns - context->used_ns) / 1'000'000);
        }
    }
    return true;
}

}  // namespace weir::chain
