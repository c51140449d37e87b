#include "api/openapi/openapi.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "model/core_resources.hpp"
#include "model/json.hpp"

namespace weir::openapi {
namespace {

using model::Value;

model::Registry core() {
    model::Registry registry;
    model::add_core_kinds(registry);
    return registry;
}

const Value* find_named(const Value& items, const char* key, std::string_view name) {
    for (const Value& item : items.items()) {
        if (item[key].as_text() == name) return &item;
    }
    return nullptr;
}

void collect_references(const Value& value, std::set<std::string>& found) {
    for (const Value& item : value.items()) collect_references(item, found);
    for (const Value::Member& member : value.members()) {
        if (member.key == "$ref") found.insert(member.value.as_text());
        collect_references(member.value, found);
    }
}

TEST(Schema, NamesEveryKindAndField) {
    const model::Registry registry = core();
    const Value schema = schema_document(registry);
    ASSERT_EQ(schema["kinds"].size(), registry.kinds().size());
    for (const model::Kind* kind : registry.kinds()) {
        const Value* entry = find_named(schema["kinds"], "kind", kind->name());
        ASSERT_NE(entry, nullptr) << kind->name();
        ASSERT_EQ((*entry)["fields"].size(), kind->fields().size());
        for (const model::FieldInfo& field : kind->fields()) {
            const Value* described = find_named((*entry)["fields"], "name", field.name);
            ASSERT_NE(described, nullptr) << kind->name() << "." << field.name;
            EXPECT_FALSE((*described)["help"].as_text().empty());
        }
    }
    const Value* segment = find_named(schema["kinds"], "kind", "segment");
    const Value* vni = find_named((*segment)["fields"], "name", "vni");
    EXPECT_EQ((*vni)["type"].as_text(), "integer");
    EXPECT_EQ((*vni)["max"].as_uint(), 0xffffffu);
}

TEST(OpenApi, EveryReferenceLeadsSomewhere) {
    const Value document = openapi_document(core());
    std::set<std::string> references;
    collect_references(document, references);
    EXPECT_GT(references.size(), 3u);
    constexpr std::string_view prefix = "#/components/schemas/";
    for (const std::string& reference : references) {
        ASSERT_TRUE(reference.starts_with(prefix)) << reference;
        EXPECT_NE(document["components"]["schemas"].find(reference.substr(prefix.size())), nullptr)
            << reference;
    }
}

TEST(OpenApi, EveryKindHasItsPaths) {
    const model::Registry registry = core();
    const Value document = openapi_document(registry);
    for (const model::Kind* kind : registry.kinds()) {
        const std::string path = "/v1/" + std::string(kind->name());
        EXPECT_TRUE(document["paths"][path]["get"].is_object()) << path;
        const Value& one = document["paths"][path + "/{name}"];
        EXPECT_TRUE(one["get"].is_object()) << path;
        for (const char* method : {"put", "delete"})
            EXPECT_EQ(one[method].is_object(), !kind->is_made_by_weir()) << path << method;
    }
    EXPECT_TRUE(model::parse_json(model::dump_json(document)));
}

}  // namespace
}  // namespace weir::openapi
