#include <algorithm>
#include <set>
#include <vector>

#include "features/chain/feature.hpp"
#include "features/chain/plan/paths.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"

namespace weir::chain {
namespace {

using model::Group;
using model::GroupMembers;
using model::Port;
using model::Ref;
using model::Snapshot;

// What one host gets (spec §9.1). Rules become independent of groups and of other hosts' ports:
// addresses stand in them, and the ports of this host they apply to.
class HostPlan {
public:
    HostPlan(const Snapshot& intent, std::string_view host, Snapshot& out)
        : intent_(intent), host_(host), out_(out) {
        for (const auto& row : intent_.all<ServicePathWanted>())
            if (row.second.host == host_) wanted_.push_back(&row.second);
    }

    void run() {
        for (const auto& [name, node] : intent_.all<ServiceNode>())
            if (node.host.name == host_) put_node(node);
        for (const auto& row : intent_.all<ServiceNodeMove>()) take_in(row.second);
        add_rules();
        add_alternatives();
        add_exclusions();
        for (const auto& [chain, paths] : static_paths(intent_))
            for (const ServicePath& path : paths)
                if (is_for_flows_here(path) || passes_here(path)) put_path(path);
        for (const auto& row : out_.all<ServicePath>())
            if (is_for_flows_here(row.second)) out_.put(ServicePathUse{row.first});
        for (const auto& row : intent_.all<ServiceNodeMove>())
            if (concerns(row.second)) put_move(row.second);
    }

private:
    // Copies the resource unless the host has it already.
    template <class R>
    const R* copy(const Ref<R>& ref) {
        const R* found = intent_.find(ref);
        if (found && !out_.find(ref)) out_.put(*found);
        return found;
    }

    void put_node(const ServiceNode& node) {
        out_.put(node);
        copy(node.service);
        for (const auto& row : intent_.all<ServiceProfile>())  // limits of its latency and loss
            if (row.second.service == node.service &&
                (row.second.latency_limit_us != 0 || row.second.loss_limit_permille != 0))
                copy(Ref<ServiceProfile>(row.first));
        copy(node.service_segment);
    }

    // The host that a node comes to has it before all others know (MB-9); paths stay as they are.
    void take_in(const ServiceNodeMove& move) {
        const bool comes = move.phase == MovePhase::arriving || move.phase == MovePhase::arrived;
        const ServiceNode* node = intent_.find<ServiceNode>(move.name);
        if (!comes || move.to != host_ || !node || node->host.name == host_) return;
        ServiceNode here = *node;
        here.host = Ref<model::Host>(move.to);
        put_node(here);
    }

    // How far it is, only the two hosts need to know.
    void put_move(ServiceNodeMove move) {
        if (move.from != host_ && move.to != host_) move.phase = MovePhase::announced;
        out_.put(std::move(move));
    }

    // Every host of the service segment hears of it when the node is there.
    bool concerns(const ServiceNodeMove& move) const {
        const ServiceNode* node = intent_.find<ServiceNode>(move.name);
        const model::ServiceSegment* plane = node ? intent_.find(node->service_segment) : nullptr;
        return plane && (plane->hosts.empty() ||
                         std::ranges::any_of(plane->hosts, [&](const auto& ref) {
                             return ref.name == host_;
                         }));
    }

    void put_chain(const ServiceChain& chain) {
        if (out_.find<ServiceChain>(chain.name)) return;
        out_.put(chain);
        copy(chain.service_segment);
        for (const auto* profiles : {&chain.forward, &chain.reverse})
            for (const auto& ref : *profiles)
                if (const ServiceProfile* profile = copy(ref)) copy(profile->service);
    }

    void put_path(const ServicePath& path) {
        out_.put(path);
        copy_chain(path.chain);
        for (const auto* hops : {&path.forward, &path.reverse})
            for (const PathHop& hop : *hops) copy(Ref<ServiceNodeStatus>(hop.node));
    }

    void copy_chain(const std::string& name) {
        if (const ServiceChain* chain = intent_.find<ServiceChain>(name)) put_chain(*chain);
    }

    // All static paths of a chain, and those on demand that this host asked for.
    bool is_for_flows_here(const ServicePath& path) const {
        if (!anchors_.contains(path.chain)) return false;
        const ServiceChain* chain = intent_.find<ServiceChain>(path.chain);
        if (!chain || chain->paths != PathMode::on_demand) return true;
        return std::ranges::any_of(wanted_, [&](const ServicePathWanted* wanted) {
            return wanted->chain == path.chain &&
                   std::ranges::equal(wanted->nodes, path.forward, {}, {}, &PathHop::node_id);
        });
    }

    bool passes_here(const ServicePath& path) const {
        for (const auto* hops : {&path.forward, &path.reverse})
            for (const PathHop& hop : *hops)
                if (hop.host == host_ || comes_or_goes(hop.node)) return true;
        return false;
    }

    bool comes_or_goes(const std::string& node) const {
        const auto* move = intent_.find<ServiceNodeMove>(node);
        return move && (move->to == host_ || move->from == host_);
    }

    bool is_here(const std::string& name) const {
        const Port* port = intent_.find<Port>(name);
        return port && port->segment && port->host.name == host_;
    }

    const GroupMembers& members(const Ref<Group>& ref) {
        const auto known = members_.find(ref.name);
        if (known != members_.end()) return known->second;
        const Group* group = intent_.find(ref);
        return members_.emplace(ref.name, group ? group_members(intent_, *group) : GroupMembers())
            .first->second;
    }

    std::vector<Ref<Port>> ports_of(const ServiceRule& rule) {
        std::set<std::string> names;
        if (rule.applied_to.empty() && rule.applied_to_ports.empty())
            for (const auto& row : intent_.all<Port>()) names.insert(row.first);
        for (const auto& ref : rule.applied_to)
            names.insert(members(ref).ports.begin(), members(ref).ports.end());
        for (const auto& ref : rule.applied_to_ports) names.insert(ref.name);
        std::vector<Ref<Port>> out;
        for (const std::string& name : names)
            if (is_here(name)) out.emplace_back(name);
        return out;
    }

    // Turns groups into addresses. False: nobody is in them, so the rule can match nothing.
    bool resolve(std::vector<Ref<Group>>& groups, std::vector<net::Prefix>& addresses,
                 bool& negate) {
        if (groups.empty()) return true;
        std::set<net::Prefix> all(addresses.begin(), addresses.end());
        for (const auto& ref : groups)
            all.insert(members(ref).prefixes.begin(), members(ref).prefixes.end());
        groups.clear();
        addresses.assign(all.begin(), all.end());
        if (!all.empty()) return true;
        const bool anybody = negate;  // "not nobody"
        negate = false;
        return anybody;
    }

    void add_rules() {
        const auto ids = rule_ids(intent_);
        for (const auto& [name, intended] : intent_.all<ServiceRule>()) {
            if (!intended.enabled) continue;
            ServiceRule rule = intended;
            rule.applied_to_ports = ports_of(rule);
            rule.applied_to.clear();
            if (rule.applied_to_ports.empty()) continue;
            if (!resolve(rule.sources, rule.source_addresses, rule.not_sources)) continue;
            if (!resolve(rule.destinations, rule.destination_addresses, rule.not_destinations))
                continue;
            rule.id = ids.at(name);
            if (rule.chain) {
                anchors_.insert(rule.chain.name);
                copy_chain(rule.chain.name);
            }
            out_.put(std::move(rule));
        }
    }

    // Nodes that may move a flow to another chain may name any of the service segment.
    void add_alternatives() {
        std::set<std::string> segments;
        for (const std::string& name : anchors_) {
            const ServiceChain* chain = intent_.find<ServiceChain>(name);
            if (chain && may_change_chain(*chain)) segments.insert(chain->service_segment.name);
        }
        for (const auto& [name, chain] : intent_.all<ServiceChain>()) {
            if (!segments.contains(chain.service_segment.name)) continue;
            anchors_.insert(name);
            put_chain(chain);
        }
    }

    bool may_change_chain(const ServiceChain& chain) const {
        for (const auto* profiles : {&chain.forward, &chain.reverse})
            for (const auto& ref : *profiles) {
                const ServiceProfile* profile = intent_.find(ref);
                const Service* service = profile ? intent_.find(profile->service) : nullptr;
                if (service && (privilege_bits(*service) & bit(Privilege::change_chain)))
                    return true;
            }
        return false;
    }

    void add_exclusions() {
        for (const auto& [name, intended] : intent_.all<ServiceExclusion>()) {
            ServiceExclusion exclusion = intended;
            std::erase_if(exclusion.ports, [&](const auto& ref) { return !is_here(ref.name); });
            if (!exclusion.ports.empty()) out_.put(std::move(exclusion));
        }
    }

    const Snapshot& intent_;
    const std::string_view host_;
    Snapshot& out_;
    // Chains that flows of this host may have: by a rule, or by a node's order.
    std::set<std::string> anchors_;
    std::vector<const ServicePathWanted*> wanted_;  // by flows of this host
    std::map<std::string, GroupMembers> members_;
};

}  // namespace

std::set<std::string, std::less<>> ports_of_nodes_to(const Snapshot& intent,
                                                     std::string_view host) {
    std::set<std::string, std::less<>> out;
    for (const auto& [name, move] : intent.all<ServiceNodeMove>()) {
        const ServiceNode* node = move.to == host ? intent.find<ServiceNode>(name) : nullptr;
        if (!node) continue;
        for (const auto& ref : node->vnics) out.insert(ref.name);
    }
    return out;
}

void plan(const Snapshot& intent, std::string_view host, Snapshot& out) {
    HostPlan(intent, host, out).run();
}

}  // namespace weir::chain
