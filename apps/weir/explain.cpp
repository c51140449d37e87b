#include <algorithm>
#include <cstdio>
#include <map>

#include "api/cli/table.hpp"
#include "apps/weir/flow_view.hpp"
#include "apps/weir/verbs.hpp"

// Everything about live flows, put together from their host and the hosts of their nodes: rule,
// chain, path, every hop with how long it keeps packets, what nodes ordered, and why this path.
namespace weir::command {
namespace {

using model::Value;

// What a host knows; asked once.
class Known {
public:
    explicit Known(const Session& session) : session_(session) {}

    const Value& rows(const std::string& host, const std::string& what) {
        const auto [at, fresh] = answers_.try_emplace(host + " " + what);
        if (fresh) at->second = session_.ask(host, question(what))["rows"];
        return at->second;
    }
    // The row whose `key` is `value`, or null.
    const Value& find(const std::string& host, const std::string& what, const char* key,
                      std::uint64_t value) {
        static const Value nothing;
        const auto& all = rows(host, what).items();
        const auto at = std::ranges::find_if(
            all, [&](const Value& row) { return row[key].as_uint() == value; });
        return at == all.end() ? nothing : *at;
    }
    std::string host_of(const std::string& node) {
        return nodes()[node].host;
    }
    // Its number where no node has it.
    std::string node_name(std::uint64_t id) {
        for (const auto& [name, node] : nodes())
            if (node.id == id) return name;
        return std::to_string(id);
    }
    std::uint64_t applied(const std::string& host) {
        if (hosts_.is_null()) hosts_ = session_.get("/v1/hosts")["items"];
        for (const Value& one : hosts_.items())
            if (one["name"].as_text() == host) return one["applied"].as_uint();
        return 0;
    }

private:
    struct Node {
        std::uint64_t id = 0;
        std::string host;
    };
    std::map<std::string, Node>& nodes() {
        if (nodes_.empty()) {
            const Value answer = session_.get("/v1/service-node");
            for (const Value& one : answer["items"].items())
                nodes_[one["name"].as_text()] = {one["id"].as_uint(), one["host"].as_text()};
        }
        return nodes_;
    }

    const Session& session_;
    std::map<std::string, Value> answers_;
    std::map<std::string, Node> nodes_;
    Value hosts_;
};

// Limits of a histogram's buckets and how many are below each, over all workers.
using Histogram = std::map<double, std::uint64_t>;

Histogram latency_of(const Value& counters, const std::string& node) {
    Histogram out;
    for (const Value& row : counters.items()) {
        if (row["metric"].as_text() != "weir_service_node_latency_microseconds_bucket") continue;
        if (row["labels"]["node"].as_text() != node) continue;
        const std::string& le = row["labels"]["le"].as_text();
        out[le == "+Inf" ? 1e18 : std::stod(le)] += row["value"].as_uint();
    }
    return out;
}

// The smallest limit that this share of the packets is below.
Value share_below(const Histogram& histogram, double share) {
    if (histogram.empty() || histogram.rbegin()->second == 0) return {};
    const double wanted = share * static_cast<double>(histogram.rbegin()->second);
    for (const auto& [limit, count] : histogram)
        if (static_cast<double>(count) >= wanted && limit < 1e17)
            return static_cast<std::uint64_t>(limit);
    return {};
}

Value hop_values(Known& known, const Value& hops, std::uint64_t skipped) {
    Value out = Value::array();
    std::uint64_t ordinal = 0;
    for (const Value& hop : hops.items()) {
        const std::string& node = hop["node"].as_text();
        const std::string host = known.host_of(node);
        Value& row = out.push(Value::object());
        for (const char* key : {"node", "action", "state"}) row.set(key, hop[key]);
        row.set("host", host);
        row.set("skipped", (skipped >> ordinal++ & 1) != 0);
        if (host.empty()) continue;
        const Histogram latency = latency_of(known.rows(host, "counters"), node);
        row.set("latency_p50_us", share_below(latency, 0.5));
        row.set("latency_p99_us", share_below(latency, 0.99));
    }
    return out;
}

// What nodes ordered for the flow and still stands, order by order.
Value orders_for(const Session& session, Known& known, const Value& flow) {
    const Value answer = session.ask(
        flow["host"].as_text(),
        question("orders.flow-prog." + std::to_string(flow["id"].as_uint())));
    Value out = Value::array();
    for (const Value& one : answer["rows"].items()) {
        if (one["flow_handle"] != flow["insertion"]["handle"]) continue;
        Value& row = out.push(Value::object());
        row.set("node", known.node_name(one["issuer"].as_uint()));
        for (const char* key : {"order", "forward", "reverse", "parameter", "left_s"})
            if (const Value* value = one.find(key)) row.set(key, *value);
    }
    return out;
}

Value explain_flow(const Session& session, Known& known, const Value& flow) {
    const std::string& host = flow["host"].as_text();
    const Value& insertion = flow["insertion"];
    Value out = flow;
    out.set("revision", known.applied(host));
    const Value& rule = known.find(host, "insert.rules", "id", insertion["rule_id"].as_uint());
    out.set("rule", insertion["rule_id"].as_uint() == 0 ? Value() : rule["name"]);
    if (insertion["sci"].as_uint() == 0) return out;
    const Value& chain = known.find(host, "insert.chains", "sci", insertion["sci"].as_uint());
    out.set("chain", chain["name"]);
    for (const char* key : {"failure_policy", "rebalance", "hold_packets", "hold_ms"})
        out.set(key, chain[key]);
    out.set("path_selection", chain["path_selection"]);
    out.set("spi", insertion["spi"]);
    out.set("verdict", insertion["verdict"]);
    out.set("orders", orders_for(session, known, flow));
    for (const char* key : {"flow_tag", "offloaded_packets"}) out.set(key, insertion[key]);
    if (const std::uint64_t ruled = insertion["ruled_sci"].as_uint(); ruled != 0)
        out.set("ruled_chain", known.find(host, "insert.chains", "sci", ruled)["name"]);
    const Value& path = known.find(host, "insert.paths", "spi", insertion["spi"].as_uint());
    const auto skip = [&](std::size_t way) {
        return insertion["skip"].size() == 2 ? insertion["skip"].items()[way].as_uint() : 0;
    };
    out.set("path", path["name"]);
    out.set("forward", hop_values(known, path["forward"], skip(0)));
    out.set("reverse", hop_values(known, path["reverse"], skip(1)));
    const Value choice =
        session.ask(host, question("insert.choice." + std::to_string(flow["id"].as_uint())));
    for (const Value& one : choice["rows"].items())
        if (one["port"] == flow["port"] && one["src_port"] == flow["src_port"]) out.set("why", one);
    return out;
}

std::string text_of(const Value& value) {
    return value.is_null() ? "-" : cli::inline_text(value);
}

void print_hops(const char* title, const Value& hops) {
    std::printf("  %s\n", title);
    cli::Table table({"", "NODE", "HOST", "STATE", "P50 US", "P99 US", ""});
    for (const Value& hop : hops.items())
        table.add({"   ", hop["node"].as_text(), hop["host"].as_text(), hop["state"].as_text(),
                   text_of(hop["latency_p50_us"]), text_of(hop["latency_p99_us"]),
                   hop["skipped"].as_bool()            ? "skipped by order"
                   : hop["action"].as_text() == "copy" ? "gets a copy"
                                                       : ""});
    std::fputs(table.text().c_str(), stdout);
}

// How busy its busiest node is; behind it what nodes left of the path's weight (OVERLOAD).
std::string load_text(const Value& path) {
    const std::uint64_t share = path["ordered_share"].as_uint();
    const std::string load = std::to_string(path["load"].as_uint() / 10) + " %";
    return share >= 1000 || path["ordered_share"].is_null()
               ? load
               : load + ", asks for " + std::to_string(share / 10) + " %";
}

void print_why(const Value& why) {
    const std::string number = why["numbers"].as_text() == "random"
                                   ? std::string("a number by chance")
                                   : "number " + text_of(why["number"]);
    std::printf("  why this path: %s of 2^32, selection %s\n", number.c_str(),
                why["path_selection"].as_text().c_str());
    cli::Table table({"", "PATH", "SPI", "WEIGHT", "LOAD", "CROSSINGS", "HERE", "RACK", "NUMBERS",
                      ""});
    for (const Value& path : why["paths"].items()) {
        const bool in = path["takes_part"].as_bool();
        const std::string numbers =
            in ? text_of(path["from"]) + " – " + text_of(path["to"]) : std::string();
        const char* what = path["chosen"].as_bool()      ? "this one"
                           : in                          ? ""
                           : path["avoided"].as_bool()   ? "above its limits"
                           : path["candidate"].as_bool() ? "another class is better"
                                                         : "not usable";
        table.add({"   ", path["path"].as_text(), text_of(path["spi"]), text_of(path["weight"]),
                   load_text(path), text_of(path["crossings"]), text_of(path["nodes_here"]),
                   text_of(path["nodes_in_rack"]), numbers, what});
    }
    std::fputs(table.text().c_str(), stdout);
}

// "n1: flow_drop there and back"
std::string order_text(const Value& order) {
    const std::string& name = order["order"].as_text();
    std::string out = order["node"].as_text() + ": " + name;
    if (name == "path_change" || name == "chain_change" || name == "set_tag")
        out += " " + text_of(order["parameter"]);
    else
        out += !order["reverse"].as_bool()   ? " there"
               : !order["forward"].as_bool() ? " back"
                                             : " there and back";
    return order["left_s"].is_null() ? out : out + ", " + text_of(order["left_s"]) + " s left";
}

void print_orders(const Value& flow) {
    const char* title = "orders of nodes";
    for (const Value& order : flow["orders"].items()) {
        std::printf("  %-18s %s\n", title, order_text(order).c_str());
        title = "";
    }
    if (!flow["ruled_chain"].is_null())
        std::printf("  %-18s %s\n", "chain of the rules", text_of(flow["ruled_chain"]).c_str());
}

// What becomes of the flow when its path fails: "rebalance, hold 16 packets for 50 ms, block".
std::string on_failure(const Value& flow) {
    std::string out = flow["rebalance"].as_bool() ? "rebalance, " : "";
    if (flow["hold_packets"].as_uint() != 0)
        out += "hold " + text_of(flow["hold_packets"]) + " packets for " +
               text_of(flow["hold_ms"]) + " ms, ";
    return out + text_of(flow["failure_policy"]);
}

void print_flow(const Value& flow) {
    const auto line = [](const char* key, const std::string& value) {
        std::printf("  %-18s %s\n", key, value.c_str());
    };
    std::printf("flow %llu at port %s on %s\n",
                static_cast<unsigned long long>(flow["id"].as_uint()),
                flow["port"].as_text().c_str(), flow["host"].as_text().c_str());
    line("from", service_text(flow) + " " + endpoint(flow, "src", "src_port") + " to " +
                     endpoint(flow, "dst", "dst_port") + ", " + flow["state"].as_text());
    line("packets there/back", pair_text(flow["packets"]));
    line("service rule", text_of(flow["rule"]) + ", revision " + text_of(flow["revision"]));
    line("verdict there/back", pair_text(flow["insertion"]["verdict"]));
    if (flow["chain"].is_null()) return;
    line("chain", text_of(flow["chain"]) + ", on failure " + on_failure(flow));
    line("path", text_of(flow["path"]) + ", SPI " + text_of(flow["spi"]) + ", epoch " +
                     text_of(flow["insertion"]["path_epoch"]));
    print_orders(flow);
    print_hops("hops there", flow["forward"]);
    print_hops("hops back", flow["reverse"]);
    if (!flow["why"].is_null()) print_why(flow["why"]);
}

}  // namespace

void explain(const Session& session, const FlowFilter& filter) {
    Known known(session);
    Value all = Value::array();
    for (const Value& flow : find_flows(session, filter))
        all.push(explain_flow(session, known, flow));
    if (session.json() || session.yaml()) return session.print(all);
    for (const Value& flow : all.items()) print_flow(flow);
    if (all.size() == 0) std::printf("no such flow\n");
}

}  // namespace weir::command
