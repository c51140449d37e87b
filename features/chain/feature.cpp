#include "features/chain/feature.hpp"

#include <algorithm>
#include <set>

#include "features/chain/plan/path_numbers.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/registry.hpp"

namespace weir::chain {

namespace {

// Anchors know a path as well, but only hosts with a node on it must be ready for its packets: a
// hypervisor that is away keeps nobody else from it.
bool passes(const model::Snapshot& plan, const std::string& name, std::string_view host) {
    const ServicePath* path = plan.find<ServicePath>(name);
    const auto is_here = [&](const PathHop& hop) { return hop.host == host; };
    return path && (std::ranges::any_of(path->forward, is_here) ||
                    std::ranges::any_of(path->reverse, is_here));
}

constexpr features::Order order_of_paths[] = {{"service-path", "service-path-use", passes}};

}  // namespace

const features::Feature feature{"chain",
                                add_kinds,
                                validate,
                                plan,
                                nullptr,
                                order_of_paths,
                                waiting_rules,
                                answer,
                                nodes_of_lingering_paths,
                                remember};

bool remember(const features::Occasion& occasion, model::Snapshot& reported) {
    const model::Snapshot before = reported;
    bool changed = forget_links_of_others(occasion, reported);
    changed |= remember_leaving_nodes(occasion, reported);
    changed |= forget_unasked_nodes(occasion, reported);
    return keep_path_numbers({occasion.before, before, occasion.intent, occasion.now_s},
                             reported) ||
           changed;
}

// Rules of a chain none of whose paths is ready: its flows would meet the failure policy.
std::vector<model::ResourceKey> waiting_rules(const model::Snapshot& planned,
                                              std::span<const model::ResourceKey> held) {
    std::set<std::string> missing;
    for (const model::ResourceKey& key : held)
        if (key.kind == "service-path-use") missing.insert(key.name);
    std::set<std::string> ready, waiting;
    for (const auto& row : planned.all<ServicePathUse>()) {
        const ServicePath* path = planned.find<ServicePath>(row.first);
        if (path) (missing.contains(row.first) ? waiting : ready).insert(path->chain);
    }
    std::vector<model::ResourceKey> out;
    // A path that was asked for comes to flows that wait for it.
    std::erase_if(waiting, [&](const std::string& name) {
        const ServiceChain* chain = planned.find<ServiceChain>(name);
        return chain && chain->paths == PathMode::on_demand;
    });
    for (const auto& [name, rule] : planned.all<ServiceRule>())
        if (waiting.contains(rule.chain.name) && !ready.contains(rule.chain.name))
            out.push_back({"service-rule", name});
    return out;
}

// Packets that took a path before it was given up are still on their way through its nodes, which
// must know what to do with them.
std::vector<model::ResourceKey> nodes_of_lingering_paths(
    const model::Snapshot& left, std::span<const model::ResourceKey> lingering) {
    std::set<std::string> nodes, profiles;
    for (const model::ResourceKey& key : lingering) {
        const ServicePath* path =
            key.kind == "service-path" ? left.find<ServicePath>(key.name) : nullptr;
        if (!path) continue;
        for (const auto* hops : {&path->forward, &path->reverse})
            for (const PathHop& hop : *hops) {
                nodes.insert(hop.node);
                profiles.insert(hop.profile);
            }
    }
    std::vector<model::ResourceKey> out;
    for (const std::string& name : profiles)
        if (left.find<ServiceProfile>(name)) out.push_back({"service-profile", name});
    for (const std::string& name : nodes) {
        const ServiceNode* node = left.find<ServiceNode>(name);
        if (!node) continue;
        out.push_back({"service-node", name});
        for (const auto& ref : node->vnics)
            if (left.find(ref)) out.push_back({"port", ref.name});
        if (left.find(node->service)) out.push_back({"service", node->service.name});
        if (left.find(node->service_segment))
            out.push_back({"service-segment", node->service_segment.name});
    }
    return out;
}

void add_kinds(model::Registry& registry) {
    registry.add<Service>();
    registry.add<ServiceProfile>();
    registry.add<ServiceNode>();
    registry.add<ServiceChain>();
    registry.add<ServiceRule>();
    registry.add<ServiceExclusion>();
    registry.add<ServicePath>();
    registry.add<ServicePathUse>();
    registry.add<ServicePathWanted>();
    registry.add<ServicePathNumber>();
    registry.add<ServiceNodeStatus>();
    registry.add<ServiceNodeMove>();
    registry.add<ServiceNodeLeaving>();
}

}  // namespace weir::chain
