#pragma once
#include "apps/host/shell.hpp"
#include "model/value.hpp"

// Questions of dataplane/queries.md: answered here ("host-…"), by the engines, or by all workers of
// all engines with their rows joined. Control thread only. An answer with `error` says why not.
namespace weir::host {

model::Value answer_query(Shell& shell, const model::Value& request);

// Rows {"metric","labels","value"} of the whole host: engines, shell, ports, workers.
model::Value all_counters(Shell& shell);

}  // namespace weir::host
