#include <algorithm>
#include <array>
#include <charconv>

#include "apps/engine/engine.hpp"
#include "net/notation.hpp"
#include "net/parse.hpp"

// What the engine answers when it is asked: dataplane/queries.md.
namespace weir::engine {

namespace {

using model::Value;

class RowSink final : public dataplane::CounterSink {
public:
    // Unless `only` is empty, rows of that metric alone.
    RowSink(Value& rows, std::string_view only) : rows_(rows), only_(only) {}
    void add(std::string_view metric, Labels labels, std::uint64_t value) override {
        if (!only_.empty() && metric != only_) return;
        Value row = Value::object();
        row.set("metric", metric);
        Value& set = row.set("labels", Value::object());
        for (const auto& [key, text] : labels) set.set(std::string(key), text);
        row.set("value", value);
        rows_.push(std::move(row));
    }

private:
    Value& rows_;
    const std::string_view only_;
};

std::string_view verdict_name(flow::Verdict verdict) {
    static constexpr std::string_view names[] = {"none", "allow", "drop", "reject"};
    return names[static_cast<std::size_t>(verdict) & 3];
}

std::string_view verdict_name(flow::ServiceVerdict verdict) {
    static constexpr std::string_view names[] = {"none",  "redirect", "no-service", "drop",
                                                 "reset", "foreign",  "bypass-fail"};
    const auto i = static_cast<std::size_t>(verdict);
    return i < std::size(names) ? names[i] : "?";
}

std::string_view state_name(flow::TcpState state) {
    static constexpr std::string_view names[] = {"none",        "syn-sent",      "syn-received",
                                                 "established", "fin-initiator", "fin-responder",
                                                 "closing",     "closed"};
    const auto i = static_cast<std::size_t>(state);
    return i < std::size(names) ? names[i] : "?";
}

Value pair_of(Value first, Value second) {
    Value both = Value::array();
    both.push(std::move(first));
    both.push(std::move(second));
    return both;
}

// As it is carried out: what nodes ordered stands over what the rules said.
flow::ServiceVerdict verdict_of(const flow::InsertionDecision& d, bool reverse) {
    const std::uint8_t orders = d.orders_of(reverse);
    if (orders & flow::order_reset) return flow::ServiceVerdict::reset;
    if (orders & flow::order_drop) return flow::ServiceVerdict::drop;
    return orders & flow::order_allow ? flow::ServiceVerdict::no_service : d.verdict[reverse];
}

Value insertion_value(const flow::Table& flows, const flow::FlowPair& pair) {
    const flow::InsertionDecision d = flows.insertion(pair);
    Value v = Value::object();
    v.set("verdict",
          pair_of(verdict_name(verdict_of(d, false)), verdict_name(verdict_of(d, true))));
    v.set("rule_id", d.rule_id);
    v.set("sci", d.sci);
    v.set("spi", d.spi);
    v.set("path_epoch", std::uint32_t{d.path_epoch});
    v.set("skip", pair_of(std::uint32_t{d.skip[0]}, std::uint32_t{d.skip[1]}));
    v.set("flow_tag", d.flow_tag);
    v.set("ruled_sci", std::uint32_t{d.ruled_sci});
    v.set("offloaded_packets", d.offloaded_packets);
    v.set("handle", flows.make_handle(pair));
    return v;
}

Value flow_value(const flow::Table& flows, const flow::FlowPair& pair, std::string_view port,
                 std::uint64_t now_ns) {
    const net::Tuple& tuple = pair.key.tuple;
    const auto seconds = [&](std::uint64_t then) {
        return static_cast<double>(now_ns > then ? now_ns - then : 0) / 1e9;
    };
    Value row = Value::object();
    row.set("id", pair.id);
    row.set("slot", flows.slot(pair));
    row.set("worker", flows.worker());
    row.set("port", port);
    row.set("vni", pair.key.vni);
    row.set("proto", std::uint32_t{tuple.proto});
    row.set("src", tuple.src.text());
    row.set("dst", tuple.dst.text());
    row.set("src_port", std::uint32_t{tuple.src_port});
    row.set("dst_port", std::uint32_t{tuple.dst_port});
    row.set("state", state_name(pair.tcp));
    row.set("opened", pair.initiator_outside ? "towards the port" : "by the port");
    row.set("created_ns", pair.created_ns);
    row.set("age_s", seconds(pair.created_ns));
    row.set("idle_s", seconds(std::max(pair.hot[0].last_seen_ns, pair.hot[1].last_seen_ns)));
    row.set("packets", pair_of(pair.hot[0].packets, pair.hot[1].packets));
    row.set("bytes", pair_of(pair.hot[0].bytes, pair.hot[1].bytes));
    Value firewall = Value::object();
    firewall.set("verdict", verdict_name(pair.firewall.verdict));
    firewall.set("rule_id", pair.firewall.rule_id);
    row.set("firewall", std::move(firewall));
    row.set("insertion", insertion_value(flows, pair));
    return row;
}

bool matches(const flow::FlowPair& pair, const Value& request) {
    const net::Tuple& tuple = pair.key.tuple;
    if (const auto proto = request["proto"].as_uint(); proto != 0 && proto != tuple.proto)
        return false;
    if (const auto port = request["l4_port"].as_uint();
        port != 0 && port != tuple.src_port && port != tuple.dst_port)
        return false;
    if (const std::string& address = request["address"].as_text();
        !address.empty() && address != tuple.src.text() && address != tuple.dst.text())
        return false;
    return true;
}

// Removes the records; with `adopt` their connections go on where they are.
Value flush_answer(Worker& worker, const Program& program, const Value& request,
                   std::uint64_t now_ns) {
    const std::string& wanted = request["port"].as_text();
    std::uint64_t removed = 0;
    for (const dataplane::PortEntry& port : program.topology.ports) {
        if (port.role != dataplane::PortRole::guest || port.foreign) continue;
        if (!wanted.empty() && wanted != port.name) continue;
        worker.flows.for_each(port.scope, [&](flow::FlowPair& pair) {
            if (pair.live != flow::record_live || !matches(pair, request)) return;
            worker.flows.erase(pair);
            ++removed;
        });
    }
    if (request["adopt"].as_bool()) worker.emit.adoption.begin(now_ns);
    Value answer = Value::object();
    Value& row = answer.set("rows", Value::array()).push(Value::object());
    row.set("worker", worker.flows.worker());
    row.set("removed", removed);
    return answer;
}

Value flows_answer(Worker& worker, const Program& program, const Value& request,
                   std::uint64_t now_ns) {
    const std::uint64_t limit = std::clamp<std::uint64_t>(request["limit"].as_uint(100), 1, 10000);
    const std::string& wanted = request["port"].as_text();
    Value answer = Value::object();
    Value& rows = answer.set("rows", Value::array());
    bool more = false;
    for (const dataplane::PortEntry& port : program.topology.ports) {
        if (port.role != dataplane::PortRole::guest || port.foreign) continue;
        if (!wanted.empty() && wanted != port.name) continue;
        worker.flows.for_each(port.scope, [&](flow::FlowPair& pair) {
            if (pair.live != 2 || !matches(pair, request)) return;
            if (rows.size() >= limit) {
                more = true;
                return;
            }
            rows.push(flow_value(worker.flows, pair, port.name, now_ns));
        });
    }
    answer.set("more", more);
    return answer;
}

Value trace_rows(Worker& worker, const std::string& host, std::uint32_t trace_id) {
    using Kind = dataplane::TraceLog::Kind;
    Value answer = Value::object();
    Value& rows = answer.set("rows", Value::array());
    Value notes = Value::object();
    worker.emit.trace.for_each(trace_id, [&](const dataplane::TraceLog::Line& line) {
        if (line.kind == Kind::note_text) {
            notes.set(std::string(line.stage), std::string(line.text));
        } else if (line.kind == Kind::note_number) {
            notes.set(std::string(line.stage), line.number);
        } else {
            Value row = Value::object();
            row.set("trace_id", trace_id);
            row.set("at_ns", line.at_ns);
            row.set("host", host);
            row.set("worker", worker.emit.worker);
            row.set("context",
                    dataplane::context_name(static_cast<dataplane::Context>(line.context)));
            row.set("stage", line.stage);
            row.set("result", line.result);
            row.set("notes", std::move(notes));
            notes = Value::object();
            rows.push(std::move(row));
        }
    });
    return answer;
}

Value error_answer(std::string_view message) {
    Value answer = Value::object();
    answer.set("error", message);
    return answer;
}

// Where a guest sends what is for `to`: its neighbour, or its router.
net::Mac first_hop(const dataplane::Topology& topology, const dataplane::PortEntry& port,
                   const net::Ip& to) {
    const dataplane::SegmentEntry* segment = topology.segment(port.vni);
    if (!segment) return {};
    if (const auto found = segment->by_address.find(to); found != segment->by_address.end())
        return found->second.mac;
    return segment->router == net::no_port ? net::Mac{} : topology.routers[segment->router].mac;
}

}  // namespace

Value Engine::worker_query(std::uint32_t index, const Value& request, std::uint64_t now_ns) {
    Worker& worker = *workers_[index];
    const Program& program = start_burst(worker, now_ns);
    const std::string& what = request["what"].as_text();
    if (what == "counters") return counters(worker, program, request);
    if (what == "flows") return flows_answer(worker, program, request, now_ns);
    if (what == "flush-flows") return flush_answer(worker, program, request, now_ns);
    if (what == "adopt-lost-flows") return adopt_lost(worker, now_ns);
    if (what == "trace") return start_trace(worker, program, request);
    if (what == "trace-log")
        return trace_rows(worker, host_name_,
                          static_cast<std::uint32_t>(request["trace_id"].as_uint()));
    if (what == "save-service-node") return save_node(worker, program, request, now_ns);
    if (what == "restore-service-node") return restore_node(worker, program, request, now_ns);
    return stage_query(worker, program, request);
}

// Asked where this host worked before: what the vault does not have any more, guests still rely on.
Value Engine::adopt_lost(Worker& worker, std::uint64_t now_ns) {
    Value answer = Value::object();
    Value& row = answer.set("rows", Value::array()).push(Value::object());
    row.set("worker", worker.flows.worker());
    row.set("adopts", lost_records_);
    if (lost_records_) worker.emit.adoption.begin(now_ns);
    return answer;
}

Value Engine::counters(Worker& worker, const Program& program, const Value& request) {
    Value answer = Value::object();
    RowSink sink(answer.set("rows", Value::array()), request["metric"].as_text());
    const bool shared = !request["without_shared"].as_bool();
    const auto drop = [&](std::string_view reason, std::uint64_t count) {
        sink.add("weir_drops_total", {{"reason", reason}}, count);
    };
    Plane::Parts::for_each([&]<class S>() {
        const auto& exits = worker.pipeline.exits<S>();
        for (std::size_t i = 0; i < exits.count.size(); ++i)
            if (exits.count[i] != 0) drop(S::exit_names[i], exits.count[i]);
        if constexpr (requires {
                          S::counters(worker.pipeline.table<S>(program.tables),
                                      worker.pipeline.state<S>(), sink);
                      })
            S::counters(worker.pipeline.table<S>(program.tables), worker.pipeline.state<S>(), sink);
        if constexpr (requires {
                          S::shared_counters(worker.pipeline.table<S>(program.tables),
                                             worker.pipeline.state<S>(), sink);
                      })
            if (shared)
                S::shared_counters(worker.pipeline.table<S>(program.tables),
                                   worker.pipeline.state<S>(), sink);
    });
    drop(dataplane::pipeline_exit_names[0], worker.emit.overflows());
    drop(dataplane::pipeline_exit_names[1], worker.emit.no_buffers());
    // Defects of ours: no packet may ever meet them.
    drop("pipeline.loop", worker.emit.loops());
    drop("pipeline.no_outcome", worker.pipeline.no_outcome);
    sink.add("weir_flows_renewed_total", {}, worker.emit.renewals());
    sink.add("weir_express_packets_total", {}, worker.express.packets());
    sink.add("weir_express_fused_packets_total", {}, worker.express.fused_packets());
    sink.add("weir_express_flows_total", {}, worker.express.flows());
    sink.add("weir_express_plane_packets_total", {}, worker.express.plane_packets());
    return answer;
}

// A packet like any other, but for its trace id; it never reaches a guest (deliver.traced).
Value Engine::start_trace(Worker& worker, const Program& program, const Value& request) {
    const dataplane::PortEntry* port = program.topology.find(request["port"].as_text());
    if (!port || port->role != dataplane::PortRole::guest)
        return error_answer("no such guest port on this host");
    const auto trace_id = static_cast<std::uint32_t>(request["trace_id"].as_uint());
    if (trace_id == 0) return error_answer("trace_id: a number from 1 to 4294967295");
    const auto frame = net::parse_notation(request["packet"].as_text());
    if (!frame) return error_answer("packet: " + frame.error().text());
    net::Packet* p = worker.emit.allocate();
    std::uint8_t* bytes = p ? p->append(static_cast<std::uint32_t>(frame->size())) : nullptr;
    if (!bytes) return error_answer("no packet buffer is free, or the packet is too long for one");
    std::copy(frame->begin(), frame->end(), bytes);
    if (net::parse(*p) != net::ParseError::none) p->tuple = {};
    port->mac.store(p->data + 6);
    first_hop(program.topology, *port, p->tuple.dst).store(p->data);
    p->hand = {};
    p->hand.port = port->index;
    p->hand.trace_id = trace_id;
    p->hand.trace_collector = program.topology.host_id;
    receive(worker, program, *p);
    worker.pipeline.drain(program.tables);
    Value answer = Value::object();
    answer.set("trace_id", trace_id);
    return answer;
}

// "<stage>.<table>": rows that a stage shows of itself.
Value Engine::stage_query(Worker& worker, const Program& program, const Value& request) {
    const std::string_view what = request["what"].as_text();
    const std::size_t dot = what.find('.');
    Value answer = Value::object();
    bool found = false, more = false;
    if (what == "agents") {
        Value& rows = answer.set("rows", Value::array());
        Plane::Parts::for_each([&]<class S>() {
            if constexpr (requires {
                              S::ask(request, worker.pipeline.table<S>(program.tables),
                                     worker.pipeline.state<S>(), worker.emit, rows);
                          })
                found |= S::ask(request, worker.pipeline.table<S>(program.tables),
                                worker.pipeline.state<S>(), worker.emit, rows);
        });
        return answer;
    }
    if (dot != std::string_view::npos) {
        Value& rows = answer.set("rows", Value::array());
        Plane::Parts::for_each([&]<class S>() {
            if (S::name != what.substr(0, dot)) return;
            const std::string_view table = what.substr(dot + 1);
            if constexpr (requires {
                              S::query(table, worker.pipeline.table<S>(program.tables),
                                       worker.pipeline.state<S>(), worker.emit, rows);
                          }) {
                found |= S::query(table, worker.pipeline.table<S>(program.tables),
                                  worker.pipeline.state<S>(), worker.emit, rows);
            } else if constexpr (requires {
                                     S::query(table, worker.pipeline.table<S>(program.tables),
                                              worker.pipeline.state<S>(), worker.emit, rows, more);
                                 }) {
                found |= S::query(table, worker.pipeline.table<S>(program.tables),
                                  worker.pipeline.state<S>(), worker.emit, rows, more);
            }
            if constexpr (requires {
                              S::ask(request, worker.pipeline.table<S>(program.tables),
                                     worker.pipeline.state<S>(), worker.emit, rows);
                          }) {
                found |= S::ask(request, worker.pipeline.table<S>(program.tables),
                                worker.pipeline.state<S>(), worker.emit, rows);
                worker.pipeline.drain(program.tables);  // what it sent
            }
        });
    }
    if (more) answer.set("more", true);
    return found ? answer : error_answer("what: nobody answers this; see dataplane/queries.md");
}

Value Engine::query(const Value& request) {
    const std::string& what = request["what"].as_text();
    if (what == "files") return files_answer(*programs_.back());
    if (what == "program") return program_answer(*programs_.back());
    return error_answer("what: only \"program\" and \"files\" are asked of the engine as a whole");
}

// They stand in what was compiled: no worker is kept from its packets.
Value Engine::files_answer(const Program& program) const {
    Value answer = Value::object();
    Value& rows = answer.set("rows", Value::array());
    Plane::Parts::for_each([&]<class S>() {
        const typename S::Tables& table = Plane::Worker::table<S>(program.tables);
        if constexpr (requires { S::files(table, rows); }) S::files(table, rows);
    });
    return answer;
}

Value Engine::program_answer(const Program& program) const {
    Value answer = Value::object();
    answer.set("revision", program.revision);
    answer.set("ticket", program.ticket);
    Value& ports = answer.set("ports", Value::array());
    for (const dataplane::PortEntry& port : program.topology.ports) {
        if (port.role == dataplane::PortRole::none) continue;
        Value row = Value::object();
        row.set("name", port.name);
        row.set("index", port.index);
        row.set("vni", port.vni);
        row.set("epoch", port.epoch);
        row.set("foreign", port.foreign);
        ports.push(std::move(row));
    }
    Value& stages = answer.set("stages", Value::object());
    const auto list = [&]<class List>(const char* name, List) {
        Value& names = stages.set(name, Value::array());
        List::for_each([&]<class S>() { names.push(S::name); });
    };
    list("source", features::Source{});
    list("destination", features::Destination{});
    list("underlay", features::Underlay{});
    list("service", features::Service{});
    return answer;
}

}  // namespace weir::engine
