#include "features/known_rules.hpp"

namespace weir::features {

using chain::Insert;
using firewall::Firewall;

// Out of line, and field by field: what no one branches to often g++ copies the slow way.
void KnownRules::learn(Known& known, const Words& asked, std::uint64_t of,
                       const net::Tuple& tuple) {
    known.asked = asked;
    known.ticket = ticket_;
    known.of = of;
    known.answer = look(static_cast<std::uint32_t>(of >> 2), tuple, (of & 2) != 0);
}

KnownRules::Answer KnownRules::look(std::uint32_t port, const net::Tuple& tuple, bool outgoing) {
    const auto& rules = Plane::Worker::table<Firewall>(*tables_);
    const auto& services = Plane::Worker::table<Insert>(*tables_);
    if (!Insert::passes(services, port, tuple, outgoing)) return {};
    const firewall::CompiledRule* rule = Firewall::allows(rules, port, tuple, outgoing);
    if (!rule) return {};
    return {Firewall::allowance(rules, pipeline_.state<Firewall>(), *rule, port),
            Insert::passage(services, pipeline_.state<Insert>(), port, outgoing)};
}

// What firewall and chains together look at.
void KnownRules::ask(std::uint32_t port) {
    const net::Tuple rules = Firewall::asked(Plane::Worker::table<Firewall>(*tables_), port);
    const net::Tuple services = Insert::asked(Plane::Worker::table<Insert>(*tables_), port);
    Asked& asked = asked_[port];
    Words other;
    std::memcpy(&asked.mask, &rules, sizeof asked.mask);
    std::memcpy(&other, &services, sizeof other);
    for (std::size_t i = 0; i < other.size(); ++i) asked.mask[i] |= other[i];
    asked.ticket = ticket_;
}

}  // namespace weir::features
