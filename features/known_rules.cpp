#include "features/known_rules.hpp"

namespace weir::features {

using chain::Insert;
using firewall::Firewall;

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
