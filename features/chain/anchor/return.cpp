#include "features/chain/anchor/return.hpp"

#include <cstdio>

#include "flow/table.hpp"
#include "flow/tcp.hpp"
#include "net/ethernet.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"
#include "net/rss.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using dataplane::Context;
using dataplane::Emit;
using dataplane::Packet;
using dataplane::PortEntry;
using Exit = Return::Exit;

constexpr Exit goes_on = Exit::count_;
constexpr std::uint64_t tell_interval_ns = 1'000'000'000;

// One packet of a burst.
struct Work {
    const Plane& plane;
    const PortSegments& segments;
    Return::State& state;
    Emit& emit;
    std::uint32_t svni = 0;  // that the leg came on

    Exit run(Packet& p) {
        const net::Smd& smd = p.smd;
        if (smd.anchor_host != plane.host_id || smd.si != 0 ||
            net::destination_mac(p) != net::service_plane_mac(plane.host_id))
            return Exit::not_anchor;
        const PortEntry* port = emit.ports->at(smd.anchor_port & 0xffffff);
        if (!port || port->anchor_id() != smd.anchor_port || port->vni != smd.tenant_vni ||
            port->role != dataplane::PortRole::guest)
            return Exit::stale_anchor;
        if (!plane.is_on_segment(p.vni, smd)) return Exit::not_anchor;
        svni = p.vni;
        net::set_macs(p, smd.original_dst, smd.original_src);
        if (net::parse(p) != net::ParseError::none) return Exit::tuple_changed;
        state.ttl[smd.ttl & 63] += 1;
        restore(p, *port);
        const std::uint32_t owner = emit.flows->worker_of(smd.flow_handle);
        if (port->foreign || (owner != emit.worker && owner < emit.workers)) {
            const bool translated = is_translated(p, owner);
            if (translated && !may_translate(p)) return Exit::tuple_changed;
            const bool brings_alias = translated && is_of(*port) && p.hand.trace_id == 0;
            if (brings_alias) p.hand.trace_collector = p.smd.flow_handle;
            count_back(p);
            hand_on(p, *port, owner, brings_alias);
            return goes_on;
        }
        if (const Exit why = find_record(p, *port); why != goes_on) return why;
        if ((p.headers.tcp_flags & net::tcp_syn) != 0) [[unlikely]]
            learn_answer(p);
        if (count_back(p)) [[unlikely]]
            compare_ways(p, *port);
        resume(p, *port);
        return goes_on;
    }

    // Whether the port uses the service segment at all.
    bool is_of(const PortEntry& port) const { return segments.may_use(port.index, svni); }

    // Whether it goes on without a record. Neither the path nor another port's chain says that
    // packets of this port were ever on it.
    bool may_be_new(const Packet& p, const PortEntry& port) const {
        return is_of(port) && plane.chain(p.smd.sci);
    }

    void restore(Packet& p, const PortEntry& port) {
        stand_at_port(p, port);
        if (p.hand.fragment_known) {
            p.tuple.src_port = p.hand.fragment_src_port;
            p.tuple.dst_port = p.hand.fragment_dst_port;
        }
        p.hash = net::symmetric_hash(p.tuple);
    }

    // To another worker or engine, which starts the port's context again and skips insertion.
    void hand_on(Packet& p, const PortEntry& port, std::uint32_t owner, bool brings_alias) {
        ++state.handed_on;
        if (!may_be_new(p, port)) p.hand.needs_record = p.smd.at_ingress ? 2 : 1;
        p.hand.entry = p.smd.at_ingress ? net::Entry::deliver : net::Entry::receive;
        p.hand.dispatched = brings_alias ? flow::brings_alias : std::uint8_t{2};
        // First the worker: its shell finds the engine.
        if (owner != emit.worker && owner < emit.workers) {
            emit.hand_to_worker(p, owner);
        } else {
            emit.hand_to_engine(p);
        }
    }

    // R4, R6. A later fragment carries no ports; its addresses must do.
    Exit find_record(Packet& p, const PortEntry& port) {
        p.flow = emit.flows->at_handle(p.smd.flow_handle);
        if (p.flow && (p.flow->key.scope != port.scope || p.flow->condemned)) p.flow = nullptr;
        Return::PortCounters& counters = state.ports[2 * port.index + p.smd.at_ingress];
        ++counters.returned;
        if (!p.flow) {
            if (!may_be_new(p, port)) return Exit::not_anchor;
            ++counters.no_record;
            return goes_on;
        }
        const net::Tuple& tuple = p.flow->key.tuple;
        if (matches(p, tuple)) {
            p.direction = 0;
        } else if (matches(p, tuple.reversed())) {
            p.direction = 1;
        } else {
            return translated(p, port) ? goes_on : Exit::tuple_changed;
        }
        return goes_on;
    }

    // What a node that ends connections answers in the other end's name was never at this port's
    // tracking, which must know it nevertheless (nodes.md).
    void learn_answer(const Packet& p) {
        if (!p.flow || p.direction != 1 || p.flow->tcp != flow::TcpState::syn_sent ||
            p.headers.proto != net::proto_tcp || (p.headers.tcp_flags & net::tcp_ack) == 0 ||
            !may_translate(p))
            return;
        flow::TcpSegment segment;
        if (flow::read_tcp(p.data + p.headers.l4,
                           static_cast<std::uint32_t>(p.headers.l3_end - p.headers.l4), segment))
            flow::track(*p.flow, 1, segment);
    }

    // Whatever of a watched flow went in and is here again, on whatever worker: with what that one
    // counted who sent it. False: the flow is not watched.
    bool count_back(const Packet& p) {
        if (!Symmetry::watches(p.smd)) return false;
        if (const Chain* chain = plane.chain(p.smd.sci))
            state.times.returned(std::uint64_t{chain->svni} << 24 | p.smd.spi, watched(p),
                                 emit.flows->worker_of(p.smd.flow_handle), emit.now_ns);
        return true;
    }

    // Of a watched flow: what both of its directions have met.
    void compare_ways(const Packet& p, const PortEntry& port) {
        if (!p.flow) return;
        if (!state.symmetry.look(p.smd.flow_handle, p.smd.reverse, met_by(plane, p.smd))) return;
        if (emit.now_ns - state.told_ns < tell_interval_ns && state.told_ns != 0) return;
        state.told_ns = emit.now_ns;
        char text[256];
        const int n = std::snprintf(
            text, sizeof text, R"({"event":"path-asymmetric","port":"%s","flow":%llu,"spi":%u})",
            port.name.c_str(), static_cast<unsigned long long>(p.flow->id), p.smd.spi);
        if (n > 0 && static_cast<std::size_t>(n) < sizeof text)
            emit.event({text, static_cast<std::size_t>(n)});
    }

    // The worker of a flow is that of its tuple, unless a node changed that.
    bool is_translated(const Packet& p, std::uint32_t owner) const {
        const bool no_ports = p.headers.fragment == net::Fragment::later && !p.hand.fragment_known;
        return owner < emit.workers && !no_ports && net::flow_owner(p.tuple, emit.workers) != owner;
    }
    bool may_translate(const Packet& p) const {
        const Chain* chain = plane.chain(p.smd.sci);
        const Path* path = chain ? chain->path(p.smd.spi) : nullptr;
        return path && may_rewrite(*path);
    }

    // R4: a node that may rewrite headers did. Replies to what it wrote find the flow from now on.
    bool translated(Packet& p, const PortEntry& port) {
        if (!may_translate(p)) return false;
        const flow::InsertionDecision record = emit.flows->insertion(*p.flow);
        // The way out of the port is that of the initiator, unless it was opened towards the guest.
        p.direction =
            static_cast<std::uint8_t>((p.smd.at_ingress ? 1 : 0) ^ p.flow->initiator_outside);
        if (p.headers.fragment == net::Fragment::later) return true;
        p.hand.dispatched = 0;  // where it goes on this host, its tuple has another owner
        std::size_t aliases = 0;
        bool known = false;
        emit.flows->for_each_alias(*p.flow, [&](const flow::Alias& alias) {
            ++aliases;
            known |=
                alias.tuple == (alias.direction() == p.direction ? p.tuple : p.tuple.reversed());
        });
        if (known) return true;
        if (!is_of(port) || aliases >= flow::max_aliases ||
            !emit.flows->add_alias(*p.flow, p.tuple, p.direction, p.hash))
            return false;
        ++state.translations;
        if (state.homes && net::flow_owner(p.tuple, emit.workers) != emit.worker)
            state.homes->set(flow::AliasHomes::key_of(port.scope, port.vni, p.hash), emit.worker);
        if (record.flags & flow::insertion_rewritten) return true;
        flow::InsertionDecision rewritten = record;
        rewritten.flags |= flow::insertion_rewritten;
        return emit.flows->set_insertion(*p.flow, rewritten);
    }

    static bool matches(const Packet& p, const net::Tuple& tuple) {
        if (p.headers.fragment == net::Fragment::later)
            return p.tuple.src == tuple.src && p.tuple.dst == tuple.dst &&
                   p.tuple.proto == tuple.proto;
        return p.tuple == tuple;
    }

    // Part two of the flow's program, as Track does with part one. A record that is not current any
    // more has no valid part two either: its next packet starts the whole program afresh.
    dataplane::StageBits pick_program(Packet& p, const PortEntry& port, std::size_t which) {
        if (!p.flow) {
            ++state.resumed.without_record;
            p.program = dataplane::own_program(p);
            return emit.stages->behind_insertion[which];
        }
        const flow::Hot& hot = p.flow->hot[p.direction];
        const bool current =
            hot.epoch == port.epoch && hot.engine == emit.engine && emit.load_program(p);
        if (current && p.program->behind_is(port.epoch, emit.engine)) {
            ++state.resumed.replayed;
            return p.program->act_behind;
        }
        ++state.resumed.compiled;
        if (current) {
            p.program->drop_behind();
        } else {
            p.program = dataplane::own_program(p);
            p.program->act_before = emit.stages->insertion[which];
        }
        return emit.stages->behind_insertion[which];
    }

    void resume(Packet& p, const PortEntry& port) {
        emit.note(p, "port", port.name);
        emit.note(p, "call_point", p.smd.at_ingress ? "ingress" : "egress");
        const std::size_t which = p.smd.at_ingress ? 1 : 0;
        const dataplane::StageBits pending = pick_program(p, port, which);
        emit.enter(p, which == 1 ? Context::destination : Context::source, pending);
    }
};

}  // namespace

void stand_at_port(Packet& p, const PortEntry& port) {
    const bool ingress = p.smd.at_ingress;
    p.vni = p.hand.vni = port.vni;
    p.hand.port = port.index;
    p.hand.call_points_done |= ingress ? 2 : 1;
    p.tunnel_peer = net::no_port;
    p.source_port = ingress ? net::no_port : port.index;
    p.destination_port = ingress ? port.index : net::no_port;
    p.hand.source_port = p.source_port;
    if (ingress) return;
    p.hand.serviced_sci = p.smd.sci;  // DP-27
    p.hand.serviced_anchor = p.smd.anchor_host;
    p.hand.serviced_flags =
        static_cast<std::uint8_t>(net::serviced_flag | (p.smd.reverse ? net::serviced_reverse : 0));
}

Result<std::shared_ptr<const Return::Tables>> Return::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    auto tables = std::make_shared<Tables>();
    tables->plane = compile_plane(input, previous ? previous->plane : nullptr);
    tables->segments = PortSegments::compile(input);
    for (const PortEntry& port : input.ports.ports)
        tables->port_names.push_back(port.role == dataplane::PortRole::guest ? port.name : "");
    if (previous && previous->plane == tables->plane && previous->segments == tables->segments &&
        previous->port_names == tables->port_names)
        return std::shared_ptr(previous);
    return std::shared_ptr<const Tables>(std::move(tables));
}

void Return::run(dataplane::Burst& burst, const Tables& tables, State& state,
                 dataplane::Exits<Exit>& exits, Emit& emit) {
    Work work{*tables.plane, tables.segments, state, emit};
    for (Packet* p : burst.packets()) {
        const bool arrived = p->tunnel_peer == net::no_port && p->destination_port == net::no_port;
        if (!p->smd.returning || !arrived) continue;
        if (const Exit why = work.run(*p); why != goes_on) exits.take(*p, why);
    }
}

void Return::counters(const Tables& tables, const State& state, dataplane::CounterSink& sink) {
    for (std::size_t i = 0; i < tables.port_names.size() && 2 * i < state.ports.size(); ++i) {
        if (tables.port_names[i].empty()) continue;
        for (const std::size_t point : {0u, 1u}) {
            const PortCounters& c = state.ports[2 * i + point];
            const std::string_view call_point = point == 0 ? "egress" : "ingress";
            sink.add("weir_insertion_returned_total",
                     {{"port", tables.port_names[i]}, {"call_point", call_point}}, c.returned);
            sink.add("weir_insertion_returned_without_record_total",
                     {{"port", tables.port_names[i]}, {"call_point", call_point}}, c.no_record);
        }
    }
    for (std::size_t ttl = 0; ttl < state.ttl.size(); ++ttl)
        if (state.ttl[ttl] != 0)
            sink.add("weir_service_return_ttl_total", {{"ttl", std::to_string(ttl)}},
                     state.ttl[ttl]);
    sink.add("weir_service_watched_flows_total", {{"result", "watched"}}, state.symmetry.watched);
    sink.add("weir_service_watched_flows_total", {{"result", "asymmetric"}},
             state.symmetry.asymmetric);
    sink.add("weir_insertion_handed_on_total", {}, state.handed_on);
    sink.add("weir_insertion_translations_total", {}, state.translations);
    sink.add("weir_insertion_resumed_total", {{"program", "replayed"}}, state.resumed.replayed);
    sink.add("weir_insertion_resumed_total", {{"program", "compiled"}}, state.resumed.compiled);
    sink.add("weir_insertion_resumed_total", {{"program", "none"}}, state.resumed.without_record);
}

}  // namespace weir::chain
