#include <map>

#include "features/chain/anchor/explain_choice.hpp"
#include "features/chain/anchor/insert.hpp"
#include "features/chain/anchor/selection.hpp"
#include "features/chain/hop/stale.hpp"
#include "flow/table.hpp"
#include "model/value.hpp"

// What the insertion stage shows of itself: counters and rows (spec §12).
namespace weir::chain {
namespace {

using dataplane::CounterSink;
using dataplane::Emit;
using model::Value;

// Of ChainCounters::offloaded_…
constexpr std::array<std::string_view, 3> offload_names = {"allow", "drop", "skip"};

std::uint64_t path_number(const Path& path) {
    return std::uint64_t{path.svni} << 24 | path.spi;
}

// Bounded tables that had no room (§10.5).
void count_limits(const Insert::State& state, CounterSink& sink) {
    const std::pair<std::string_view, std::uint64_t> hits[] = {
        {"chain_counters", state.chains.misses()},    {"failed_paths", state.drains.refused},
        {"path_counters", state.paths.misses()},      {"path_times", state.times.refused()},
        {"rule_counters", state.rules.misses()},      {"waiting", state.waiting.full},
        {"waiting_of_port", state.waiting.port_full},
    };
    for (const auto& [table, count] : hits)
        sink.add("weir_limit_hits_total", {{"table", table}}, count);
}

void count_port(const std::string& port, std::string_view point, const Insert::PortCounters& c,
                CounterSink& sink) {
    const std::pair<std::string_view, std::uint64_t> results[] = {
        {"redirected", c.redirected},
        {"no_service", c.no_service},
        {"foreign", c.foreign},
        {"bypass_fail", c.bypass_fail},
        {"bypass_l2", c.bypass_l2},
        {"no_active_path", c.no_active_path},
        {"ct_full", c.ct_full},
        {"offloaded_allow", c.offloaded_allow},
        {"offloaded_drop", c.offloaded_drop},
    };
    const auto add = [&](std::string_view metric, std::uint64_t value) {
        sink.add(metric, {{"port", port}, {"call_point", point}}, value);
    };
    add("weir_insertion_packets_total", c.packets);
    add("weir_insertion_bytes_total", c.bytes);
    add("weir_insertion_ct_hits_total", c.ct_hit);
    add("weir_insertion_ct_misses_total", c.ct_miss);
    add("weir_insertion_rule_lookups_total", c.rule_lookup);
    add("weir_insertion_midflow_total", c.midflow);
    for (const auto& [result, value] : results)
        sink.add("weir_insertion_results_total",
                 {{"port", port}, {"call_point", point}, {"result", result}}, value);
}

void count_path(const Chain& chain, const Path& path, const Insert::PathCounters& c,
                CounterSink& sink) {
    // Without the epoch: counters go on when the hops change.
    const std::string_view name = std::string_view(path.name).substr(0, path.name.rfind('.'));
    const auto add = [&](std::string_view metric, std::uint64_t value) {
        sink.add(metric, {{"chain", chain.name}, {"path", name}}, value);
    };
    add("weir_service_path_new_flows_total", c.new_flows);
    add("weir_service_path_switched_in_total", c.switched_in);
    add("weir_service_path_switched_out_total", c.switched_out);
    for (const std::size_t d : {0u, 1u}) {
        const std::string_view direction = d == 0 ? "forward" : "reverse";
        const CounterSink::Labels labels = {
            {"chain", chain.name}, {"path", name}, {"direction", direction}};
        sink.add("weir_service_path_packets_total", labels, c.packets[d]);
        sink.add("weir_service_path_bytes_total", labels, c.bytes[d]);
    }
}

// Of watched flows.
void count_times(const Path& path, const std::optional<PathTime>& time, CounterSink& sink) {
    if (!time) return;
    const std::string_view name = std::string_view(path.name).substr(0, path.name.rfind('.'));
    const auto add = [&](std::string_view metric, std::uint64_t value) {
        sink.add(metric, {{"chain", path.chain}, {"path", name}}, value);
    };
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < latency_buckets; ++i) {
        below += time->count[i];
        const std::string le = i + 1 < latency_buckets ? std::to_string(1ull << i) : "+Inf";
        sink.add("weir_service_path_latency_microseconds_bucket",
                 {{"chain", path.chain}, {"path", name}, {"le", le}}, below);
    }
    add("weir_service_path_latency_microseconds_count", time->timed);
    add("weir_service_path_latency_microseconds_sum", time->sum_ns / 1000);
    add("weir_service_path_watched_sent_total", time->sent);
    add("weir_service_path_watched_returned_total", time->returned);
}

Value hop_rows(const std::vector<Hop>& hops, const Plane& plane, const Emit& emit) {
    Value out = Value::array();
    for (const Hop& hop : hops) {
        Value& row = out.push(Value::object());
        row.set("node", hop.node);
        row.set("node_id", hop.node_id);
        row.set("host_id", hop.host_id);
        row.set("mac", hop.mac.text());
        row.set("action", model::enum_name(hop.action));
        row.set("liveness", hop.judged ? "asked" : "none");
        row.set("can_decrement_si", hop.can_decrement_si);
        row.set("attached", hop.attached);
        row.set("partner_state", model::enum_name(hop.partner_state));
        row.set("placed", is_placed(hop, plane.host_id));
        row.set("alive", emit.health->is_up(hop.node_id));
        row.set("state", is_up(hop, plane.host_id, *emit.health) ? "up" : "down");
    }
    return out;
}

// What is known of the path, and what counts if flows of this host may have it.
void path_row(const Path& path, const Plane& plane, const Emit& emit, Value& row) {
    row.set("name", path.name);
    row.set("chain", path.chain);
    row.set("sci", path.sci);
    row.set("spi", path.spi);
    row.set("epoch", std::uint64_t{path.epoch});
    row.set("weight", path.weight);
    row.set("load", path.load);
    row.set("ordered_share", ordered_share(path, *emit.health));
    row.set("maintenance", path.maintenance);
    row.set("drain_s", path.drain_s);
    row.set("usable", is_usable(path, plane.host_id, *emit.health));
    row.set("crossings", std::uint64_t{path.crossings});
    row.set("forward_mtu", path.mtu[0]);
    row.set("reverse_mtu", path.mtu[1]);
    row.set("forward", hop_rows(path.hops[0], plane, emit));
    row.set("reverse", hop_rows(path.hops[1], plane, emit));
}

// Flows of this worker by the number of their path.
std::map<std::uint64_t, std::uint64_t> active_flows(const Plane& plane, const Emit& emit) {
    std::map<std::uint64_t, std::uint64_t> out;
    emit.flows->for_each_insertion([&](const flow::InsertionDecision& decision) {
        const Chain* chain = decision.sci != 0 ? plane.chain(decision.sci) : nullptr;
        if (chain && decision.verdict[0] == flow::ServiceVerdict::redirect)
            ++out[std::uint64_t{chain->svni} << 24 | decision.spi];
    });
    return out;
}

// TM-2. A node that nobody asks counts as alive as long as it is attached.
std::string_view liveness_of(const Chain& chain) {
    for (const Path& path : chain.paths)
        for (const auto& hops : path.hops)
            for (const Hop& hop : hops)
                if (hop.action == HopAction::redirect && !hop.judged) return "none";
    return "asked";
}

void path_rows(const Chain& chain, const Plane& plane, Insert::State& state, const Emit& emit,
               const std::map<std::uint64_t, std::uint64_t>& active, Value& rows) {
    for (const Path& path : chain.paths) {
        const Insert::PathCounters& c = state.paths.at(path_number(path));
        Value& row = rows.push(Value::object());
        path_row(path, plane, emit, row);
        row.set("use", "anchored");
        row.set("avoided", limits_missed(path, *emit.health) != 0);
        if (const auto time = state.times.find(path_number(path))) {
            row.set("watched_sent", time->sent);
            row.set("watched_returned", time->returned);
        }
        const auto flows = active.find(path_number(path));
        row.set("active_flows", flows == active.end() ? 0 : flows->second);
        row.set("new_flows", c.new_flows);
        row.set("switched_in", c.switched_in);
        row.set("switched_out", c.switched_out);
        for (const std::size_t d : {0u, 1u}) {
            const std::string direction = d == 0 ? "forward_" : "reverse_";
            row.set(direction + "packets", c.packets[d]);
            row.set(direction + "bytes", c.bytes[d]);
        }
    }
}

void passing_rows(const Plane& plane, const Emit& emit, Value& rows) {
    for (const Path& path : plane.passing) {
        Value& row = rows.push(Value::object());
        path_row(path, plane, emit, row);
        row.set("use", "passing");
    }
}

void chain_row(const Chain& chain, const Plane& plane, Insert::State& state, const Emit& emit,
               Value& rows) {
    std::uint64_t usable = 0;
    for (const Path& path : chain.paths) usable += is_usable(path, plane.host_id, *emit.health);
    const Insert::ChainCounters& c = state.chains.at(chain.sci);
    Value& row = rows.push(Value::object());
    row.set("name", chain.name);
    row.set("sci", chain.sci);
    row.set("svni", chain.svni);
    row.set("failure_policy", model::enum_name(chain.failure_policy));
    row.set("rebalance", chain.reselect_midflow);
    row.set("hold_packets", std::uint64_t{chain.hold_packets});
    row.set("hold_ms", chain.hold_ns / 1'000'000);
    row.set("paths_made", chain.on_demand ? "on_demand" : "static");
    row.set("asked", c.asked.count);
    row.set("latency_limit_us", chain.latency_limit_us);
    row.set("loss_limit", chain.loss_limit);
    row.set("path_selection", model::enum_name(chain.path_selection));
    row.set("liveness", liveness_of(chain));
    row.set("paths", std::uint64_t{chain.paths.size()});
    row.set("usable_paths", usable);
    row.set("flows", c.flows);
    row.set("path_switch", c.path_switch);
    row.set("bypass_engaged", c.bypass_engaged);
    row.set("blocked", c.blocked);
    row.set("reset", c.reset);
    row.set("waiting", state.waiting.waiting(chain.sci));
    row.set("held", c.held);
    row.set("held_served", c.held_served);
    row.set("held_late", c.held_late);
    row.set("held_refused", c.held_refused);
    for (std::size_t i = 0; i < offload_names.size(); ++i) {
        const std::string kind(offload_names[i]);
        row.set("offloaded_" + kind + "_packets", c.offloaded_packets[i]);
        row.set("offloaded_" + kind + "_bytes", c.offloaded_bytes[i]);
    }
}

// Paths that somebody on the way found broken, and how long they count as that (TM-5).
void failed_rows(const Plane& plane, const Emit& emit, Value& rows) {
    emit.health->failed_paths().for_each(
        [&](std::uint32_t svni, std::uint32_t spi, std::uint64_t until_ns, std::uint8_t reason) {
            Value& row = rows.push(Value::object());
            row.set("svni", svni);
            row.set("spi", spi);
            for (const Chain& chain : plane.chains)
                if (const Path* path = chain.svni == svni ? chain.path(spi) : nullptr)
                    row.set("path", path->name);
            row.set("reason", name(static_cast<StaleReason>(reason)));
            row.set("left_ms", until_ns > emit.now_ns ? (until_ns - emit.now_ns) / 1'000'000 : 0);
            row.set("generation", emit.health->generation.load(std::memory_order_relaxed));
        });
}

// Nodes that want fewer new flows, and for how long.
void overload_rows(const Emit& emit, Value& rows) {
    emit.health->overloads().for_each(
        [&](std::uint32_t node_id, std::uint32_t share, std::uint64_t until_ns) {
            Value& row = rows.push(Value::object());
            row.set("node_id", node_id);
            row.set("share", share);
            row.set("left_ms", until_ns > emit.now_ns ? (until_ns - emit.now_ns) / 1'000'000 : 0);
        });
}

void rule_row(const CompiledRule& rule, const Plane& plane, Insert::State& state, const Emit& emit,
              Value& rows) {
    const Insert::RuleCounters& c = state.rules.at(rule.id);
    const Chain* chain = plane.chain(rule.sci);
    Value& row = rows.push(Value::object());
    row.set("name", rule.name);
    row.set("id", rule.id);
    row.set("action", chain || rule.unknown_chain ? "redirect" : "do_not_redirect");
    row.set("unknown_chain", rule.unknown_chain);
    if (rule.unknown_chain) row.set("failure_policy", model::enum_name(rule.failure_policy));
    row.set("chain", chain ? chain->name : std::string());
    row.set("hits", c.hits);
    row.set("sessions", c.sessions);
    row.set("packets", c.packets);
    row.set("bytes", c.bytes);
    if (c.last_hit_ns != 0) row.set("last_hit_s", (emit.now_ns - c.last_hit_ns) / 1'000'000'000);
}

}  // namespace

void Insert::counters(const Tables& tables, const State& state, CounterSink& sink) {
    sink.add("weir_insertion_fragmented_total", {}, state.fragmented);
    count_limits(state, sink);
    for (std::size_t i = 0; i < state.ports.size() / 2 && i < tables.port_names.size(); ++i) {
        if (tables.port_names[i].empty()) continue;
        count_port(tables.port_names[i], "egress", state.ports[2 * i], sink);
        count_port(tables.port_names[i], "ingress", state.ports[2 * i + 1], sink);
    }
    for (const CompiledRule& rule : tables.rules.rules()) {
        const RuleCounters& c = state.rules.at(rule.id);
        sink.add("weir_service_rule_hits_total", {{"rule", rule.name}}, c.hits);
        sink.add("weir_service_rule_sessions_total", {{"rule", rule.name}}, c.sessions);
        sink.add("weir_service_rule_packets_total", {{"rule", rule.name}}, c.packets);
        sink.add("weir_service_rule_bytes_total", {{"rule", rule.name}}, c.bytes);
        if (c.unknown_chain != 0)
            sink.add("weir_service_rule_unknown_chain_total", {{"rule", rule.name}},
                     c.unknown_chain);
    }
    for (const Chain& chain : tables.plane->chains) {
        const ChainCounters& c = state.chains.at(chain.sci);
        sink.add("weir_service_chain_flows_total", {{"chain", chain.name}}, c.flows);
        sink.add("weir_service_chain_path_switch_total", {{"chain", chain.name}}, c.path_switch);
        sink.add("weir_service_chain_bypass_engaged_total", {{"chain", chain.name}},
                 c.bypass_engaged);
        sink.add("weir_service_chain_blocked_total", {{"chain", chain.name}}, c.blocked);
        if (chain.on_demand)
            sink.add("weir_service_chain_asked_total", {{"chain", chain.name}}, c.asked.count);
        sink.add("weir_service_chain_reset_total", {{"chain", chain.name}}, c.reset);
        const std::pair<std::string_view, std::uint64_t> waits[] = {
            {"served", c.held_served}, {"late", c.held_late}, {"refused", c.held_refused}};
        sink.add("weir_service_chain_held_packets_total", {{"chain", chain.name}}, c.held);
        for (const auto& [end, count] : waits)
            sink.add("weir_service_chain_held_ends_total", {{"chain", chain.name}, {"end", end}},
                     count);
        for (std::size_t i = 0; i < offload_names.size(); ++i) {
            const CounterSink::Labels labels = {{"chain", chain.name}, {"order", offload_names[i]}};
            sink.add("weir_service_chain_offloaded_packets_total", labels, c.offloaded_packets[i]);
            sink.add("weir_service_chain_offloaded_bytes_total", labels, c.offloaded_bytes[i]);
        }
        for (const Path& path : chain.paths)
            count_path(chain, path, state.paths.at(path_number(path)), sink);
    }
}

void Insert::shared_counters(const Tables& tables, const State& state, CounterSink& sink) {
    if (state.health) {
        sink.add("weir_failed_paths", {}, state.health->failed_paths().size());
        sink.add("weir_failed_paths_generation", {},
                 state.health->generation.load(std::memory_order_relaxed));
    }
    for (const Chain& chain : tables.plane->chains)
        for (const Path& path : chain.paths)
            count_times(path, state.times.find(path_number(path)), sink);
}

bool Insert::query(std::string_view what, const Tables& tables, State& state, Emit& emit,
                   Value& rows) {
    const Plane& plane = *tables.plane;
    if (what == "rules") {
        for (const CompiledRule& rule : tables.rules.rules())
            rule_row(rule, plane, state, emit, rows);
    } else if (what.starts_with("rules.")) {
        if (const dataplane::PortEntry* port = emit.ports->find(std::string(what.substr(6))))
            for (const std::uint32_t rule : tables.rules.of_port(port->index))
                rule_row(tables.rules.rules()[rule], plane, state, emit, rows);
    } else if (what == "chains") {
        for (const Chain& chain : plane.chains) chain_row(chain, plane, state, emit, rows);
    } else if (what == "paths") {
        const auto active = active_flows(plane, emit);
        for (const Chain& chain : plane.chains) path_rows(chain, plane, state, emit, active, rows);
        passing_rows(plane, emit, rows);
    } else if (what == "choice" || what.starts_with("choice.")) {
        choice_rows(what.substr(std::min<std::size_t>(what.size(), 7)), plane, emit, rows);
    } else if (what == "overloads") {
        overload_rows(emit, rows);
    } else if (what == "spi-fail") {
        failed_rows(plane, emit, rows);
    } else {
        return false;
    }
    return true;
}

}  // namespace weir::chain
