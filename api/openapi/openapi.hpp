#pragma once
#include "model/registry.hpp"
#include "model/value.hpp"

// What can be configured and how to talk to a controller, for programs.
namespace weir::openapi {

// {"kinds":[{"kind","summary","made_by_weir","shown_by","fields":[…]}]}: every field with type,
// help, bounds, default.
model::Value schema_document(const model::Registry& registry);

// OpenAPI 3.1 of the API below /v1, one schema per kind.
model::Value openapi_document(const model::Registry& registry);

}  // namespace weir::openapi
