#pragma once
#include <string>
#include <string_view>

#include "model/value.hpp"

// Counters of engine and shell as Prometheus wants them: docs/operate/metrics.md.
namespace weir::host {

// Rows {"metric","labels","value"} of the question "counters" as a page. Times become seconds:
// …_ns_total is served as …_seconds_total, …_microseconds_{bucket,sum,count} as a histogram.
std::string metrics_page(const model::Value& counters);

// One line on what a family counts; empty if nobody wrote one.
std::string_view metric_help(std::string_view family);

}  // namespace weir::host
