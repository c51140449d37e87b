#include "features/chain/rule_table.hpp"

#include "dataplane/digest.hpp"
#include "features/chain/resources.hpp"

namespace weir::chain {

RuleTable RuleTable::compile(const dataplane::CompileInput& input) {
    RuleTable table;
    table.ports_.resize(input.ports.ports.size());
    for (const auto& row : input.snapshot.all<ServiceExclusion>())
        for (const auto& ref : row.second.ports)
            if (const auto* port = input.ports.find(ref.name))
                table.ports_[port->index].excluded = true;
    for (const ServiceRule* rule : dataplane::in_order<ServiceRule>(input.snapshot)) {
        const ServiceChain* chain = input.snapshot.find(rule->chain);
        const auto index = static_cast<std::uint32_t>(table.rules_.size());
        table.rules_.push_back({rule->name, rule->id, chain ? chain->sci : 0, rule->logged,
                                dataplane::compile_match(*rule, input.snapshot)});
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
    return dataplane::first_match(of_port(port), tuple, outgoing,
                                  [&](std::uint32_t index) { return &rules_[index]; });
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
    }
    return digest.value64();
}

}  // namespace weir::chain
