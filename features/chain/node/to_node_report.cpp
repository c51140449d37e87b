#include "features/chain/node/to_node.hpp"
#include "model/value.hpp"

// What ToNode shows of itself.
namespace weir::chain {

using dataplane::Emit;

void ToNode::counters(const Tables& tables, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_service_packets_relayed_total", {{"was", "waiting"}}, state.followed);
    sink.add("weir_service_hops_skipped_total", {{"reason", "no_context"}}, state.skipped);
    sink.add("weir_service_frames_segmented_total", {}, state.segmented);
    sink.add("weir_service_context_conflicts_total", {}, state.conflicts);
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
        if (node.has_vlan_contexts())
            sink.add("weir_service_node_contexts", {{"node", node.name}},
                     state.binding.contexts(n).size());
        if (node.has_flow_contexts())
            sink.add("weir_service_node_contexts", {{"node", node.name}},
                     state.binding.flow_contexts().size(state.binding.slot_number(n)));
    }
}

namespace {

// The worker has packets to look after.
constexpr std::size_t most_of_each = 32, most_of_one = 1024;

// Rows of one node, up to a limit.
class ContextRows {
public:
    ContextRows(model::Value& rows, const LocalNode& node, std::size_t most)
        : rows_(rows), node_(node), left_(most) {}

    // False: there was no room for it.
    bool add(const net::Smd& smd, std::uint64_t idle_ns, std::string_view by,
             std::uint64_t number) {
        is_cut_ |= left_ == 0;
        if (is_cut_) return false;
        --left_;
        model::Value& row = rows_.push(model::Value::object());
        row.set("node", node_.name);
        row.set(std::string(by), number);
        row.set("spi", std::uint64_t{smd.spi});
        row.set("si", std::uint64_t{smd.si});
        row.set("direction", smd.reverse ? "reverse" : "forward");
        row.set("anchor_host", std::uint64_t{smd.anchor_host});
        row.set("flow_handle", std::uint64_t{smd.flow_handle});
        row.set("idle_ms", idle_ns / 1'000'000);
        return true;
    }
    bool is_cut() const { return is_cut_; }

private:
    model::Value& rows_;
    const LocalNode& node_;
    std::size_t left_;
    bool is_cut_ = false;
};

void add_vlan_contexts(ContextRows& rows, Contexts& contexts, std::uint64_t now_ns) {
    for (std::uint16_t vlan = 1; vlan <= max_contexts; ++vlan)
        if (const Context* context = contexts.find(vlan, now_ns))
            if (!rows.add(context->smd, now_ns - context->used_ns, "vlan", vlan)) return;
}

void add_flow_contexts(ContextRows& rows, FlowContexts& contexts, std::uint8_t slot,
                       std::uint64_t now_ns) {
    contexts.for_each(slot, [&](const FlowContext& context) {
        for (const bool reverse : {false, true})
            if (context.knows(reverse) &&
                !rows.add(context.smd[reverse ? 1 : 0], now_ns - context.used_ns, "number",
                          contexts.id_of(context)))
                return false;
        return true;
    });
}

}  // namespace

bool ToNode::query(std::string_view what, const Tables& tables, State& state, Emit& emit,
                   model::Value& rows, bool& more) {
    constexpr std::string_view of_one = "contexts.";
    const bool is_of_one = what.starts_with(of_one);
    if (what != "contexts" && !is_of_one) return false;
    if (!state.binding.follow(tables.nodes, true)) return true;
    for (std::size_t n = 0; n < tables.nodes.nodes.size(); ++n) {
        const LocalNode& node = tables.nodes.nodes[n];
        if (node.vnics[0].foreign) continue;
        if (is_of_one && node.name != what.substr(of_one.size())) continue;
        ContextRows out(rows, node, is_of_one ? most_of_one : most_of_each);
        if (node.has_vlan_contexts())
            add_vlan_contexts(out, state.binding.contexts(n), emit.now_ns);
        if (node.has_flow_contexts())
            add_flow_contexts(out, state.binding.flow_contexts(), state.binding.slot_number(n),
                              emit.now_ns);
        more |= out.is_cut();
    }
    return true;
}

}  // namespace weir::chain
