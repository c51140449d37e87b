#pragma once
#include "model/value.hpp"

namespace weir::host {

class Shell;

// Answers the steps of a port's move to another host, "host-move-…" (dataplane/queries.md).
model::Value answer_move(Shell& shell, const model::Value& request);

}  // namespace weir::host
