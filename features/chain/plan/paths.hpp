#pragma once
#include <map>
#include <string>
#include <vector>

#include "features/chain/planned.hpp"
#include "model/snapshot.hpp"

namespace weir::chain {

// The static paths of every chain, by name of the chain, each list ordered by SPI. Pure.
//
// An SPI is a 24-bit digest of (SCI, node numbers of the forward direction): adding or removing
// other nodes, chains or hosts leaves it alone. Where two paths of one service segment meet at a
// number, the one that comes later in the order of (SCI, node numbers) takes the next digest; so
// does one whose number is kept for another path (ServicePathNumber).
std::map<std::string, std::vector<ServicePath>> static_paths(const model::Snapshot& intent);

// Numbers of all service rules by name: those given, and for the others numbers above
// max_explicit_rule_id made from the name. Pure.
std::map<std::string, std::uint32_t> rule_ids(const model::Snapshot& intent);

}  // namespace weir::chain
