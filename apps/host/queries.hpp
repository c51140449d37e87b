#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "apps/host/shell.hpp"
#include "model/value.hpp"

// Questions of dataplane/queries.md: answered here ("host-…"), by the engines, or by all workers of
// all engines with their rows joined. Control thread only. An answer with `error` says why not.
namespace weir::host {

model::Value answer_query(Shell& shell, const model::Value& request);

// How often bounded tables had no room, by table: weir_limit_hits_total of the whole host.
std::map<std::string, std::uint64_t> limit_hits(Shell& shell);

// Rows {"metric","labels","value"} of the whole host: engines, shell, ports, workers.
model::Value all_counters(Shell& shell);

}  // namespace weir::host
