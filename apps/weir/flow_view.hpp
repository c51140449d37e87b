#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "apps/weir/verbs.hpp"

// Rows of the query `flows`: finding them, and their parts as text.
namespace weir::command {

std::string service_text(const model::Value& flow);  // "tcp"
std::string endpoint(const model::Value& flow, const char* address, const char* port);
std::string pair_text(const model::Value& pair);  // "12/11"

// The hosts that may know of `where`, a port or a host; a port also becomes a part of `q`.
std::vector<std::string> hosts_of(const Session& session, const std::string& where,
                                  model::Value& q);
// A question about the flows of the filter, but for where they are.
model::Value question_of(std::string_view what, const FlowFilter& filter);
// Rows of all hosts that may have the wanted flows, each with its host.
std::vector<model::Value> find_flows(const Session& session, const FlowFilter& filter);

}  // namespace weir::command
