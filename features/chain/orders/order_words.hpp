#pragma once
#include <array>
#include <string_view>

#include "features/chain/orders/ctrl.hpp"

namespace weir::chain {

inline constexpr std::array<std::string_view, 12> order_names = {
    "",        "flow_allow", "flow_drop", "flow_reset", "node_skip", "path_change", "chain_change",
    "set_tag", "restore",    "overload",  "node_down",  "stale_path"};

}  // namespace weir::chain
