#pragma once
#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "model/core_resources.hpp"
#include "model/match.hpp"
#include "net/packet.hpp"

namespace weir::dataplane {

// Which flows a rule means, compiled: groups are resolved to networks, empty lists mean "any".
struct FlowMatch {
    std::vector<net::Prefix> sources, destinations;
    bool any_source = true, any_destination = true;  // false with an empty list: nobody
    bool not_sources = false, not_destinations = false;
    model::IpVersion ip_version = model::IpVersion::any;
    model::Protocol protocol = model::Protocol::any;
    std::vector<model::PortRange> ports, source_ports;
    std::vector<std::uint8_t> icmp_types;
    bool in = true, out = true;  // relative to the guest port

    // `tuple` is the initiator's; `outgoing`: the guest of the port is the initiator. What
    // RuleIndex, which answers for many rules at once, is held against.
    bool matches(const net::Tuple& tuple, bool outgoing) const;
    // All of that but ports and ICMP types, for packets that do not show them.
    bool fits_ends(const net::Tuple& tuple, bool outgoing) const;
    bool names_ports() const {
        return !ports.empty() || !source_ports.empty() || !icmp_types.empty();
    }
    std::uint64_t digest() const;
    friend bool operator==(const FlowMatch&, const FlowMatch&) = default;
};

// Whether a number of the IP header is of the protocol that a rule names; both ICMPs are "icmp".
bool protocol_fits(model::Protocol wanted, unsigned proto);
bool is_icmp(unsigned proto);

// The networks of groups and prefixes together; `any` when both lists are empty.
struct Members {
    std::vector<net::Prefix> prefixes;
    bool any = true;
};
Members resolve(const model::Snapshot& snapshot,
                const std::vector<model::Ref<model::Group>>& groups,
                const std::vector<net::Prefix>& prefixes);

// What the words of one rule mean, groups resolved. `Rule` has the fields of firewall and service
// rules (model/match.hpp).
template <class Rule>
FlowMatch compile_match(const Rule& rule, const model::Snapshot& snapshot) {
    Members sources = resolve(snapshot, rule.sources, rule.source_addresses);
    Members destinations = resolve(snapshot, rule.destinations, rule.destination_addresses);
    FlowMatch match;
    match.sources = std::move(sources.prefixes);
    match.any_source = sources.any;
    match.not_sources = rule.not_sources;
    match.destinations = std::move(destinations.prefixes);
    match.any_destination = destinations.any;
    match.not_destinations = rule.not_destinations;
    match.ip_version = rule.ip_version;
    match.protocol = rule.protocol;
    match.ports = rule.ports;
    match.source_ports = rule.source_ports;
    match.icmp_types = rule.icmp_types;
    match.in = rule.direction != model::Direction::out;
    match.out = rule.direction != model::Direction::in;
    return match;
}

// The enabled rules by section, priority and name (OBJ-18).
template <class Rule>
std::vector<const Rule*> in_order(const model::Snapshot& snapshot) {
    std::vector<const Rule*> rules;
    for (const auto& row : snapshot.all<Rule>())
        if (row.second.enabled) rules.push_back(&row.second);
    std::ranges::sort(rules, {}, [](const Rule* rule) {
        return std::tie(rule->section, rule->priority, rule->name);
    });
    return rules;
}

}  // namespace weir::dataplane
