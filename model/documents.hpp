#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "model/errors.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"
#include "model/value.hpp"

// Sets of resources as people and programs write them: {"kind": "segment", "name": "blue", …}.
namespace weir::model {

inline constexpr std::size_t max_resources = 200'000;  // of one set

struct Document {
    std::string kind;
    Value fields;  // the name among them, the kind not
};

// Splits what was written into resources and adds them to `out`: one resource, a list of them, or a
// map with nothing but `resources:` and such a list.
void split_documents(const Value& written, std::vector<Document>& out, Errors& errors);

// Decodes every document and puts it into `into`. Of one that is wrong nothing is put; unknown
// kinds and names that are written twice are wrong. References and the like are not looked at.
void put_documents(const Registry& registry, const std::vector<Document>& documents, Snapshot& into,
                   Errors& errors);

// All resources as documents, kinds by name and resources by name.
std::vector<Document> documents_of(const Registry& registry, const Snapshot& snapshot);
// The fields with the kind in front, as it is written.
Value written(const Document& document);

}  // namespace weir::model
