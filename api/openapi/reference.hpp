#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/registry.hpp"

// The reference pages of docs/reference: generated from the descriptions, and checked in.
namespace weir::openapi {

// Kind → one resource of it as YAML.
using Examples = std::map<std::string, std::string, std::less<>>;

// The first resource of every kind in these files of resources, which must be valid together.
Result<Examples> read_examples(const model::Registry& registry,
                               const std::vector<std::string>& files);

// One kind as Markdown: its fields with type, default, bounds and help, structures below, and its
// example if there is one.
std::string reference_page(const model::Kind& kind, const Examples& examples);

// File name → content: one page per kind, and README.md with the list of them.
std::map<std::string, std::string> reference_pages(const model::Registry& registry,
                                                   const Examples& examples);

// Writes the pages into the folder, and removes pages of kinds that are gone.
Status write_reference(const std::map<std::string, std::string>& pages, const std::string& folder);

// What write_reference() would change there, one line a page; empty if nothing.
std::vector<std::string> reference_drift(const std::map<std::string, std::string>& pages,
                                         const std::string& folder);

}  // namespace weir::openapi
