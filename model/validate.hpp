#pragma once
#include "model/errors.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"

namespace weir::model {

// Validates all resources together: bounds, references to nothing, then the registry's validators.
// Validators are not asked while a bound is broken. Empty means the snapshot may be published.
Errors validate(const Registry& registry, const Snapshot& snapshot);

}  // namespace weir::model
