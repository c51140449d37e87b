#include <algorithm>
#include <map>

#include "api/cli/table.hpp"
#include "apps/weir/show.hpp"

namespace weir::command {

using model::Value;
using Kind = ViewColumn::Kind;

const std::vector<View>& views() {
    static const std::vector<View> all = {
        {"rules", "insert.rules", "port", "service rules and what they met; of a port, in order",
         {{"RULE", "name"}, {"ID", "id"}, {"ACTION", "action"}, {"CHAIN", "chain"},
          {"HITS", "hits", Kind::sum}, {"SESSIONS", "sessions", Kind::sum},
          {"PACKETS", "packets", Kind::sum}, {"BYTES", "bytes", Kind::sum}},
         true},
        {"chains", "insert.chains", "name", "chains: policy, usable paths, flows, what failed",
         {{"CHAIN", "name"}, {"SCI", "sci"}, {"SVNI", "svni"}, {"ON FAILURE", "failure_policy"},
          {"SELECTION", "path_selection"}, {"LIVENESS", "liveness"}, {"PATHS", "paths"},
          {"USABLE", "usable_paths"},
          {"NEW FLOWS", "flows", Kind::sum}, {"SWITCHED", "path_switch", Kind::sum},
          {"BYPASSED", "bypass_engaged", Kind::sum}, {"BLOCKED", "blocked", Kind::sum},
          {"RESET", "reset", Kind::sum}, {"WAITING", "waiting", Kind::sum},
          {"SERVED", "held_served", Kind::sum}, {"LATE", "held_late", Kind::sum},
          {"REFUSED", "held_refused", Kind::sum}}},
        {"paths", "insert.paths", "chain", "paths of chains; of one chain, with their hops",
         {{"PATH", "name"}, {"SPI", "spi"}, {"EPOCH", "epoch"}, {"USE", "use"},
          {"STATE", "path_state"}, {"WEIGHT", "weight"}, {"LOAD", "load"},
          {"CROSSINGS", "crossings"}, {"NODES", "nodes"}, {"FLOWS", "active_flows", Kind::sum},
          {"NEW FLOWS", "new_flows", Kind::sum},
          {"THERE", "forward_packets", Kind::sum}, {"BACK", "reverse_packets", Kind::sum}}},
        {"nexthops", "resolve.next-hops", "svni", "who is next for an SPI and SI, of an SVNI",
         {{"SVNI", "svni"}, {"SPI", "spi"}, {"EPOCH", "epoch"}, {"DIRECTION", "direction"},
          {"SI", "si"}, {"NODE", "node"}, {"MAC", "mac"}, {"ACTION", "action"}, {"WAY", "way"},
          {"STATE", "state"}}},
        {"spi-fail", "insert.spi-fail", "path", "paths that somebody on the way found broken",
         {{"SVNI", "svni"}, {"SPI", "spi"}, {"PATH", "path"}, {"REASON", "reason"},
          {"LEFT MS", "left_ms", Kind::most}}},
        {"flow-prog", "orders.flow-prog", "order", "what nodes ordered for flows, as it stands",
         {{"FLOW", "flow"}, {"ISSUER", "issuer"}, {"ORDER", "order"}, {"THERE", "forward"},
          {"BACK", "reverse"}, {"PARAMETER", "parameter"}, {"LEFT S", "left_s", Kind::most}},
         true},
        {"nodes", "liveness.nodes", "node", "nodes of a host, as their host judges them",
         {{"NODE", "node"}, {"ID", "node_id"}, {"MODE", "mode"}, {"LIVENESS", "liveness"},
          {"STATE", "state"}, {"SINCE MS", "since_ms"}, {"ASKED", "questions"},
          {"ANSWERED", "answered"}, {"MISSED", "missed"}, {"FLAPS", "flaps"},
          {"GIVEN", "delivered"}, {"RETURNED", "returned"}, {"LOAD", "load"}, {"LOSS", "loss"}}},
        {"proxy-contexts", "to_node.contexts", "node", "flows inside nodes that know no metadata",
         {{"NODE", "node"}, {"TAG", "tag"}, {"SPI", "spi"}, {"SI", "si"},
          {"DIRECTION", "direction"}, {"ANCHOR", "anchor_host"}, {"FLOW HANDLE", "flow_handle"},
          {"IDLE MS", "idle_ms"}},
         true},
        {"segments", "resolve.segments", "name", "service segments of a host",
         {{"SEGMENT", "name"}, {"SVNI", "svni"}, {"ENCAP", "encap"},
          {"TRANSPORT", "transport"}, {"SIGNED", "signed"},
          {"MTU", "mtu"}, {"HOST IDS", "host_ids"}, {"PORTS", "ports"}, {"CHAINS", "chains"},
          {"ANCHORED", "paths_anchored"}, {"PASSING", "paths_passing"}}},
    };
    return all;
}

std::string view_names() {
    std::string text;
    for (const View& view : views()) text += (text.empty() ? "" : ", ") + std::string(view.name);
    return text;
}

std::string view_help() {
    std::string text = "views:\n";
    for (const View& view : views()) {
        std::string name(view.name);
        name.resize(16, ' ');
        text += "  " + name + std::string(view.help) + "\n";
    }
    return text;
}

const View* find_view(std::string_view name) {
    const auto at = std::ranges::find(views(), name, &View::name);
    return at == views().end() ? nullptr : &*at;
}

std::vector<Value> joined_rows(const View& view, const std::string& host, const Value& rows) {
    std::vector<Value> out;
    std::map<std::string, std::size_t> places;
    for (const Value& row : rows.items()) {
        std::string identity;
        for (const ViewColumn& column : view.columns)
            if (column.kind == Kind::key) identity += cli::inline_text(row[column.key]) + "\n";
        const auto [at, fresh] = places.try_emplace(identity, out.size());
        if (fresh) {
            Value& one = out.emplace_back(Value::object());
            one.set("host", host);
            for (const auto& [key, value] : row.members()) one.set(key, value);
            continue;
        }
        Value& known = out[at->second];
        for (const ViewColumn& column : view.columns) {
            if (!row.find(column.key)) continue;
            const std::uint64_t a = known[column.key].as_uint(), b = row[column.key].as_uint();
            if (column.kind == Kind::sum) known.set(column.key, a + b);
            if (column.kind == Kind::most) known.set(column.key, std::max(a, b));
        }
    }
    return out;
}

}  // namespace weir::command
