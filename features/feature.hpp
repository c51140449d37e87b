#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"

namespace weir::features {

// What a feature gives to everybody who is not a worker: its words, its checks, its plan.
struct Feature {
    std::string_view name;
    // Adds the feature's resource kinds.
    void (*add_kinds)(model::Registry&);
    // Everything that generic validation (bounds, references) cannot know; empty means valid.
    std::vector<Error> (*validate)(const model::Snapshot& intent);
    // Puts into `out` what `host` needs to know of `intent`. Pure.
    void (*plan)(const model::Snapshot& intent, std::string_view host, model::Snapshot& out);
};

// All features, in the order of features/all.hpp.
std::span<const Feature> all();

}  // namespace weir::features
