#pragma once
#include <string_view>

#include "dataplane/emit.hpp"
#include "features/chain/plane.hpp"
#include "model/value.hpp"

namespace weir::chain {

// Why flows of this worker have the path they have: rows for `insert.choice` (every redirected
// flow, at most 1000) or `insert.choice.ID` (those with this id). Each says the flow's number and,
// for every path of its chain, its class, whether it takes part now, and its range of numbers.
// Paths that came, went or changed since the flow was opened make the answer that of a new flow.
void choice_rows(std::string_view id, const Plane& plane, const dataplane::Emit& emit,
                 model::Value& rows);

}  // namespace weir::chain
