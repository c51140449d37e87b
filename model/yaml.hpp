#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/documents.hpp"
#include "model/json.hpp"
#include "model/value.hpp"

// YAML text and value trees. The text is untrusted; anchors and aliases count as what they unfold
// to. Scalars without quotes become words (Value::word), whose meaning the description decides.
namespace weir::model {

// One value per document of the stream. Errors carry the line.
Result<std::vector<Value>> parse_yaml(std::string_view text, const TextLimits& limits = {});

// The resources of all documents of the stream; see split_documents().
std::vector<Document> parse_documents(std::string_view text, Errors& errors);

std::string dump_yaml(const Value& value);
// As a stream, one document per resource; parse_documents() reads it back.
std::string dump_documents(const std::vector<Document>& documents);

}  // namespace weir::model
