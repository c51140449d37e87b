#pragma once
#include <string>

#include "features/chain/resources.hpp"
#include "model/snapshot.hpp"

namespace weir::chain {

// Why flows of different tenants could not be told apart in a node that knows them by their
// addresses (DP-16), as far as declared addresses show it; empty: nothing is known against it.
std::string tuple_overlap(const model::Snapshot& intent, const ServiceNode& node);

// Whether flows of the chain may be given to the node.
bool passes(const model::Snapshot& intent, const ServiceChain& chain, const ServiceNode& node);

}  // namespace weir::chain
