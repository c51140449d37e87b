#pragma once
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "features/feature.hpp"
#include "model/canonical.hpp"
#include "model/documents.hpp"
#include "model/validate.hpp"
#include "model/yaml.hpp"

namespace weir::engine {

// What the controller would send to a host that has nothing yet: intent as `weir apply` takes it,
// validated, planned, in the canonical encoding that Engine::publish takes.
inline std::string host_snapshot(std::string_view yaml, const char* host) {
    const model::Registry registry = features::registry_of(features::all());
    model::Errors errors;
    model::Snapshot snapshot;
    model::put_documents(registry, model::parse_documents(yaml, errors), snapshot, errors);
    if (errors.empty()) errors = model::validate(registry, snapshot);
    WEIR_CHECK(errors.empty(), errors.list().front().text().c_str());
    return model::encode_canonical(
        registry, features::plan_for(features::all(), registry, snapshot, {}, host));
}

}  // namespace weir::engine
