#include "features/firewall/stage.hpp"

#include <arpa/inet.h>

#include <cstdio>

#include "dataplane/icmp_reply.hpp"
#include "flow/record.hpp"
#include "net/icmp.hpp"
#include "net/nd.hpp"
#include "net/wire.hpp"

namespace weir::firewall {

namespace {

using dataplane::Context;
using dataplane::Emit;
using dataplane::Packet;
constexpr std::uint32_t max_logged_per_second = 100;

flow::Verdict verdict_of(Action action) {
    switch (action) {
        case Action::allow:
            return flow::Verdict::allow;
        case Action::reject:
            return flow::Verdict::reject;
        default:
            return flow::Verdict::drop;
    }
}

// What keeps a network alive is not the firewall's business: ARP and the like, neighbour discovery,
// multicast listener reports.
bool is_exempt(const Packet& p) {
    if (p.headers.family == net::Family::none) return true;
    if (p.headers.proto != net::proto_icmp6 || p.headers.l4 == 0) return false;
    constexpr std::uint8_t first_mld = 130, mld2_report = 143;
    const std::uint8_t type = p.headers.icmp_type;
    return (type >= first_mld && type <= net::icmp6_redirect) || type == mld2_report;
}

// Any segment of TCP but the first.
bool may_answer(const Packet& p) {
    return p.tuple.proto == net::proto_tcp &&
           (p.headers.tcp_flags & (net::tcp_syn | net::tcp_ack)) != net::tcp_syn;
}

// Without allocating: this runs on a worker.
void write_address(const net::Ip& ip, char (&out)[INET6_ADDRSTRLEN]) {
    const bool ip4 = ip.is4();
    if (!::inet_ntop(ip4 ? AF_INET : AF_INET6, ip4 ? ip.data4() : ip.data6(), out, sizeof out))
        out[0] = 0;
}

void log(const Packet& p, const CompiledRule& rule, Firewall::State& state, Emit& emit) {
    if (emit.now_ns - state.logged_second_ns >= 1'000'000'000) {
        state.logged_second_ns = emit.now_ns;
        state.logged = 0;
    }
    if (state.logged++ >= max_logged_per_second) return;
    char text[320];
    char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
    write_address(p.tuple.src, src);
    write_address(p.tuple.dst, dst);
    const dataplane::PortEntry* port = emit.ports->at(dataplane::context_port(p));
    const int n = std::snprintf(text, sizeof text,
                                "{\"event\":\"firewall\",\"rule\":\"%.63s\",\"action\":\"%s\","
                                "\"port\":\"%.63s\",\"proto\":%u,"
                                "\"src\":\"%s\",\"dst\":\"%s\",\"src_port\":%u,\"dst_port\":%u}",
                                rule.name.c_str(),
                                rule.action == Action::allow  ? "allow"
                                : rule.action == Action::drop ? "drop"
                                                              : "reject",
                                port ? port->name.c_str() : "", p.tuple.proto, src, dst,
                                p.tuple.src_port, p.tuple.dst_port);
    if (n > 0)
        emit.event({text, static_cast<std::size_t>(n) < sizeof text ? static_cast<std::size_t>(n)
                                                                    : sizeof text - 1});
}

// Tells the sender, where that is allowed and makes sense.
void answer(const Packet& p, Emit& emit) {
    if (p.tuple.proto != net::proto_tcp) {
        dataplane::reply_icmp(p, net::IcmpErrorKind::admin_prohibited, 0, emit);
        return;
    }
    if (!emit.may_send_icmp()) return;
    Packet* reset = emit.allocate();
    if (!reset) return;
    if (net::build_tcp_reset(p, *reset)) dataplane::send_reply(p, *reset, emit);
    else emit.release(*reset);
}

struct Judge {
    const Tables& tables;
    Firewall::State& state;
    dataplane::Exits<Firewall::Exit>& exits;
    Emit& emit;

    const CompiledRule& decide(const Packet& p, const net::Tuple& initiator, bool outgoing) {
        const CompiledRule& rule = tables.decide(dataplane::context_port(p), initiator, outgoing);
        count(p, rule);
        return rule;
    }
    void count(const Packet& p, const CompiledRule& rule) {
        ++state.decisions;
        ++state.counts[rule.slot].hits;
        if (rule.logged) log(p, rule, state, emit);
        emit.note(p, "rule", rule.name);
    }
    void deny(Packet& p, flow::Verdict verdict, bool was_allowed) {
        if (verdict == flow::Verdict::reject) answer(p, emit);
        exits.take(p, was_allowed                        ? Firewall::Exit::revoked
                      : verdict == flow::Verdict::reject ? Firewall::Exit::rejected
                                                         : Firewall::Exit::denied);
    }
    const CompiledRule& answered(const Packet& p, bool outgoing) const {
        return tables.decide(dataplane::context_port(p), p.tuple.reversed(), !outgoing);
    }
    void without_ports(Packet& p, bool outgoing) {
        const CompiledRule& rule =
            tables.decide_without_ports(dataplane::context_port(p), p.tuple, outgoing);
        count(p, rule);
        if (rule.action != Action::allow) deny(p, flow::Verdict::drop, false);
    }
    // The flow table is full. Nobody knows what an answer of TCP answers: it passes where its
    // receiver may begin such a connection.
    void without_flow(Packet& p) {
        if (is_exempt(p)) return;
        const bool outgoing = static_cast<Context>(p.context) == Context::source;
        if (p.hand.fragment_known == net::fragment_orphan) return without_ports(p, outgoing);
        if (may_answer(p) && answered(p, outgoing).action == Action::allow) {
            emit.note(p, "rule", "an answer");
            return;
        }
        const flow::Verdict verdict = verdict_of(decide(p, p.tuple, outgoing).action);
        if (verdict != flow::Verdict::allow) deny(p, verdict, false);
    }
    // DP-11: the record begins in the middle of a connection, which the other end may have begun,
    // while this one may not. The next packet of it finds the record made so.
    bool is_mistaken(const Packet& p, std::uint32_t port, bool outgoing) const {
        const net::Tuple& initiator = p.flow->key.tuple;
        return may_answer(p) && tables.decide(port, initiator, outgoing).action != Action::allow &&
               tables.decide(port, initiator.reversed(), !outgoing).action == Action::allow;
    }
    void with_flow(Packet& p) {
        flow::FlowPair& pair = *p.flow;
        flow::FirewallDecision& decision = pair.firewall;
        const std::uint32_t port = dataplane::context_port(p);
        const std::uint32_t revision = tables.ports[port].revision;
        const bool outgoing = pair.initiator_outside == 0;
        const bool was_allowed = decision.verdict == flow::Verdict::allow;
        if (was_allowed && tables.still_holds(port, decision.revision, decision.rule_id,
                                              pair.key.tuple, outgoing)) {
            state.restamps += decision.revision != revision;
            decision.revision = revision;
            emit.note(p, "verdict", "kept");
            return;
        }
        if (decision.revision == 0 && emit.adopts()) [[unlikely]]
            if (is_mistaken(p, port, outgoing)) {
                emit.adoption.turn(pair.key.tuple, p.hash);
                exits.take(p, Firewall::Exit::mistaken);
                return emit.forget(pair);
            }
        const CompiledRule& rule = decide(p, pair.key.tuple, outgoing);
        decision.rule_id = rule.id;
        decision.revision = revision;
        decision.verdict = verdict_of(rule.action);
        decision.log = rule.logged;
        if (decision.verdict == flow::Verdict::allow) return;
        deny(p, decision.verdict, was_allowed);
        if (!p.headers.icmp_error) emit.forget(pair);
    }
};

}  // namespace

void Firewall::run(dataplane::Burst& burst, const Tables& tables, State& state,
                   dataplane::Exits<Exit>& exits, Emit& emit) {
    Judge judge{tables, state, exits, emit};
    for (Packet* p : burst.packets()) {
        if (dataplane::context_port(*p) >= tables.ports.size()) continue;
        if (p->flow) judge.with_flow(*p);
        else judge.without_flow(*p);
    }
}

const CompiledRule* Firewall::allows(const Tables& tables, std::uint32_t port,
                                     const net::Tuple& initiator, bool outgoing) {
    if (port >= tables.ports.size()) return nullptr;
    const CompiledRule& rule = tables.decide(port, initiator, outgoing);
    return rule.action == Action::allow && !rule.logged ? &rule : nullptr;
}

bool Firewall::still_allows(const Tables& tables, std::uint32_t port, const flow::FlowPair& pair) {
    return port < tables.ports.size() && pair.firewall.verdict == flow::Verdict::allow &&
           pair.firewall.revision == tables.ports[port].revision;
}

void Firewall::counters(const Tables& tables, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_firewall_decisions_total", {}, state.decisions);
    sink.add("weir_firewall_restamps_total", {}, state.restamps);
    sink.add("weir_firewall_rule_hits_total", {{"rule", "default"}}, state.counts[0].hits);
    for (const auto& rule : tables.rules)
        sink.add("weir_firewall_rule_hits_total", {{"rule", rule->name}},
                 state.counts[rule->slot].hits);
}

}  // namespace weir::firewall
