#include "apps/host/queries.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/host/doctor.hpp"
#include "apps/host/move_queries.hpp"
#include "model/canonical.hpp"
#include "model/json.hpp"

namespace weir::host {
namespace {

using model::Value;

constexpr std::uint64_t most_rows = 1 << 20;

Value error_answer(const std::string& why) {
    Value answer = Value::object();
    answer.set("error", why);
    return answer;
}

Value parsed(const std::string& json) {
    Result<Value> value = model::parse_json(json, model::trusted_limits);
    return value ? std::move(*value) : error_answer("the engine's answer is no JSON");
}

Value ask_engine(LoadedEngine& engine, const std::string& request) {
    TextSink answer;
    engine.api().query(engine.handle(), request.data(), request.size(), answer.sink());
    return parsed(answer.text());
}

// The answers of all engines, each for itself.
std::vector<Value> ask_engines(Shell& shell, const Value& request) {
    const std::string text = model::dump_json(request);
    std::vector<Value> answers;
    for (const auto& engine : shell.engines()) answers.push_back(ask_engine(*engine, text));
    return answers;
}

// The answers of all engines on the workers of `only`, or on all workers. The first engine alone
// counts what lies in memory of all.
std::vector<Value> ask_workers(Shell& shell, const Value& request, std::uint32_t only) {
    Value of_others = request;
    if (request["what"].as_text() == "counters") of_others.set("without_shared", true);
    const std::string to_first = model::dump_json(request), to_others = model::dump_json(of_others);
    std::mutex mutex;
    std::vector<std::string> answers;
    shell.workers().on_all([&](Worker& worker) {
        if (only != net::no_port && worker.index() != only) return;
        for (const auto& engine : shell.engines()) {
            const std::string& text = engine == shell.engines().front() ? to_first : to_others;
            TextSink answer;
            engine->api().worker_query(engine->handle(), worker.index(), text.data(), text.size(),
                                       worker.now_ns(), answer.sink());
            const std::lock_guard lock(mutex);
            answers.push_back(answer.take());
        }
    });
    std::vector<Value> values;
    for (const std::string& answer : answers) values.push_back(parsed(answer));
    return values;
}

// Rows one behind the other; an error only if nobody had anything else to say.
Value join(std::vector<Value> answers, std::uint64_t limit) {
    Value joined = Value::object();
    Value rows = Value::array();
    bool more = false, any = false;
    for (Value& answer : answers) {
        if (answer.find("error")) continue;
        any = true;
        more |= answer["more"].as_bool();
        for (const Value& row : answer["rows"].items()) {
            if (rows.size() < limit) {
                rows.push(row);
            } else {
                more = true;
            }
        }
    }
    if (!any) return answers.empty() ? error_answer("no engine is loaded") : std::move(answers[0]);
    joined.set("rows", std::move(rows));
    joined.set("more", more);
    return joined;
}

// A trace starts on the worker that receives from the port.
Value start_trace(Shell& shell, const Value& request) {
    const HostPort* port = shell.ports().find(request["port"].as_text());
    if (!port || !port->engine) return error_answer("port: no such port is realised on this host");
    for (Value& answer : ask_workers(shell, request, port->polling_worker))
        if (!answer.find("error") || shell.engines().size() == 1) return std::move(answer);
    return error_answer("no engine takes the packet");
}

Value port_row(const HostPort& port) {
    Value row = Value::object();
    row.set("name", port.spec.name);
    row.set("index", port.index);
    row.set("incarnation", port.incarnation);
    row.set("state", port_state_name(port.state));
    if (!port.reason.empty()) row.set("reason", port.reason);
    row.set("device", port.spec.device.text());
    row.set("link", dataplane::device_state_name(port.link));
    row.set("mtu", port.device ? port.device->mtu() : port.spec.device.mtu);
    row.set("worker", port.polling_worker);
    row.set("queues", port.queues);
    if (port.engine) row.set("engine", port.engine->build_id());
    const dataplane::PortStats stats = port.stats();
    row.set("rx_packets", stats.rx_packets);
    row.set("rx_bytes", stats.rx_bytes);
    row.set("tx_packets", stats.tx_packets);
    row.set("tx_bytes", stats.tx_bytes);
    Value& drops = row.set("drops", Value::object());
    for (std::size_t i = 0; i < dataplane::port_drop_count; ++i)
        if (stats.drops[i] != 0)
            drops.set(std::string(port_drop_name(static_cast<dataplane::PortDrop>(i))),
                      stats.drops[i]);
    return row;
}

Value rows_answer(Value rows) {
    Value answer = Value::object();
    answer.set("rows", std::move(rows));
    return answer;
}

Value host_ports(Shell& shell) {
    Value rows = Value::array();
    for (const auto& [name, port] : shell.ports().all()) rows.push(port_row(port));
    return rows_answer(std::move(rows));
}

Value host_workers(Shell& shell) {
    Value rows = Value::array();
    for (std::uint32_t i = 0; i < shell.workers().size(); ++i) {
        const WorkerTallies& t = shell.workers().worker(i).tallies();
        Value row = Value::object();
        row.set("worker", i);
        row.set("loops", t.loops.get());
        row.set("busy_loops", t.busy_loops.get());
        row.set("received", t.received.get());
        row.set("handed_over", t.handed_over.get());
        const double busy = static_cast<double>(t.busy_ns.get());
        const double all = busy + static_cast<double>(t.idle_ns.get());
        row.set("busy_ratio", all > 0 ? busy / all : 0.0);
        rows.push(std::move(row));
    }
    return rows_answer(std::move(rows));
}

Value host_engines(Shell& shell) {
    Value rows = Value::array();
    for (const auto& engine : shell.engines()) {
        std::uint64_t ports = 0;
        for (const auto& [name, port] : shell.ports().all()) ports += port.engine == engine.get();
        Value row = Value::object();
        row.set("build_id", engine->build_id());
        row.set("version", engine->version());
        row.set("instance", engine->instance());
        row.set("library", engine->library());
        row.set("ports", ports);
        row.set("revision", shell.applied().revision);
        rows.push(std::move(row));
    }
    return rows_answer(std::move(rows));
}

Value host_swap_engine(Shell& shell, const Value& request) {
    const std::string& path = request["path"].as_text();
    if (path.empty()) return error_answer("path: of the new engine's library");
    if (const Status swapped = shell.swap_engine(path); !swapped)
        return error_answer(swapped.error().text());
    return host_engines(shell);
}

Value host_doctor(Shell& shell) {
    Value rows = Value::array();
    for (const Finding& finding : examine(shell)) {
        Value row = Value::object();
        row.set("check", finding.check);
        row.set("ok", finding.ok());
        row.set("level", finding_level_name(finding.level));
        row.set("found", finding.found);
        row.set("why", finding.why);
        row.set("advice", finding.advice);
        rows.push(std::move(row));
    }
    return rows_answer(std::move(rows));
}

// Sums rows of equal metric and labels.
class Sums {
public:
    void add(const std::string& metric, const Value& labels, std::uint64_t value) {
        Value row = Value::object();
        row.set("metric", metric);
        row.set("labels", labels);
        sums_[model::canonical_text(row)] += value;
    }
    void add(const char* metric, std::vector<std::pair<std::string, std::string>> labels,
             std::uint64_t value) {
        Value set = Value::object();
        for (auto& [key, text] : labels) set.set(key, text);
        add(metric, set, value);
    }
    Value rows() const {
        Value rows = Value::array();
        for (const auto& [text, value] : sums_) {
            Value row = parsed(text);
            row.set("value", value);
            rows.push(std::move(row));
        }
        return rows;
    }

private:
    std::map<std::string, std::uint64_t> sums_;
};

void add_ports(Shell& shell, Sums& sums) {
    for (const auto& [name, port] : shell.ports().all()) {
        const dataplane::PortStats s = port.stats();
        sums.add("weir_port_packets_total", {{"port", name}, {"direction", "rx"}}, s.rx_packets);
        sums.add("weir_port_packets_total", {{"port", name}, {"direction", "tx"}}, s.tx_packets);
        sums.add("weir_port_bytes_total", {{"port", name}, {"direction", "rx"}}, s.rx_bytes);
        sums.add("weir_port_bytes_total", {{"port", name}, {"direction", "tx"}}, s.tx_bytes);
        for (std::size_t i = 0; i < dataplane::port_drop_count; ++i) {
            const std::string why(port_drop_name(static_cast<dataplane::PortDrop>(i)));
            sums.add("weir_drops_total", {{"reason", why}}, s.drops[i]);
            if (s.drops[i] != 0)
                sums.add("weir_port_drops_total", {{"port", name}, {"reason", why}}, s.drops[i]);
        }
    }
}

// What ports have had of their workers' time.
void add_shares(Shell& shell, Sums& sums) {
    for (const auto& [name, port] : shell.ports().all()) {
        std::uint64_t used_ns = 0, waited_ns = 0;
        for (std::uint32_t i = 0; i < shell.workers().size(); ++i) {
            const PortShare& share = shell.workers().worker(i).share(port.index);
            used_ns += share.used_ns.get();
            waited_ns += share.waited_ns.get();
        }
        sums.add("weir_port_worker_ns_total", {{"port", name}}, used_ns);
        sums.add("weir_port_waited_ns_total", {{"port", name}}, waited_ns);
    }
}

void add_workers(Shell& shell, Sums& sums) {
    for (std::uint32_t i = 0; i < shell.workers().size(); ++i) {
        const WorkerTallies& t = shell.workers().worker(i).tallies();
        for (std::size_t why = 0; why < shell_drop_count; ++why)
            sums.add("weir_drops_total",
                     {{"reason", std::string(shell_drop_name(static_cast<ShellDrop>(why)))}},
                     t.drops[why].get());
        const std::string worker = std::to_string(i);
        sums.add("weir_worker_received_total", {{"worker", worker}}, t.received.get());
        sums.add("weir_worker_busy_ns_total", {{"worker", worker}}, t.busy_ns.get());
        sums.add("weir_worker_idle_ns_total", {{"worker", worker}}, t.idle_ns.get());
    }
}

}  // namespace

Value all_counters(Shell& shell) {
    Value request = Value::object();
    request.set("what", "counters");
    Sums sums;
    for (const Value& answer : ask_workers(shell, request, net::no_port))
        for (const Value& row : answer["rows"].items())
            sums.add(row["metric"].as_text(), row["labels"], row["value"].as_uint());
    add_ports(shell, sums);
    add_shares(shell, sums);
    add_workers(shell, sums);
    sums.add("weir_packets_in_use", {}, shell.options().pool->in_use());
    sums.add("weir_packets_capacity", {}, shell.options().pool->capacity());
    sums.add("weir_applied_revision", {}, shell.applied().revision);
    sums.add("weir_events_lost_total", {}, shell.events().lost());
    return rows_answer(sums.rows());
}

std::map<std::string, std::uint64_t> limit_hits(Shell& shell) {
    constexpr std::string_view metric = "weir_limit_hits_total";
    Value request = Value::object();
    request.set("what", "counters");
    request.set("metric", std::string(metric));
    std::map<std::string, std::uint64_t> hits;
    for (const Value& answer : ask_workers(shell, request, net::no_port))
        for (const Value& row : answer["rows"].items())
            if (row["metric"].as_text() == metric)
                hits[row["labels"]["table"].as_text()] += row["value"].as_uint();
    return hits;
}

Value answer_query(Shell& shell, const Value& request) {
    if (!request.is_object() || request["what"].as_text().empty())
        return error_answer("what: which question? See dataplane/queries.md");
    const std::string& what = request["what"].as_text();
    if (what == "counters") return all_counters(shell);
    if (what == "host-ports") return host_ports(shell);
    if (what == "host-workers") return host_workers(shell);
    if (what == "host-engines") return host_engines(shell);
    if (what == "host-swap-engine") return host_swap_engine(shell, request);
    if (what == "host-doctor") return host_doctor(shell);
    if (what.starts_with("host-move-")) return answer_move(shell, request);
    if (what.starts_with("host-")) return error_answer("what: no host answers " + what);
    if (what == "trace") return start_trace(shell, request);
    if (what == "program") {
        if (shell.engines().empty()) return error_answer("no engine is loaded");
        return ask_engine(*shell.engines().front(), model::dump_json(request));
    }
    if (what == "files") return join(ask_engines(shell, request), most_rows);
    if (what.ends_with("-service-node") && shell.engines().size() != 1)
        return error_answer("another engine takes over just now");
    const std::uint64_t limit =
        what == "flows" ? std::clamp<std::uint64_t>(request["limit"].as_uint(100), 1, 10000)
                        : most_rows;
    return join(ask_workers(shell, request, net::no_port), limit);
}

}  // namespace weir::host
