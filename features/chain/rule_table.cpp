#include "features/chain/rule_table.hpp"

#include <algorithm>
#include <tuple>

#include "dataplane/digest.hpp"
#include "features/chain/paths.hpp"
#include "features/chain/resources.hpp"

namespace weir::chain {
namespace {

dataplane::FlowMatch make_match(const ServiceRule& rule, const model::Snapshot& snapshot) {
    const auto sources = dataplane::resolve(snapshot, rule.sources, rule.source_addresses);
    const auto destinations =
        dataplane::resolve(snapshot, rule.destinations, rule.destination_addresses);
    dataplane::FlowMatch match;
    match.sources = sources.prefixes;
    match.any_source = sources.any;
    match.not_sources = rule.not_sources;
    match.destinations = destinations.prefixes;
    match.any_destination = destinations.any;
    match.not_destinations = rule.not_destinations;
    match.ip_version = rule.ip_version;
    match.protocol = rule.protocol;
    match.ports = rule.ports;
    match.source_ports = rule.source_ports;
    match.icmp_types = rule.icmp_types;
    match.in = rule.direction != Direction::out;
    match.out = rule.direction != Direction::in;
    return match;
}

}  // namespace

RuleTable RuleTable::compile(const dataplane::CompileInput& input) {
    std::vector<const ServiceRule*> order;
    for (const auto& row : input.snapshot.all<ServiceRule>())
        if (row.second.enabled) order.push_back(&row.second);
    std::ranges::stable_sort(order, {}, [](const ServiceRule* rule) {
        return std::tuple(rule->section, rule->priority, rule->name);
    });

    RuleTable table;
    table.ports_.resize(input.ports.ports.size());
    for (const auto& row : input.snapshot.all<ServiceExclusion>())
        for (const auto& ref : row.second.ports)
            if (const auto* port = input.ports.find(ref.name))
                table.ports_[port->index].excluded = true;
    for (const ServiceRule* rule : order) {
        const ServiceChain* chain = input.snapshot.find(rule->chain);
        const auto index = static_cast<std::uint16_t>(table.rules_.size());
        table.rules_.push_back({rule->name, rule->id, chain ? chain->sci : 0, rule->logged,
                                make_match(*rule, input.snapshot)});
        for (const auto& ref : rule->applied_to_ports) {
            const auto* port = input.ports.find(ref.name);
            if (port && !table.ports_[port->index].excluded)
                table.ports_[port->index].rules.push_back(index);
        }
    }
    return table;
}

const CompiledRule* RuleTable::find(std::uint32_t port, const net::Tuple& tuple,
                                    bool outgoing) const {
    for (const std::uint16_t index : of_port(port))
        if (rules_[index].match.matches(tuple, outgoing)) return &rules_[index];
    return nullptr;
}

const std::vector<std::uint16_t>& RuleTable::of_port(std::uint32_t port) const {
    static const std::vector<std::uint16_t> none;
    return port < ports_.size() ? ports_[port].rules : none;
}

std::uint64_t RuleTable::digest(std::uint32_t port) const {
    dataplane::Digest digest;
    for (const std::uint16_t index : of_port(port)) {
        const CompiledRule& rule = rules_[index];
        digest.add(rule.id).add(rule.sci).add(rule.match.digest());
    }
    return digest.value64();
}

}  // namespace weir::chain
