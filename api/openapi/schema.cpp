#include "api/openapi/openapi.hpp"

namespace weir::openapi {
namespace {

using model::FieldInfo;
using model::FieldType;
using model::Value;

const char* name_of(FieldType type) {
    switch (type) {
        case FieldType::boolean:
            return "boolean";
        case FieldType::integer:
            return "integer";
        case FieldType::text:
            return "text";
        case FieldType::choice:
            return "choice";
        case FieldType::notation:
            return "notation";
        case FieldType::reference:
            return "reference";
        case FieldType::labels:
            return "labels";
        case FieldType::structure:
            return "structure";
    }
    return "text";
}

Value describe(const std::vector<FieldInfo>& fields);

Value describe(const FieldInfo& field) {
    Value out;
    out.set("name", field.name);
    out.set("type", name_of(field.type));
    out.set("help", field.help);
    if (field.is_key) out.set("key", true);
    if (field.is_required) out.set("required", true);
    if (field.is_list) out.set("list", true);
    if (field.is_list || field.type == FieldType::labels) {
        out.set("min_count", field.min_count);
        out.set("max_count", field.max_count);
    }
    if (field.type == FieldType::integer || field.type == FieldType::text) {
        out.set("min", field.min);
        out.set("max", field.max);
    }
    if (!field.unit.empty()) out.set("unit", field.unit);
    if (!field.notation.empty()) out.set("notation", field.notation);
    if (!field.target_kind.empty()) out.set("target", field.target_kind);
    if (!field.fallback.is_null()) out.set("default", field.fallback);
    if (!field.choices.empty()) {
        Value& choices = out.set("choices", Value::array());
        for (const std::string_view choice : field.choices) choices.push(choice);
    }
    if (!field.fields.empty()) out.set("fields", describe(field.fields));
    return out;
}

Value describe(const std::vector<FieldInfo>& fields) {
    Value out = Value::array();
    for (const FieldInfo& field : fields) out.push(describe(field));
    return out;
}

}  // namespace

Value schema_document(const model::Registry& registry) {
    Value kinds = Value::array();
    for (const model::Kind* kind : registry.kinds()) {
        Value& entry = kinds.push(Value::object());
        entry.set("kind", kind->name());
        entry.set("summary", kind->summary());
        entry.set("made_by_weir", kind->is_made_by_weir());
        entry.set("shown_by", kind->shown_by());
        entry.set("fields", describe(kind->fields()));
    }
    Value out;
    out.set("kinds", std::move(kinds));
    return out;
}

}  // namespace weir::openapi
