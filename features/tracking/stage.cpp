#include "features/tracking/stage.hpp"

#include <utility>

#include "dataplane/is_flow.hpp"
#include "flow/table.hpp"
#include "flow/tcp.hpp"
#include "net/wire.hpp"

namespace weir::tracking {

namespace {

using dataplane::Context;
using dataplane::Emit;
using dataplane::Packet;
using dataplane::PortEntry;

constexpr std::uint64_t second_ns = 1'000'000'000;

std::size_t guest_context(const Packet& p) {
    return static_cast<Context>(p.context) == Context::source ? 0 : 1;
}

// The segment a record is kept under is the port's own, also for packets routed towards it.
flow::Table::Hit find(const Packet& p, const PortEntry& port, Emit& emit) {
    return emit.flows->find(port.scope, port.vni, p.tuple, p.hash);
}

// Leaves pending what a packet of this record still needs.
void plan_stages(Packet& p, const PortEntry& port, Emit& emit) {
    const flow::Hot& hot = p.flow->hot[p.direction];
    const std::size_t which = guest_context(p);
    // A trace shows how the flow is decided.
    if (hot.epoch != port.epoch && p.hand.trace_id == 0) emit.renew(*p.flow, p.direction, port);
    if (hot.epoch != port.epoch || hot.engine != emit.engine || !emit.load_program(p)) {
        // New or stale: every stage looks again, with what the record remembers.
        p.program = dataplane::own_program(p);
        p.program->act_before = emit.stages->insertion[which];
        p.pending = emit.stages->behind_tracking[which];
        return;
    }
    dataplane::ActionProgram& program = *p.program;
    const bool behind_current = program.behind_is(port.epoch, emit.engine);
    if (!behind_current) program.drop_behind();
    p.pending = program.act_before |
                (behind_current ? program.act_behind : emit.stages->behind_insertion[which]);
}

void count(Packet& p, const PortEntry& port, Emit& emit) {
    flow::Hot& hot = p.flow->hot[p.direction];
    ++hot.packets;
    hot.bytes += p.length;
    emit.flows->touch(*p.flow, p.direction, port.timeouts, emit.now_ns);
}

// An ICMP error belongs to the flow it quotes: it goes the flow's way and changes nothing of it.
bool related_error(Packet& p, const PortEntry& port, Emit& emit) {
    const auto hit = find(p, port, emit);
    if (!hit) return false;
    p.flow = hit.pair;
    p.direction = hit.direction;
    plan_stages(p, port, emit);
    return true;
}

// A new record for the packet met first of a flow, which is an answer or not; null: `why` not,
// count_: the table is full.
flow::Table::Hit insert(const Packet& p, bool answer, const PortEntry& port, Track::State& state,
                        Emit& emit, Track::Exit& why) {
    const bool sent_by_guest = guest_context(p) == 0;  // who pays for it, whoever began
    why = Track::Exit::over_rate;
    if (sent_by_guest && Track::is_over_rate(state, port, emit)) return {};
    why = Track::Exit::over_limit;
    if (!Track::has_room(state, port, emit)) return {};
    why = Track::Exit::count_;
    flow::FlowPair* pair =
        emit.flows->insert({port.scope, port.vni, answer ? p.tuple.reversed() : p.tuple}, p.hash,
                           emit.now_ns, nullptr, port.timeouts);
    if (!pair) {
        state.full_ns = emit.now_ns;
        return {};
    }
    if (sent_by_guest)
        state.ports[port.index].budget.begin(port.flow_limits, emit.workers, emit.now_ns);
    pair->initiator_outside = sent_by_guest == answer;
    pair->traced = p.hand.trace_id != 0;
    return {pair, answer};
}

// DP-11: what seems to begin a flow may go on with one whose record was lost. Only TCP says by a
// SYN that it does not: what else comes from outside is judged as what it seems.
bool is_answer(const Packet& p, bool tcp, flow::TcpClass kind, const Emit& emit) {
    if (!tcp || !emit.adopts() || kind == flow::TcpClass::syn) return false;
    return kind == flow::TcpClass::syn_ack || emit.adoption.is_answer(p.tuple, p.hash);
}

// A TCP segment with its headers whole; later fragments carry none.
bool read_segment(const Packet& p, flow::TcpSegment& segment) {
    return p.tuple.proto == net::proto_tcp && p.headers.fragment != net::Fragment::later &&
           p.headers.l4 != 0 &&
           flow::read_tcp(p.data + p.headers.l4,
                          static_cast<std::uint32_t>(p.headers.l3_end - p.headers.l4), segment);
}

// What a service translated is at home where its flow is. True: it is on its way there.
bool go_home(Packet& p, const PortEntry& port, const Track::State& state, Emit& emit) {
    if (p.hand.dispatched >= flow::at_alias_home) return false;
    const std::uint32_t worker = Track::home_elsewhere(state, port, p.hash, emit);
    if (worker == flow::AliasHomes::nowhere) return false;
    p.hand.dispatched = flow::at_alias_home;
    emit.hand_to_worker(p, worker);
    return true;
}

// What a service translated comes home for the first time, with the flow it belongs to.
flow::Table::Hit take_alias(Packet& p, const PortEntry& port, Track::State& state, Emit& emit) {
    if (p.hand.dispatched != flow::brings_alias || p.hand.trace_id != 0) return {};
    flow::FlowPair* pair = emit.flows->at_handle(p.hand.trace_collector);
    p.hand.trace_collector = 0;
    p.hand.dispatched = 0;  // where it goes on this host, its tuple has another owner
    if (!pair || pair->key.scope != port.scope || pair->condemned) return {};
    std::size_t aliases = 0;
    emit.flows->for_each_alias(*pair, [&](const flow::Alias&) { ++aliases; });
    const auto direction = static_cast<std::uint8_t>(guest_context(p) ^ pair->initiator_outside);
    if (aliases >= flow::max_aliases || !emit.flows->add_alias(*pair, p.tuple, direction, p.hash))
        return {};
    ++state.translations;
    if (state.homes)
        state.homes->set(flow::AliasHomes::key_of(port.scope, port.vni, p.hash), emit.worker);
    return {pair, direction};
}

// A SYN of the responder, whose record its own packet began after a loss of records (DP-11), while
// the initiator has not been heard: it is judged as what it says it is, or anybody could get past
// the firewall by an answer to nothing.
bool may_begin(const flow::FlowPair& pair, std::uint8_t direction, flow::TcpClass kind) {
    return kind == flow::TcpClass::syn && direction == 1 && pair.hot[0].packets == 0;
}

// Connections that began without a record, for want of room, go on without one.
bool was_full(const Track::State& state, const Emit& emit) {
    return state.full_ns != 0 && emit.now_ns - state.full_ns < second_ns;
}

// Finds or makes the record of a packet; what keeps it from having one, or count_. count_ without a
// record: the table is full. `left`: it went to another worker.
Track::Exit follow(Packet& p, const PortEntry& port, Track::State& state, Emit& emit, bool& left) {
    flow::TcpSegment segment;
    const bool tcp = read_segment(p, segment);
    const flow::TcpClass kind = tcp ? flow::class_of_flags(segment.flags) : flow::TcpClass::ack;
    // No record is touched for what no TCP sends: it would cost the flow that is named.
    if (kind == flow::TcpClass::invalid) return Track::Exit::invalid_flags;
    for (int attempt = 0; attempt < 2; ++attempt) {
        auto hit = find(p, port, emit);
        if (!hit) hit = take_alias(p, port, state, emit);
        p.flow_is_new = !hit;
        const bool underway = !hit && tcp && kind != flow::TcpClass::syn;
        if (!hit) {
            if (go_home(p, port, state, emit)) {
                left = true;
                return Track::Exit::count_;
            }
            if (p.hand.needs_record & (1u << guest_context(p))) return Track::Exit::not_anchor;
            if (underway && !emit.adopts())
                return was_full(state, emit) ? Track::Exit::count_ : Track::Exit::out_of_state;
            Track::Exit why{};
            hit = insert(p, is_answer(p, tcp, kind, emit), port, state, emit, why);
            if (!hit) return why;
        } else if (tcp && may_begin(*hit.pair, hit.direction, kind)) {
            emit.flows->erase(*hit.pair);
            continue;
        }
        p.flow = hit.pair;
        p.direction = hit.direction;
        if (!tcp) return Track::Exit::count_;
        const flow::TcpVerdict verdict =
            (underway ? flow::adopt_midflow : flow::track)(*p.flow, p.direction, segment).verdict;
        state.adopted += underway && verdict == flow::TcpVerdict::pass;
        if (verdict == flow::TcpVerdict::pass) return Track::Exit::count_;
        if (verdict == flow::TcpVerdict::reopen) {  // a closed connection's ports are used again
            emit.flows->erase(*std::exchange(p.flow, nullptr));
            continue;
        }
        if (p.flow_is_new) emit.forget(*p.flow);
        return verdict == flow::TcpVerdict::invalid ? Track::Exit::invalid_flags
                                                    : Track::Exit::out_of_state;
    }
    return Track::Exit::out_of_state;
}

}  // namespace

bool Track::has_room(State& state, const PortEntry& port, const Emit& emit) {
    if (port.flow_limits.max_flows == 0) return true;
    const flow::Scope* scope = emit.flows->scope(port.scope);
    if (!scope || scope->records < port.flow_limits.max_per_worker(emit.workers) ||
        emit.flows->make_room(port.scope))
        return true;
    ++state.ports[port.index].over_limit;
    return false;
}

void Track::run(dataplane::Burst& burst, const Tables&, State& state, dataplane::Exits<Exit>& exits,
                Emit& emit) {
    emit.flows->begin_burst();
    for (Packet* p : burst.packets()) {
        const PortEntry& port = *emit.ports->at(dataplane::context_port(*p));
        p->flow = nullptr;
        const bool orphan = p->hand.fragment_known == net::fragment_orphan;
        if (orphan && (p->hand.needs_record & (1u << guest_context(*p)))) {
            exits.take(*p, Exit::not_anchor);
            continue;
        }
        if (orphan || !dataplane::is_flow(*p)) {
            p->program = dataplane::own_program(*p);
            continue;
        }
        if (p->headers.icmp_error) {
            if (!related_error(*p, port, emit)) exits.take(*p, Exit::no_flow_for_error);
            continue;
        }
        bool left = false;
        if (const Exit why = follow(*p, port, state, emit, left); why != Exit::count_) {
            exits.take(*p, why);
            continue;
        }
        if (left) continue;
        if (!p->flow) {  // Insert knows whether its services let it pass without (DP-10)
            p->flow_is_new = false;
            p->program = dataplane::own_program(*p);
            continue;
        }
        count(*p, port, emit);
        emit.note(*p, "flow", p->flow->id);
        emit.note(*p, "new", p->flow_is_new ? 1 : 0);
        plan_stages(*p, port, emit);
    }
}

void Track::tick(const Tables&, State& state, dataplane::Exits<Exit>&, Emit& emit) {
    // New flows pay for those that leave: each for two, so that the table never falls behind.
    const std::uint64_t inserted = state.flows->stats().inserted;
    const std::uint64_t budget = 256 + 2 * (inserted - state.inserted_before);
    state.inserted_before = inserted;
    state.flows->age(emit.now_ns, budget);
}

void Track::counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_insertion_translations_total", {}, state.translations);
    sink.add("weir_flows_adopted_total", {}, state.adopted);
    std::uint64_t over_rate = 0, over_limit = 0;
    for (const PortFlows& port : state.ports) {
        over_rate += port.over_rate;
        over_limit += port.over_limit;
    }
    sink.add("weir_flows_refused_total", {{"reason", "over-rate"}}, over_rate);
    sink.add("weir_flows_refused_total", {{"reason", "over-limit"}}, over_limit);
}

void Track::shared_counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
    static constexpr std::array<std::string_view, 5> kind_names = {"", "half-open", "closing",
                                                                   "other", "established"};
    const flow::Stats& stats = state.flows->stats();
    sink.add("weir_flows", {}, state.flows->size());
    sink.add("weir_flows_inserted_total", {}, stats.inserted);
    sink.add("weir_flows_expired_total", {}, stats.expired);
    for (std::size_t kind = 1; kind < static_cast<std::size_t>(flow::Kind::count_); ++kind) {
        sink.add("weir_flows_by_kind", {{"kind", kind_names[kind]}}, stats.records[kind]);
        sink.add("weir_flows_evicted_total", {{"kind", kind_names[kind]}}, stats.evicted[kind]);
    }
    sink.add("weir_flows_refused_total", {{"reason", "full"}}, stats.refused_full);
    sink.add("weir_flows_refused_total", {{"reason", "crowded"}}, stats.refused_crowded);
    sink.add("weir_flows_without_insertion_total", {}, stats.refused_insertion);
}

bool Track::query(std::string_view what, const Tables&, State& state, Emit& emit,
                  model::Value& rows) {
    if (what != "limits") return false;
    for (const PortEntry& port : emit.ports->ports) {
        const PortFlows& flows = state.ports[port.index % state.ports.size()];
        const dataplane::FlowLimits& limits = port.flow_limits;
        if (port.role != dataplane::PortRole::guest ||
            (limits.max_flows == 0 && limits.interval_ns == 0))
            continue;
        const flow::Scope* scope = emit.flows->scope(port.scope);
        model::Value& row = rows.push(model::Value::object());
        row.set("port", port.name);
        row.set("flows", std::uint64_t{scope ? scope->records : 0});
        row.set("max_flows", std::uint64_t{limits.max_flows});
        row.set("new_flows_per_second",
                limits.interval_ns == 0 ? 0 : second_ns / limits.interval_ns);
        row.set("over_rate", flows.over_rate);
        row.set("over_limit", flows.over_limit);
    }
    return true;
}

void Settle::run(dataplane::Burst& burst, const Tables&, State&, dataplane::Exits<Exit>&,
                 Emit& emit) {
    for (Packet* p : burst.packets()) {
        if (!p->flow || p->flow->condemned) continue;
        flow::Hot& hot = p->flow->hot[p->direction];
        hot.epoch = emit.ports->at(dataplane::context_port(*p))->epoch;
        hot.engine = emit.engine;
        hot.program = dataplane::ProgramStore::none;  // until Insert or whoever sends it says more
    }
}

}  // namespace weir::tracking
