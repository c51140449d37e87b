#include "features/chain/anchor/insert.hpp"

#include <algorithm>
#include <cstdio>

#include "dataplane/cut.hpp"
#include "dataplane/icmp_reply.hpp"
#include "dataplane/is_flow.hpp"
#include "features/chain/anchor/no_record.hpp"
#include "features/chain/node/load.hpp"
#include "features/chain/node/metadata.hpp"
#include "features/chain/orders/order_effects.hpp"
#include "flow/table.hpp"
#include "flow/tcp.hpp"
#include "model/value.hpp"
#include "net/checksum.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::Packet;

constexpr std::size_t counted_rules = 4096, counted_chains = 1024, counted_paths = 8192;
constexpr std::uint32_t max_logged_per_second = 100;

std::uint64_t path_number(const Path& path) {
    return std::uint64_t{path.svni} << 24 | path.spi;
}

CallPoint call_point_of(const Packet& p) {
    return static_cast<dataplane::Context>(p.context) == dataplane::Context::source
               ? CallPoint::egress
               : CallPoint::ingress;
}

// One event for each decision of a logged rule, within bounds.
void log(const CompiledRule& rule, const Decided& decided, const dataplane::PortEntry& port,
         Insert::State& state, Emit& emit) {
    if (emit.now_ns - state.logged_second_ns >= 1'000'000'000) {
        state.logged_second_ns = emit.now_ns;
        state.logged = 0;
    }
    if (state.logged++ >= max_logged_per_second) return;
    char text[320];
    const int n = std::snprintf(text, sizeof text,
                                "{\"event\":\"service-insertion\",\"rule\":\"%.63s\",\"port\":\"%."
                                "63s\",\"chain\":\"%.63s\","
                                "\"path\":\"%.63s\"}",
                                rule.name.c_str(), port.name.c_str(),
                                decided.chain ? decided.chain->name.c_str() : "",
                                decided.path ? decided.path->name.c_str() : "");
    if (n > 0 && static_cast<std::size_t>(n) < sizeof text)
        emit.event({text, static_cast<std::size_t>(n)});
}

// Of the IP packet, or of the largest one that it is cut into.
std::uint32_t ip_bytes(const Packet& p) {
    const auto whole = static_cast<std::uint32_t>(p.headers.l3_end - p.headers.l3);
    if (!(p.flags & net::packet_super_frame)) return whole;
    return std::min<std::uint32_t>(whole, p.headers.payload - p.headers.l3 + p.segment_bytes);
}

// In HandOver::call_points_done, behind the bits of the call points.
constexpr std::uint8_t passed_without_record = 4;

// One packet of a burst.
struct Work {
    const InsertTables& tables;
    Insert::State& state;
    dataplane::Exits<Insert::Exit>& exits;
    Emit& emit;

    void run(Packet& p) {
        const CallPoint point = call_point_of(p);
        const auto bit = static_cast<std::uint8_t>(1u << static_cast<unsigned>(point));
        if (p.hand.call_points_done & bit) return;
        p.hand.call_points_done |= bit;
        const std::uint32_t index = dataplane::context_port(p);
        const dataplane::PortEntry* port = emit.ports->at(index);
        if (!port) return;
        Insert::PortCounters& counters = state.ports[2 * index + static_cast<unsigned>(point)];
        if (!p.flow) {
            ++counters.packets;
            counters.bytes += p.length;
            const bool orphan = p.hand.fragment_known == net::fragment_orphan;
            if (!dataplane::is_flow(p)) ++counters.bypass_l2;  // ARP, multicast … (DP-5)
            else if (orphan) without_ports(p, index, point);
            else without_record(p, index, point);
            return;
        }
        DecideInput input{tables,      *emit.health, index,         point,
                          p,           *emit.flows,  emit.adopts(), &state.waiting.outages,
                          emit.now_ns, &state.draws};
        Decided decided = decide(*p.flow, input);
        if (decided.chain && decided.chain->on_demand) ask_for_path(decided);
        if (decided.what == Decision::wait) [[unlikely]] {
            if (wait(p, decided, bit)) return;
            input.outages = nullptr;  // no room: the failure policy counts at once
            decided = decide(*p.flow, input);
        }
        ++counters.packets;
        counters.bytes += p.length;
        count(p, decided, counters);
        if (decided.rule && decided.rule->logged) log(*decided.rule, decided, *port, state, emit);
        note(p, decided);
        act(p, decided, *port, point);
    }

    // DP-12: the first fragment of its datagram did not come.
    void without_ports(Packet& p, std::uint32_t port, CallPoint point) {
        const auto policy = policy_without_ports(tables, state, p, port, point);
        emit.note(p, "service", "the first fragment did not come");
        if (policy.value_or(FailurePolicy::allow) != FailurePolicy::allow)
            exits.take(p, Insert::Exit::orphan);
        else state.ports[2 * port + static_cast<unsigned>(point)].bypass_fail += policy.has_value();
    }

    // DP-10: the table is full of flows that stay. A chain treats the packet as where it has no
    // path, for itself; without one it goes no further.
    void without_record(Packet& p, std::uint32_t port, CallPoint point) {
        const auto policy = policy_without_record(tables, state, p, port, point);
        emit.note(p, "service", "no room for a record");
        if (!policy) {
            // Both guests are of this host: the sender's chain has let it pass.
            if ((p.hand.call_points_done & passed_without_record) == 0)
                exits.take(p, Insert::Exit::table_full);
        } else if (*policy == FailurePolicy::allow) {
            p.hand.call_points_done |= passed_without_record;
            ++state.ports[2 * port + static_cast<unsigned>(point)].ct_full;
        } else {
            if (*policy == FailurePolicy::reset) answer_reset(p);
            exits.take(p, Insert::Exit::ct_full);
        }
    }

    void count(const Packet& p, const Decided& decided, Insert::PortCounters& counters) {
        ++(decided.fresh ? counters.ct_miss : counters.ct_hit);
        counters.rule_lookup += decided.looked_up;
        counters.midflow +=
            decided.fresh && (emit.flows->insertion(*p.flow).flags & flow::insertion_midflow) != 0;
        switch (decided.what) {
            case Decision::redirect:
                ++counters.redirected;
                break;
            case Decision::foreign:
                ++counters.foreign;
                break;
            case Decision::bypass:
                ++counters.bypass_fail;
                break;
            case Decision::no_active_path:
            case Decision::cut_off:
                ++counters.no_active_path;
                break;
            case Decision::exempt:
                ++counters.offloaded_allow;
                break;
            case Decision::drop:
            case Decision::reset:
                ++counters.offloaded_drop;
                break;
            default:
                ++(decided.exempt ? counters.bypass_l2 : counters.no_service);
                break;
        }
        count_rule(decided);
        if (!decided.chain) return;
        Insert::ChainCounters& chain = state.chains[decided.chain->sci];
        count_offloaded(p, decided, chain);
        chain.flows += decided.new_on_path && decided.left_spi == 0;
        chain.path_switch += decided.new_on_path && decided.left_spi != 0;
        chain.bypass_engaged += decided.failed && decided.what == Decision::bypass;
        chain.blocked += decided.what == Decision::no_active_path;
        chain.reset += decided.what == Decision::cut_off && decided.failed;
        if (decided.left_spi != 0)
            ++state.paths[std::uint64_t{decided.chain->svni} << 24 | decided.left_spi].switched_out;
        if (!decided.path) return;
        Insert::PathCounters& path = state.paths[path_number(*decided.path)];
        path.new_flows += decided.new_on_path && decided.left_spi == 0;
        path.switched_in += decided.new_on_path && decided.left_spi != 0;
    }

    // CT-10: operators see what is kept from the services of a chain.
    static void count_offloaded(const Packet& p, const Decided& decided,
                                Insert::ChainCounters& chain) {
        const bool drop = decided.what == Decision::drop || decided.what == Decision::reset;
        if (!drop && decided.what != Decision::exempt) return;
        ++chain.offloaded_packets[drop ? 1 : 0];
        chain.offloaded_bytes[drop ? 1 : 0] += p.length;
    }

    void count_rule(const Decided& decided) {
        if (!decided.rule) return;
        Insert::RuleCounters& rule = state.rules[decided.rule->id];
        ++rule.hits;
        rule.sessions += decided.fresh;
        rule.unknown_chain += decided.unknown_chain;
        rule.last_hit_ns = emit.now_ns;
    }

    void count_sent(const Packet& p, const Decided& decided) {
        Insert::PathCounters& path = state.paths[path_number(*decided.path)];
        ++path.packets[decided.reverse];
        path.bytes[decided.reverse] += p.length;
        if (const auto record = emit.flows->insertion(*p.flow); record.skip[decided.reverse] != 0) {
            Insert::ChainCounters& chain = state.chains[record.sci];
            ++chain.offloaded_packets[2];
            chain.offloaded_bytes[2] += p.length;
        }
        Insert::RuleCounters& rule =
            state.rules[decided.rule ? decided.rule->id : emit.flows->insertion(*p.flow).rule_id];
        ++rule.packets;
        rule.bytes += p.length;
    }

    void note(const Packet& p, const Decided& decided) {
        if (p.hand.trace_id == 0) return;
        if (decided.rule) emit.note(p, "rule", decided.rule->name);
        if (decided.chain) emit.note(p, "chain", decided.chain->name);
        if (decided.path) {
            emit.note(p, "path", decided.path->name);
            emit.note(p, "spi", decided.path->spi);
            emit.note(p, "d", p.direction);
        } else {
            emit.note(p, "service",
                      decided.what == Decision::bypass    ? "bypassed"
                      : decided.what == Decision::cut_off ? "reset by the failure policy"
                      : decided.what == Decision::exempt  ? "exempted by a node"
                      : decided.what == Decision::drop    ? "dropped by a node's order"
                      : decided.what == Decision::reset   ? "reset by a node's order"
                      : decided.what == Decision::foreign ? "at the other end"
                                                          : "none");
        }
    }

    // Whether packets of this direction come here again.
    void keep(Packet& p, dataplane::StageBits act_before) {
        if (!p.program) return;
        const bool changed = p.program->act_before != act_before;
        p.program->act_before = act_before;
        // What goes straight on gets its whole program from the stage that sends it.
        const bool known = p.flow->hot[p.direction].program != dataplane::ProgramStore::none;
        if (!p.flow->condemned && (known ? changed : act_before != 0)) emit.store_program(p);
    }

    void act(Packet& p, const Decided& decided, const dataplane::PortEntry& port, CallPoint point) {
        const dataplane::StageBits self =
            emit.stages->insertion[point == CallPoint::egress ? 0 : 1];
        const bool done = decided.what == Decision::pass || decided.what == Decision::foreign;
        keep(p, done ? 0 : self);
        if (decided.what == Decision::redirect) {
            if (decided.left_spi != 0) keep_skips(p);
            redirect(p, {decided, port, point});
        } else if (decided.what == Decision::exempt) {
            if (point == CallPoint::egress) mark_exempted(p, decided);
        } else if (decided.what == Decision::drop) {
            exits.take(p, Insert::Exit::verdict_drop);
        } else if (decided.what == Decision::reset) {
            answer_reset(p);
            exits.take(p, Insert::Exit::verdict_reset);
        } else if (decided.what == Decision::cut_off) {
            cut_off(p, decided, port);
            exits.take(p, Insert::Exit::failure_reset);
        } else if (decided.what == Decision::no_active_path) {
            exits.take(p, Insert::Exit::no_active_path);
            if (decided.fresh) emit.forget(*p.flow);
        }
    }

    // Nodes that want to be left out have another place on the new path.
    void keep_skips(Packet& p) {
        const flow::InsertionDecision before = emit.flows->insertion(*p.flow);
        OrderedFlow flow{*p.flow,       before,       emit.flows->make_handle(*p.flow),
                         *tables.plane, *emit.health, state.book};
        derive_effects(flow);
        if (flow.record != before) emit.flows->set_insertion(*p.flow, flow.record);
    }

    // DP-27: the far end need not serve the flow either.
    void mark_exempted(Packet& p, const Decided& decided) {
        p.hand.serviced_sci = decided.chain->sci;
        p.hand.serviced_anchor = tables.plane->host_id;
        p.hand.serviced_flags = static_cast<std::uint8_t>(
            net::exempted_flag | (decided.reverse ? net::serviced_reverse : 0));
    }

    // 3.4 step 5: toward the sender, where that is allowed and makes sense.
    void answer_reset(Packet& p) {
        if (p.tuple.proto != net::proto_tcp)
            return dataplane::reply_icmp(p, net::IcmpErrorKind::admin_prohibited, 0, emit);
        if (!emit.may_send_icmp()) return;
        Packet* reset = emit.allocate();
        if (!reset) return;
        if (net::build_tcp_reset(p, *reset)) dataplane::send_reply(p, *reset, emit);
        else emit.release(*reset);
    }

    // Both ends of the connection hear of it. Its record stays for some seconds, so that what is
    // still sent is answered, and its ports may be used again at once; other flows begin anew.
    void cut_off(Packet& p, const Decided& decided, const dataplane::PortEntry& port) {
        answer_reset(p);
        if (p.tuple.proto == net::proto_tcp && !decided.fresh) {
            if (decided.failed) abort_far_end(p);
            p.flow->tcp = flow::TcpState::closed;
            emit.flows->refile(*p.flow, port.timeouts);
        } else {
            emit.forget(*p.flow);
        }
    }

    // Toward the receiver, who expects what it acknowledged last.
    void abort_far_end(Packet& p) {
        const flow::Hot& far = p.flow->hot[p.direction ^ 1];
        if (!(far.tcp_seen & flow::tcp_seen_window) || !emit.may_send_icmp()) return;
        Packet* reset = emit.allocate();
        if (!reset) return;
        if (!net::build_tcp_abort(p, far.acknowledged, *reset)) return emit.release(*reset);
        dataplane::send_onward(p, *reset, emit);
    }

    // PS-10: where a flow has no path, and where the one it got is as busy as may be, or above
    // limits.
    void ask_for_path(const Decided& decided) {
        const bool busy = decided.new_on_path &&
                          (decided.path->load >= spill_load || decided.path->above_limits != 0);
        if (!busy && (decided.path || decided.what == Decision::pass ||
                      decided.what == Decision::foreign || decided.what == Decision::exempt ||
                      decided.what == Decision::drop || decided.what == Decision::reset))
            return;
        chain::ask_for_path(*decided.chain, state.chains[decided.chain->sci].asked, emit);
    }

    // False: no room.
    bool wait(Packet& p, const Decided& decided, std::uint8_t call_point_bit) {
        Insert::ChainCounters& chain = state.chains[decided.chain->sci];
        emit.note(p, "service", "waits for a path");
        switch (state.waiting.take(p, *decided.chain, decided.outage, call_point_bit, emit)) {
            case WaitingRoom::Taken::yes:
                ++chain.held;
                return true;
            case WaitingRoom::Taken::flow_full:
                ++chain.held_refused;
                exits.take(p, Insert::Exit::queue_full);
                return true;
            case WaitingRoom::Taken::no_room:
                break;
        }
        ++chain.held_refused;
        return false;
    }

    // Where a packet enters the service plane.
    struct Entrance {
        const Decided& decided;
        const dataplane::PortEntry& port;
        CallPoint point;
    };

    void redirect(Packet& p, const Entrance& at) {
        if (!admit(p, at)) exits.take(p, Insert::Exit::mtu);
    }

    // What some node of the path cannot take is cut, or its sender is told so (DP-24). False: it is
    // still here.
    bool admit(Packet& p, const Entrance& at) {
        const std::uint32_t tags = p.headers.l3 - net::ethernet_bytes;
        const std::uint32_t mtu = at.decided.path->mtu[at.decided.reverse];
        const std::uint32_t limit = mtu > tags ? mtu - tags : 0;
        if (ip_bytes(p) <= limit) {
            enter_plane(p, at);
            return true;
        }
        emit.note(p, "mtu", limit);
        const bool may_be_cut =
            p.headers.family == net::Family::ip4 && !(p.data[p.headers.l3 + 6] & 0x40);
        if (may_be_cut) return cut(p, limit, at);
        dataplane::reply_icmp(p, net::IcmpErrorKind::too_big, limit, emit);
        return false;
    }

    bool cut(Packet& whole, std::uint32_t limit, const Entrance& at) {
        const auto take = [&](Packet& piece) {
            piece.flow = whole.flow;
            piece.direction = whole.direction;
            if (admit(piece, at)) return;
            exits.note(Insert::Exit::mtu);
            emit.release(piece);
        };
        if (whole.flags & net::packet_super_frame)
            return dataplane::cut_super_frame(whole, emit, take);
        if (!net::resolve_partial_checksum(whole) ||
            !dataplane::cut_fragments(whole, limit, emit, take))
            return false;
        ++state.fragmented;
        return true;
    }

    void enter_plane(Packet& p, const Entrance& at) {
        const auto& [decided, port, point] = at;
        count_sent(p, decided);
        const flow::InsertionDecision record = emit.flows->insertion(*p.flow);
        fill_metadata(p.smd, {port, *p.flow, *decided.path, record, *tables.plane, *emit.flows,
                              p.data, decided.reverse, point});
        p.smd.trace = p.hand.trace_id != 0;
        p.vni = decided.path->svni;
        p.destination_port = p.tunnel_peer = net::no_port;
        p.oam = false;
        p.ctrl_count = 0;
        if (Symmetry::watches(p.smd)) [[unlikely]]
            state.times.sent(path_number(*decided.path), watched(p), emit.now_ns);
        emit.enter(p, dataplane::Context::service, emit.stages->service_from_anchor);
    }
};

}  // namespace

Insert::State::State()
    : ports(2 * limits::max_ports),
      rules(counted_rules),
      chains(counted_chains),
      paths(counted_paths) {}

Result<std::shared_ptr<const InsertTables>> Insert::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    return compile_insert(input, previous);
}

void Insert::run(dataplane::Burst& burst, const Tables& tables, State& state,
                 dataplane::Exits<Exit>& exits, Emit& emit) {
    Work work{tables, state, exits, emit};
    for (Packet* p : burst.packets()) work.run(*p);
}

void Insert::tick(const Tables& tables, State& state, dataplane::Exits<Exit>& exits, Emit& emit) {
    watch_paths(*tables.plane, state, emit);
    state.waiting.look(*tables.plane, emit, [&](std::uint32_t sci, WaitEnd how) {
        ChainCounters& chain = state.chains[sci];
        chain.held_served += how == WaitEnd::served;
        chain.held_late += how == WaitEnd::late;
        if (how == WaitEnd::gone) exits.note(Exit::hold_gone);
    });
    if (emit.worker != 0) return;
    emit.health->expire_paths(emit.now_ns);
    emit.health->overloads().recover(emit.now_ns);
    state.drains.look(*tables.plane, *emit.health, emit.now_ns);
    tell_path_news(*tables.plane, state, emit);
}

void Insert::leave(State& state, dataplane::Exits<Exit>&, Emit& emit) {
    state.waiting.leave_all(emit);
}

bool Insert::passes(const Tables& tables, std::uint32_t port, const net::Tuple& initiator,
                    bool outgoing) {
    return !is_exempt(initiator) && !tables.rules.find(port, initiator, outgoing);
}

bool Insert::still_passes(const Tables& tables, std::uint32_t port, const flow::FlowPair& pair) {
    return pair.insertion == flow::no_index && pair.no_service_revision != 0 &&
           pair.no_service_revision == tables.revision(port);
}

void Insert::pass_on(State& state, std::uint32_t port, bool outgoing, std::uint32_t bytes) {
    const CallPoint point = outgoing ? CallPoint::egress : CallPoint::ingress;
    PortCounters& counters = state.ports[2 * port + static_cast<unsigned>(point)];
    ++counters.packets;
    counters.bytes += bytes;
    ++counters.ct_hit;
    ++counters.no_service;
}

}  // namespace weir::chain
