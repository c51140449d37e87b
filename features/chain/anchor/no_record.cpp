#include "features/chain/anchor/no_record.hpp"

#include "net/wire.hpp"

namespace weir::chain {
namespace {

using Policy = std::optional<FailurePolicy>;

Policy policy_of(const CompiledRule& rule, const InsertTables& tables, Insert::State& state) {
    if (rule.unknown_chain) {
        ++state.rules[rule.id].unknown_chain;
        return rule.failure_policy;
    }
    const Chain* chain = tables.plane->chain(rule.sci);
    return chain ? Policy(chain->failure_policy) : std::nullopt;
}

}  // namespace

Policy policy_without_record(const InsertTables& tables, Insert::State& state, const net::Packet& p,
                             std::uint32_t port, CallPoint point) {
    if (is_exempt(p.tuple)) return std::nullopt;
    const bool outgoing = point == CallPoint::egress;
    const bool begins = p.tuple.proto == net::proto_tcp &&
                        (p.headers.tcp_flags & (net::tcp_syn | net::tcp_ack)) == net::tcp_syn;
    const CompiledRule* rule = tables.rules.find(port, p.tuple, outgoing);
    if (!rule && !begins) rule = tables.rules.find(port, p.tuple.reversed(), !outgoing);
    return rule ? policy_of(*rule, tables, state) : std::nullopt;
}

Policy policy_without_ports(const InsertTables& tables, Insert::State& state, const net::Packet& p,
                            std::uint32_t port, CallPoint point) {
    const bool outgoing = point == CallPoint::egress;
    Policy strictest;
    const auto may_pass = [&] {
        return strictest.value_or(FailurePolicy::allow) == FailurePolicy::allow;
    };
    const auto ask = [&](const CompiledRule& rule) {
        if (const Policy policy = policy_of(rule, tables, state)) strictest = policy;
        return may_pass();
    };
    tables.rules.visit_without_ports(port, p.tuple, outgoing, ask);
    if (may_pass()) tables.rules.visit_without_ports(port, p.tuple.reversed(), !outgoing, ask);
    return strictest;
}

}  // namespace weir::chain
