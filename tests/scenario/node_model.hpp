#pragma once
#include <array>
#include <optional>
#include <vector>

#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "tests/scenario/world.hpp"

namespace weir::scenario {

// Where the node is: what it would be told when it is set up.
struct NodePlace {
    chain::NodeMode mode = chain::NodeMode::aware;
    std::array<net::Mac, 2> macs;                   // of its vNICs
    std::vector<net::Ip> gateways;                  // left, right of each family: the proxy's
    std::array<std::vector<net::Ip>, 2> addresses;  // of its vNICs
};

struct FromNodeModel {
    std::size_t vnic = 0;
    Frame frame;
};

// What a service node gives back for a frame that reached its vNIC number `vnic`; nothing: it kept
// it. Aware nodes speak NSH and answer liveness queries; L2 nodes pass frames from one side to the
// other; L3 nodes ask who the proxy of the other side is, then route to it.
std::optional<FromNodeModel> through_node(NodeModel& node, const NodePlace& place, std::size_t vnic,
                                          const Frame& frame);

}  // namespace weir::scenario
