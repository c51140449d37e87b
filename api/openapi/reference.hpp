#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/registry.hpp"

// The reference pages of docs/reference: generated from the descriptions, and checked in.
namespace weir::openapi {

// One kind as Markdown: its fields with type, default, bounds and help, structures below.
std::string reference_page(const model::Kind& kind);

// File name → content: one page per kind, and README.md with the list of them.
std::map<std::string, std::string> reference_pages(const model::Registry& registry);

// Writes the pages into the folder, and removes pages of kinds that are gone.
Status write_reference(const model::Registry& registry, const std::string& folder);

// What write_reference() would change there, one line a page; empty if nothing.
std::vector<std::string> reference_drift(const model::Registry& registry,
                                         const std::string& folder);

}  // namespace weir::openapi
