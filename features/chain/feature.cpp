#include "features/chain/feature.hpp"

#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/registry.hpp"

namespace weir::chain {

const features::Feature feature{"chain", add_kinds, validate, plan, report};

// A node's own host says whether packets pass it (spec service-plane LV-7); everybody else learns
// of it with the next plan. Reports about an unchanged state change nothing.
bool report(const model::Value& event, std::string_view, model::Snapshot& reported) {
    const std::string& what = event["event"].as_text();
    if (what != "node-up" && what != "node-down") return false;
    const std::string& name = event["node"].as_text();
    const auto id = static_cast<std::uint32_t>(event["node_id"].as_uint());
    const NodeState state = what == "node-up" ? NodeState::up : NodeState::down;
    const ServiceNodeStatus* before = reported.find<ServiceNodeStatus>(name);
    if (name.empty() || id == 0 || (before && before->state == state && before->node_id == id))
        return false;
    ServiceNodeStatus status;
    status.name = name;
    status.node_id = id;
    status.state = state;
    status.generation = before ? before->generation + 1 : 1;
    reported.put(std::move(status));
    return true;
}

void add_kinds(model::Registry& registry) {
    registry.add<Service>();
    registry.add<ServiceProfile>();
    registry.add<ServiceNode>();
    registry.add<ServiceChain>();
    registry.add<ServiceRule>();
    registry.add<ServiceExclusion>();
    registry.add<ServicePath>();
    registry.add<ServiceNodeStatus>();
}

}  // namespace weir::chain
