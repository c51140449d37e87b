#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "api/rest/message.hpp"
#include "apps/controller/host_table.hpp"
#include "apps/controller/intent.hpp"
#include "model/value.hpp"

// How the controller's own things look in answers.
namespace weir::controller {

rest::Response json(const model::Value& value);

// {"name","connected","since","desired","applied"} and, if it refused the newest change,
// "refused":{"revision","object","field","message"}.
model::Value to_value(const HostStatus& status);

// {"type","kind","name","fields":[{"field","before","after"}]}
model::Value to_value(const model::Change& change);

// {"revision","dry_run","changes":[…]}, or every error.
rest::Response outcome_response(const Outcome& outcome, const ApplyOptions& options);

// Prometheus text format 0.0.4.
std::string metrics_text(const model::Registry& registry, const model::Snapshot& snapshot,
                         const std::vector<HostStatus>& hosts, std::uint64_t resyncs,
                         const std::map<int, std::uint64_t>& answers);

}  // namespace weir::controller
