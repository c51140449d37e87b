#include "features/chain/anchor/rule_table.hpp"

#include "dataplane/digest.hpp"
#include "features/chain/resources.hpp"

namespace weir::chain {

RuleTable RuleTable::compile(const dataplane::CompileInput& input, const RuleTable* previous) {
    RuleTable table;
    table.ports_.resize(input.ports.ports.size());
    for (const auto& row : input.snapshot.all<ServiceExclusion>())
        for (const auto& ref : row.second.ports)
            if (const auto* port = input.ports.find(ref.name))
                table.ports_[port->index].excluded = true;
    for (const ServiceRule* rule : dataplane::in_order<ServiceRule>(input.snapshot)) {
        const ServiceChain* chain = input.snapshot.find(rule->chain);
        const auto index = static_cast<std::uint32_t>(table.rules_.size());
        if (chain) table.policies_[chain->name] = chain->failure_policy;
        table.add({rule->name, rule->id, chain ? chain->sci : 0, rule->logged,
                   rule->chain && !chain, FailurePolicy::allow,
                   dataplane::compile_match(*rule, input.snapshot)},
                  rule->chain.name, previous);
        for (const auto& ref : rule->applied_to_ports) {
            const auto* port = input.ports.find(ref.name);
            if (port && !table.ports_[port->index].excluded)
                table.ports_[port->index].rules.push_back(index);
        }
    }
    table.give_indices();
    return table;
}

void RuleTable::add(const CompiledRule& rule, const std::string& chain, const RuleTable* previous) {
    rules_.push_back(rule);
    if (!rule.unknown_chain || !previous) return;
    const auto known = previous->policies_.find(chain);
    if (known == previous->policies_.end()) return;
    policies_.insert(*known);
    rules_.back().failure_policy = known->second;
}

// Ports that have the same rules share an index.
void RuleTable::give_indices() {
    for (std::size_t i = 0; i < ports_.size(); ++i) {
        PortRules& port = ports_[i];
        for (std::size_t j = 0; j < i && !port.index; ++j)
            if (ports_[j].rules == port.rules) port.index = ports_[j].index;
        if (port.index) continue;
        std::vector<const dataplane::FlowMatch*> matches;
        for (const std::uint32_t rule : port.rules) matches.push_back(&rules_[rule].match);
        port.index = std::make_shared<const dataplane::RuleIndex>(matches);
    }
}

const CompiledRule* RuleTable::find(std::uint32_t port, const net::Tuple& tuple,
                                    bool outgoing) const {
    if (port >= ports_.size()) return nullptr;
    const std::uint32_t found = ports_[port].index->find(tuple, outgoing);
    return found != dataplane::RuleIndex::none ? &rules_[ports_[port].rules[found]] : nullptr;
}

const std::vector<std::uint32_t>& RuleTable::of_port(std::uint32_t port) const {
    static const std::vector<std::uint32_t> none;
    return port < ports_.size() ? ports_[port].rules : none;
}

std::uint64_t RuleTable::digest(std::uint32_t port) const {
    dataplane::Digest digest;
    for (const std::uint32_t index : of_port(port)) {
        const CompiledRule& rule = rules_[index];
        digest.add(rule.id).add(rule.sci).add(rule.match.digest());
        if (rule.unknown_chain) digest.add(static_cast<std::uint64_t>(rule.failure_policy));
    }
    return digest.value64();
}

}  // namespace weir::chain
