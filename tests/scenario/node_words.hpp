#pragma once
#include <string>
#include <vector>

#include "tests/scenario/world.hpp"

namespace weir::scenario {

// "node NAME WORD…": how a service node behaves from now on. What is wrong with the words, or
// empty.
std::string set_node(NodeModel& model, const std::vector<std::string>& words);

}  // namespace weir::scenario
