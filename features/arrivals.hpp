#pragma once
#include <set>
#include <string>
#include <string_view>

#include "model/snapshot.hpp"

// Ports that are about to move to a host: it gets their part of the plan before they do (spec
// service-plane §8.2), while they still are where the intent says.
namespace weir::features {

// The intent as the host's plan is to see it: these ports are the host's.
model::Snapshot as_if_arrived(const model::Snapshot& intent, const std::set<std::string>& ports,
                              std::string_view host);
// Puts into the plan made from that where these ports are.
void as_they_are(const model::Snapshot& intent, const std::set<std::string>& ports,
                 model::Snapshot& plan);

}  // namespace weir::features
