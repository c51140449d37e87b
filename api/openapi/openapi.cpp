#include "api/openapi/openapi.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace weir::openapi {
namespace {

using model::FieldInfo;
using model::FieldType;
using model::Value;

Value object(std::initializer_list<Value::Member> members) {
    Value out = Value::object();
    for (const Value::Member& member : members) out.set(member.key, member.value);
    return out;
}

Value list(std::initializer_list<Value> items) {
    Value out = Value::array();
    for (const Value& item : items) out.push(item);
    return out;
}

Value reference(std::string_view name) {
    return object({{"$ref", "#/components/schemas/" + std::string(name)}});
}

Value object_schema(const std::vector<FieldInfo>& fields, std::string_view kind = {});

Value item_schema(const FieldInfo& field) {
    switch (field.type) {
        case FieldType::boolean:
            return object({{"type", "boolean"}});
        case FieldType::integer:
            return object({{"type", "integer"}, {"minimum", field.min}, {"maximum", field.max}});
        case FieldType::text:
            return object({{"type", "string"}, {"minLength", field.min}, {"maxLength", field.max}});
        case FieldType::choice: {
            Value choices = Value::array();
            for (const std::string_view choice : field.choices) choices.push(choice);
            return object({{"type", "string"}, {"enum", std::move(choices)}});
        }
        case FieldType::notation:
            return object({{"type", field.takes_numbers ? list({"string", "integer"}) : "string"},
                           {"format", field.notation}});
        case FieldType::reference:
            return object({{"type", "string"}, {"x-kind", field.target_kind}});
        case FieldType::labels:
            return object({{"type", "object"},
                           {"additionalProperties", object({{"type", "string"}})},
                           {"maxProperties", field.max_count}});
        case FieldType::structure:
            return object_schema(field.fields);
    }
    return Value::object();
}

Value field_schema(const FieldInfo& field) {
    Value schema = item_schema(field);
    if (field.is_list) {
        schema = object({{"type", "array"},
                         {"items", std::move(schema)},
                         {"minItems", field.min_count},
                         {"maxItems", field.max_count}});
    }
    schema.set("description", field.help);
    if (!field.unit.empty()) schema.set("x-unit", field.unit);
    if (!field.fallback.is_null()) schema.set("default", field.fallback);
    return schema;
}

// `kind`, if any, may stand beside the fields, as it does in answers.
Value object_schema(const std::vector<FieldInfo>& fields, std::string_view kind) {
    Value properties = Value::object();
    if (!kind.empty()) properties.set("kind", object({{"const", kind}}));
    Value required = Value::array();
    for (const FieldInfo& field : fields) {
        properties.set(std::string(field.name), field_schema(field));
        if (field.is_required) required.push(field.name);
    }
    Value out = object({{"type", "object"},
                        {"properties", std::move(properties)},
                        {"additionalProperties", false}});
    if (required.size() != 0) out.set("required", std::move(required));
    return out;
}

Value json_content(Value schema) {
    return object({{"application/json", object({{"schema", std::move(schema)}})}});
}

Value response(std::string_view description, std::string_view schema) {
    return object({{"description", description}, {"content", json_content(reference(schema))}});
}

// An operation with its success; every other answer carries the errors.
Value operation(std::string_view summary, std::string_view answer) {
    return object({{"summary", summary},
                   {"responses", object({{"200", response("Done.", answer)},
                                         {"default", response("Why not.", "errors")}})}});
}

Value parameter(std::string_view name, std::string_view where, std::string_view help,
                std::string_view type) {
    return object({{"name", name},
                   {"in", where},
                   {"required", where == "path"},
                   {"description", help},
                   {"schema", object({{"type", type}})}});
}

void add_kind(Value& paths, Value& schemas, const model::Kind& kind) {
    const std::string name(kind.name());
    Value schema = object_schema(kind.fields(), kind.name());
    schema.set("description", kind.summary());
    schemas.set(name, std::move(schema));
    schemas.set(
        name + "-list",
        object({{"type", "object"},
                {"properties",
                 object({{"revision", object({{"type", "integer"}})},
                         {"items", object({{"type", "array"}, {"items", reference(name)}})}})}}));
    paths.set("/v1/" + name,
              object({{"get", operation("Every " + name + ", by name.", name + "-list")}}));
    Value one = object({{"parameters", list({parameter("name", "path", "Its name.", "string")})},
                        {"get", operation("One " + name + ".", name)}});
    if (!kind.is_made_by_weir()) {
        Value put = operation("Creates or replaces the " + name + ".", "outcome");
        put.set("requestBody", object({{"content", json_content(reference(name))}}));
        one.set("put", std::move(put));
        one.set("delete", operation("Deletes the " + name + ".", "outcome"));
    }
    paths.set("/v1/" + name + "/{name}", std::move(one));
}

void add_verbs(Value& paths) {
    Value apply = operation("Applies a set of resources as a whole or not at all.", "outcome");
    apply.set("parameters",
              list({parameter("prune", "query", "Delete what is not written.", "boolean"),
                    parameter("dry_run", "query", "Only say what would change.", "boolean")}));
    apply.set(
        "requestBody",
        object({{"description", "One resource, a list, or a map with `resources:`."},
                {"content",
                 object({{"application/yaml", Value::object()},
                         {"application/json", object({{"schema", reference("resources")}})}})}}));
    paths.set("/v1/apply", object({{"post", std::move(apply)}}));
    const std::pair<const char*, const char*> reads[] = {
        {"/v1/revision", "The newest revision."},
        {"/v1/history", "The newest changes and who made them."},
        {"/v1/hosts", "Every host: connected, desired, applied and refused revision."},
        {"/v1/schema", "Every kind with its fields."},
        {"/v1/openapi.json", "This document."},
    };
    for (const auto& [path, summary] : reads) {
        paths.set(path, object({{"get", operation(summary, "anything")}}));
    }
    Value events = operation("The newest events.", "anything");
    events.set("parameters",
               list({parameter("after", "query", "Only events with a larger id.", "integer"),
                     parameter("limit", "query", "At most this many.", "integer")}));
    paths.set("/v1/events", object({{"get", std::move(events)}}));
    Value query = operation("Asks a host and waits for its answer.", "anything");
    query.set("parameters",
              list({parameter("timeout_ms", "query", "How long to wait.", "integer")}));
    query.set("requestBody", object({{"content", json_content(reference("anything"))}}));
    paths.set("/v1/host/{name}/query",
              object({{"parameters", list({parameter("name", "path", "The host.", "string")})},
                      {"post", std::move(query)}}));
    const Value port = list({parameter("port", "path", "The port.", "string")});
    Value begin = operation("Begins to move a guest's port to another host.", "anything");
    begin.set("requestBody", object({{"description", "`to`, and as one likes `dry_run`, `force`, "
                                                     "`wait_ready`, `wait_frozen`, `stub_ms`, "
                                                     "`patience_ms`."},
                                     {"content", json_content(reference("anything"))}}));
    paths.set("/v1/moves/{port}",
              object({{"parameters", port},
                      {"get", operation("How the port's newest move stands.", "anything")},
                      {"post", std::move(begin)}}));
    const std::pair<const char*, const char*> words[] = {
        {"go-on", "The move waits for this: the guest is ready, or has moved."},
        {"cancel", "Undoes a move that has not come to its end."},
    };
    for (const auto& [word, summary] : words)
        paths.set("/v1/moves/{port}/" + std::string(word),
                  object({{"parameters", port}, {"post", operation(summary, "anything")}}));
    const Value node = list({parameter("node", "path", "The service node.", "string")});
    Value move = operation("Begins to move a service node to another host.", "anything");
    move.set("requestBody",
             object({{"description",
                      "`to`, and as one likes `without_state` (what is inside it is lost), "
                      "`wait_frozen` and `patience_ms` with the machine and its ports at the new "
                      "host."},
                     {"content", json_content(reference("anything"))}}));
    paths.set("/v1/node-moves/{node}",
              object({{"parameters", node},
                      {"get", operation("How the node's newest move stands.", "anything")},
                      {"post", std::move(move)}}));
    const std::pair<const char*, const char*> node_words[] = {
        {"go-on", "The move waits for this: the machine has moved."},
        {"cancel", "Undoes a move that has not come to its end."},
    };
    for (const auto& [word, summary] : node_words)
        paths.set("/v1/node-moves/{node}/" + std::string(word),
                  object({{"parameters", node}, {"post", operation(summary, "anything")}}));
}

// What may be applied in JSON: one resource of any kind, a list, or a map with `resources`.
Value resources_schema(const model::Registry& registry) {
    Value any = Value::array();
    for (const model::Kind* kind : registry.kinds()) {
        any.push(object(
            {{"allOf", list({reference(kind->name()), object({{"required", list({"kind"})}})})}}));
    }
    const Value one = object({{"oneOf", std::move(any)}});
    const Value many = object({{"type", "array"}, {"items", one}});
    const Value map = object({{"type", "object"},
                              {"properties", object({{"resources", many}})},
                              {"required", list({"resources"})},
                              {"additionalProperties", false}});
    return object({{"oneOf", list({one, many, map})}});
}

Value text_property() {
    return object({{"type", "string"}});
}

void add_common_schemas(Value& schemas) {
    schemas.set("anything", Value::object());
    const Value error = object({{"type", "object"},
                                {"properties", object({{"object", text_property()},
                                                       {"field", text_property()},
                                                       {"message", text_property()}})}});
    schemas.set("errors",
                object({{"type", "object"},
                        {"properties",
                         object({{"errors", object({{"type", "array"}, {"items", error}})}})}}));
    const Value field = object({{"type", "object"},
                                {"properties", object({{"field", text_property()},
                                                       {"before", Value::object()},
                                                       {"after", Value::object()}})}});
    const Value change =
        object({{"type", "object"},
                {"properties",
                 object({{"type", object({{"enum", list({"created", "changed", "deleted"})}})},
                         {"kind", text_property()},
                         {"name", text_property()},
                         {"fields", object({{"type", "array"}, {"items", field}})}})}});
    schemas.set("outcome",
                object({{"type", "object"},
                        {"properties",
                         object({{"revision", object({{"type", "integer"}})},
                                 {"dry_run", object({{"type", "boolean"}})},
                                 {"changes", object({{"type", "array"}, {"items", change}})}})}}));
}

}  // namespace

Value openapi_document(const model::Registry& registry) {
    Value paths = Value::object();
    Value schemas = Value::object();
    add_verbs(paths);
    add_common_schemas(schemas);
    for (const model::Kind* kind : registry.kinds()) add_kind(paths, schemas, *kind);
    schemas.set("resources", resources_schema(registry));
    Value token = object({{"type", "http"}, {"scheme", "bearer"}});
    return object(
        {{"openapi", "3.1.0"},
         {"info", object({{"title", "Weir"}, {"version", "1"}})},
         {"paths", std::move(paths)},
         {"components", object({{"schemas", std::move(schemas)},
                                {"securitySchemes", object({{"token", std::move(token)}})}})},
         {"security", list({object({{"token", Value::array()}})})}});
}

}  // namespace weir::openapi
