#pragma once
#include <optional>

#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "tests/scenario/world.hpp"

namespace weir::scenario {

struct FromNodeModel {
    std::size_t vnic = 0;
    Frame frame;
};

// What a service node gives back for a frame that reached its vNIC number `vnic`; nothing: it kept
// it. Aware nodes speak NSH and answer liveness queries; L2 nodes pass frames from one side to the
// other.
std::optional<FromNodeModel> through_node(NodeModel& node, std::size_t vnic, const Frame& frame);

}  // namespace weir::scenario
