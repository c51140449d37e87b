#include "features/chain/plan/validate_tuple.hpp"

#include <map>
#include <set>

namespace weir::chain {
namespace {

using model::Port;
using model::Ref;
using model::Snapshot;

// Guest ports whose flows a rule may choose.
std::set<std::string> ports_of(const Snapshot& intent, const ServiceRule& rule) {
    std::set<std::string> names;
    if (rule.applied_to.empty() && rule.applied_to_ports.empty())
        for (const auto& row : intent.all<Port>()) names.insert(row.first);
    for (const auto& ref : rule.applied_to)
        if (const model::Group* group = intent.find(ref)) {
            const auto members = model::group_members(intent, *group);
            names.insert(members.ports.begin(), members.ports.end());
        }
    for (const auto& ref : rule.applied_to_ports) names.insert(ref.name);
    return names;
}

}  // namespace

bool passes(const Snapshot& intent, const ServiceChain& chain, const ServiceNode& node) {
    if (chain.service_segment != node.service_segment) return false;
    for (const auto* profiles : {&chain.forward, &chain.reverse})
        for (const auto& ref : *profiles)
            if (const ServiceProfile* profile = intent.find(ref))
                if (profile->service == node.service) return true;
    return false;
}

std::string tuple_overlap(const Snapshot& intent, const ServiceNode& node) {
    std::map<net::Ip, const Port*> owners;
    for (const auto& [name, rule] : intent.all<ServiceRule>()) {
        const ServiceChain* chain = rule.enabled ? intent.find(rule.chain) : nullptr;
        if (!chain || !passes(intent, *chain, node)) continue;
        for (const std::string& port_name : ports_of(intent, rule)) {
            const Port* port = intent.find<Port>(port_name);
            if (!port || !port->segment) continue;
            for (const net::Ip& ip : port->addresses) {
                const auto [at, fresh] = owners.emplace(ip, port);
                if (!fresh && at->second->segment != port->segment)
                    return "ports " + at->second->name + " and " + port->name + " of segments " +
                           at->second->segment.name + " and " + port->segment.name +
                           " both have address " + ip.text() +
                           ", and rules send flows of both through this node, which tells them "
                           "apart by their addresses; give it vlan or qinq contexts, or another "
                           "node to one of them";
            }
        }
    }
    return {};
}

}  // namespace weir::chain
