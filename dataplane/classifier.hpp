#pragma once
#include <cstdint>
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

    // `tuple` is the initiator's; `outgoing`: the guest of the port is the initiator.
    bool matches(const net::Tuple& tuple, bool outgoing) const;
    std::uint64_t digest() const;
    friend bool operator==(const FlowMatch&, const FlowMatch&) = default;
};

// The networks of groups and prefixes together; `any` when both lists are empty.
struct Members {
    std::vector<net::Prefix> prefixes;
    bool any = true;
};
Members resolve(const model::Snapshot& snapshot,
                const std::vector<model::Ref<model::Group>>& groups,
                const std::vector<net::Prefix>& prefixes);

// The first rule, in order, that means the flow. A linear scan: right by inspection, and what the
// faster classifiers to come are held against.
template <class Rule>
const Rule* first_match(const std::vector<const Rule*>& rules, const net::Tuple& tuple,
                        bool outgoing) {
    for (const Rule* rule : rules)
        if (rule->match.matches(tuple, outgoing)) return rule;
    return nullptr;
}

}  // namespace weir::dataplane
