#include <algorithm>
#include <optional>
#include <string>

#include "features/chain/node/from_node_work.hpp"
#include "model/value.hpp"
#include "net/hash.hpp"
#include "net/notation.hpp"
#include "net/parse.hpp"

// Orders that the agent of a node without service metadata gives beside the packets (spec
// service-plane CT-3, §6.3): the flow is named by its addresses as the node sees them.
namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::Packet;
using model::Value;

constexpr unsigned most_looked_at = 8192;  // contexts of each age

struct Question {
    std::string_view node, flow;
    net::NodeControl control;
    std::uint64_t tenant = 0;  // 0: not said
};

// What is wrong with it, or nothing.
std::string read(const Value& from, Question& out) {
    out.node = from["node"].as_text();
    out.flow = from["flow"].as_text();
    if (out.flow.empty()) return "flow: as the node sees it, like tcp 10.0.0.1:4000 > 10.0.0.2:80";
    const std::string& order = from["order"].as_text();
    const auto* const begin = order_names.begin() + 1;
    const auto* const end = begin + static_cast<std::size_t>(CtrlOp::restore);
    const auto* const known = std::find(begin, end, order);
    if (known == end) return "order: flow_allow, flow_drop, flow_reset, node_skip, path_change, "
                             "chain_change, set_tag or restore";
    out.control.operation = static_cast<std::uint8_t>(known - order_names.begin());
    const std::string& scope = from["scope"].as_text();
    if (scope != "" && scope != "both" && scope != "forward" && scope != "reverse")
        return "scope: both, forward or reverse";
    out.control.scope = scope == "forward" ? ctrl_forward : scope == "reverse" ? ctrl_reverse : 0;
    const std::uint64_t reason = from["reason"].as_uint(), parameter = from["parameter"].as_uint();
    if (reason > 0xff) return "reason: 0 to 255";
    if (parameter > 0xffffffff) return "parameter: 0 to 4294967295";
    out.control.reason = static_cast<std::uint8_t>(reason);
    out.control.parameter = static_cast<std::uint32_t>(parameter);
    out.tenant = from["tenant"].as_uint();
    return {};
}

// Metadata of the flow's packets at the node. Two tenants may have equal addresses: with `others`
// there is more than one that the tuple fits.
struct Known {
    std::optional<net::Smd> smd;
    bool others = false;

    void take(const net::Smd& found, std::uint64_t tenant) {
        if (tenant != 0 && found.tenant_vni != tenant) return;
        others |= smd && smd->tenant_vni != found.tenant_vni;
        smd = found;
    }
};

Known look(const net::Tuple& tuple, std::uint64_t tenant, std::size_t n, const LocalNode& node,
           NodeBinding& binding, std::uint64_t now_ns) {
    Known known;
    const net::Tuple turned = tuple.reversed();
    if (node.has_vlan_contexts()) {
        binding.contexts(n).find_if(now_ns, [&](const Context& c) {
            if (c.tuple == tuple || c.tuple == turned) known.take(c.smd, tenant);
            return false;
        });
        return known;
    }
    binding.flow_contexts().find_if(
        binding.slot_number(n), now_ns, most_looked_at, [&](const FlowContext& c) {
            if (c.tuple == tuple || c.tuple == turned)
                known.take(c.smd[c.knows(false) ? 0 : 1], tenant);
            return false;
        });
    return known;
}

// The flow's packet, without content.
Packet* packet_of(std::string_view flow, Emit& emit) {
    const auto frame = net::parse_notation(std::string(flow));
    if (!frame) return nullptr;
    Packet* p = emit.allocate();
    std::uint8_t* room = p ? p->append(static_cast<std::uint32_t>(frame->size())) : nullptr;
    if (room) {
        std::ranges::copy(*frame, room);
        if (net::parse(*p) == net::ParseError::none && p->headers.family != net::Family::none)
            return p;
    }
    if (p) emit.release(*p);
    return nullptr;
}

Value& answer(Value& rows, const char* what, std::string_view text) {
    Value& row = rows.push(Value::object());
    row.set(what, text);
    return row;
}

void give(const Question& asked, std::size_t n, const LocalNode& node, FromNode::State& state,
          Emit& emit, Value& rows) {
    Packet* p = packet_of(asked.flow, emit);
    if (!p) {
        answer(rows, "error", "flow: not like tcp 10.0.0.1:4000 > 10.0.0.2:80");
        return;
    }
    p->hash = net::symmetric_hash(p->tuple);
    const Known known = look(p->tuple, asked.tenant, n, node, state.binding, emit.now_ns);
    if (known.others) {
        answer(rows, "error", "tenant: two tenants have a flow with these addresses in the node");
    } else if (known.smd) {
        p->smd = *known.smd;
        p->smd.trace = false;
        p->vni = p->hand.vni = node.svni;
        p->ctrl_count = 0;
        const auto hop = static_cast<std::uint8_t>(p->smd.initial_si - p->smd.si);
        const OrderFate fate = state.orders.take(*p, asked.control, {node, n, hop, true}, emit);
        answer(rows, "result", order_fates[static_cast<std::size_t>(fate)])
            .set("done", fate == OrderFate::sent || fate == OrderFate::repeated);
    }
    emit.release(*p);
}

void list_agents(const NodeTable& table, Value& rows) {
    for (const LocalNode& node : table.nodes) {
        if (node.mode == NodeMode::aware || node.vnics[0].foreign) continue;
        Value& row = rows.push(Value::object());
        row.set("socket", node.name);
        row.set("uid", std::uint64_t{node.agent_uid});
        row.set("what", "from_node.order");
        row.set("node", node.name);
    }
}

}  // namespace

void FromNode::files(const Tables& table, Value& rows) {
    for (const Tables::Told& one : table.told) {
        Value& row = rows.push(Value::object());
        row.set("folder", "nodes");
        row.set("name", one.node);
        row.set("text", one.profiles);
    }
}

bool FromNode::ask(const Value& question, const Tables& table, State& state, Emit& emit,
                   Value& rows) {
    const std::string& what = question["what"].as_text();
    if (what == "agents") {
        if (emit.worker == 0) list_agents(table, rows);
        return true;
    }
    if (what != "from_node.order") return false;
    Question asked;
    if (const std::string why = read(question, asked); !why.empty()) {
        answer(rows, "error", why);
        return true;
    }
    const auto at = std::ranges::find(table.nodes, asked.node, &LocalNode::name);
    if (at == table.nodes.end() || at->mode == NodeMode::aware || at->vnics[0].foreign) {
        answer(rows, "error", "node: no node of this host takes orders so");
    } else if (state.binding.follow(table, true)) {
        give(asked, static_cast<std::size_t>(at - table.nodes.begin()), *at, state, emit, rows);
    }
    return true;
}

}  // namespace weir::chain
