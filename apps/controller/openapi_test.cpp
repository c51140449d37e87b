#include <fstream>
#include <sstream>

#include "apps/controller/testing.hpp"
#include "features/feature.hpp"

// What the API serves and takes is what its OpenAPI document says.
namespace weir::controller {
namespace {

using namespace testing;

bool has_type(const Value& value, std::string_view type) {
    if (type == "string") return value.is_text();
    if (type == "integer") return value.is_integer();
    if (type == "boolean") return value.is_bool();
    if (type == "array") return value.is_array();
    return type == "object" && value.is_object();
}

bool below(const Value& a, const Value& b) {
    const bool negative[] = {a.as_int(0) < 0, b.as_int(0) < 0};
    if (negative[0] != negative[1]) return negative[0];
    return negative[0] ? a.as_int() < b.as_int() : a.as_uint() < b.as_uint();
}

// As much of JSON Schema 2020-12 as the document uses.
class Validator {
public:
    explicit Validator(const Value& document) : schemas_(document["components"]["schemas"]) {}

    // Why `value` is not what the schema says; empty if it is.
    std::string why_not(const Value& value, const Value& schema, const std::string& at) const {
        constexpr std::string_view prefix = "#/components/schemas/";
        if (const Value* ref = schema.find("$ref"))
            return why_not(value, schemas_[ref->as_text().substr(prefix.size())], at);
        if (const Value* fixed = schema.find("const"); fixed && !(value == *fixed))
            return at + ": is not what it must be";
        for (const Value& part : schema["allOf"].items())
            if (std::string why = why_not(value, part, at); !why.empty()) return why;
        if (const Value* choices = schema.find("oneOf")) {
            std::string why;
            int fit = 0;
            for (const Value& choice : choices->items()) {
                const std::string reason = why_not(value, choice, at);
                fit += reason.empty();
                why += reason + "; ";
            }
            if (fit != 1) return at + ": fits " + std::to_string(fit) + " choices: " + why;
        }
        if (std::string why = why_not_type(value, schema, at); !why.empty()) return why;
        if (value.is_array()) return why_not_items(value, schema, at);
        if (value.is_object()) return why_not_members(value, schema, at);
        return {};
    }

private:
    static std::string why_not_type(const Value& value, const Value& schema,
                                    const std::string& at) {
        if (const Value* type = schema.find("type")) {
            bool fits = type->is_text() && has_type(value, type->as_text());
            for (const Value& one : type->items()) fits |= has_type(value, one.as_text());
            if (!fits) return at + ": has another type";
        }
        if (const Value* choices = schema.find("enum")) {
            const auto& all = choices->items();
            if (std::find(all.begin(), all.end(), value) == all.end()) return at + ": no choice";
        }
        const Value *low = schema.find("minimum"), *high = schema.find("maximum");
        if (value.is_integer() && ((low && below(value, *low)) || (high && below(*high, value))))
            return at + ": out of bounds";
        const Value *shortest = schema.find("minLength"), *longest = schema.find("maxLength");
        if (value.is_text() && ((shortest && value.as_text().size() < shortest->as_uint()) ||
                                (longest && value.as_text().size() > longest->as_uint())))
            return at + ": too short or too long";
        return {};
    }
    std::string why_not_items(const Value& value, const Value& schema,
                              const std::string& at) const {
        const Value *least = schema.find("minItems"), *most = schema.find("maxItems");
        if ((least && value.size() < least->as_uint()) || (most && value.size() > most->as_uint()))
            return at + ": too few or too many";
        for (std::size_t i = 0; i < value.size(); ++i)
            if (std::string why =
                    why_not(value.items()[i], schema["items"], at + "[" + std::to_string(i) + "]");
                !why.empty())
                return why;
        return {};
    }
    std::string why_not_members(const Value& value, const Value& schema,
                                const std::string& at) const {
        for (const Value& name : schema["required"].items())
            if (value.find(name.as_text()) == nullptr) return at + ": lacks " + name.as_text();
        const Value* others = schema.find("additionalProperties");
        for (const Value::Member& member : value.members()) {
            const std::string here = at + "." + member.key;
            const Value* known = schema["properties"].find(member.key);
            if (!known && others && others->is_bool() && !others->as_bool())
                return here + ": unknown";
            const Value& one = known ? *known : others ? *others : Value();
            if (std::string why = why_not(member.value, one, here); !why.empty()) return why;
        }
        return {};
    }

    const Value& schemas_;
};

std::string example() {
    std::ifstream file(WEIR_SOURCE "/examples/two-hosts.yaml");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

class OpenApiTest : public ControllerTest {
protected:
    features::Features features() override { return features::all(); }
    void SetUp() override {
        ControllerTest::SetUp();
        document_ = get("/v1/openapi.json");
    }
    Value schema(const std::string& name) const {
        Value out;
        out.set("$ref", "#/components/schemas/" + name);
        return out;
    }
    Value document_;
    model::Registry kinds_;
};

TEST_F(OpenApiTest, EveryResourceOfTheExampleIsAsDescribed) {
    const Value outcome = apply(example());
    const Validator validator(document_);
    EXPECT_EQ(document_["openapi"].as_text(), "3.1.0");
    EXPECT_EQ(validator.why_not(outcome, schema("outcome"), "outcome"), "");
    std::size_t seen = 0;
    Value all = Value::array();
    kinds_ = features::registry_of(features::all());
    for (const model::Kind* kind : kinds_.kinds()) {
        const std::string name(kind->name());
        const Value answer = get("/v1/" + name);
        EXPECT_EQ(validator.why_not(answer, schema(name + "-list"), name), "");
        for (const Value& item : answer["items"].items()) {
            EXPECT_EQ(validator.why_not(item, schema(name), name), "");
            all.push(item);
            ++seen;
        }
    }
    EXPECT_EQ(seen, outcome["changes"].size());
    // What was served may be sent back, and changes nothing.
    EXPECT_EQ(validator.why_not(all, schema("resources"), "all"), "");
    const rest::Response back = ask("POST", "/v1/apply", model::dump_json(all), "application/json");
    ASSERT_EQ(back.status, 200) << back.body;
    EXPECT_EQ((*model::parse_json(back.body))["changes"].size(), 0u);
}

TEST_F(OpenApiTest, PortsMayBeNumbersOrTexts) {
    const Validator validator(document_);
    const std::string rule = R"({"kind":"firewall-rule","name":"web","protocol":"tcp",)"
                             R"("action":"allow","ports":)";
    for (const char* ports : {"[80]", R"(["80"])"}) {
        const std::string body = rule + ports + "}";
        EXPECT_EQ(validator.why_not(*model::parse_json(body), schema("firewall-rule"), "rule"), "");
        const rest::Response answer = ask("PUT", "/v1/firewall-rule/web", body, "application/json");
        ASSERT_EQ(answer.status, 200) << answer.body;
        EXPECT_EQ(get("/v1/firewall-rule/web")["ports"].items().at(0).as_text(), "80");
    }
    EXPECT_EQ(revision(), 1u) << "both say the same";
    for (const char* ports : {"[80.5]", "[true]", "[70000]", "[-1]"})
        EXPECT_EQ(
            ask("PUT", "/v1/firewall-rule/web", rule + ports + "}", "application/json").status, 422)
            << ports;
}

TEST_F(OpenApiTest, WhatWeirMakesCanOnlyBeRead) {
    apply(example());
    const std::uint64_t before = revision();
    for (const std::string kind : {"service-path", "service-node-status", "port-address"}) {
        const Value& described = document_["paths"]["/v1/" + kind + "/{name}"];
        EXPECT_TRUE(described["get"].is_object()) << kind;
        EXPECT_TRUE(described["put"].is_null() && described["delete"].is_null()) << kind;
        for (const auto& [method, path] : {std::pair("PUT", "/v1/" + kind + "/mine"),
                                           std::pair("DELETE", "/v1/" + kind + "/mine")}) {
            const rest::Response answer = ask(method, path, "{}", "application/json");
            EXPECT_EQ(answer.status, 422) << method << path;
            EXPECT_NE(answer.body.find("is made by Weir"), std::string::npos) << answer.body;
        }
        EXPECT_EQ(ask("POST", "/v1/apply", "{kind: " + kind + ", name: mine}").status, 422);
    }
    EXPECT_EQ(revision(), before);
    const rest::Response path = ask("GET", "/v1/service-path/mine");
    EXPECT_EQ(path.status, 404);
    EXPECT_NE(path.body.find("see weir show paths"), std::string::npos) << path.body;
}

TEST_F(OpenApiTest, TheValidatorFindsWhatIsWrong) {
    const Validator validator(document_);
    const auto why = [&](const char* json, const char* name) {
        return validator.why_not(*model::parse_json(json), schema(name), "x");
    };
    EXPECT_EQ(why(R"({"name":"a","vni":1})", "segment"), "");
    EXPECT_EQ(why(R"({"name":"a","vni":0})", "segment"), "x.vni: out of bounds");
    EXPECT_EQ(why(R"({"name":"a","vni":"1"})", "segment"), "x.vni: has another type");
    EXPECT_EQ(why(R"({"name":"a"})", "segment"), "x: lacks vni");
    EXPECT_EQ(why(R"({"name":"a","vni":1,"vnl":1})", "segment"), "x.vnl: unknown");
    EXPECT_EQ(why(R"({"kind":"port","name":"a","vni":1})", "segment"),
              "x.kind: is not what it must be");
    EXPECT_EQ(why(R"({"name":"a","action":"alow"})", "firewall-rule"), "x.action: no choice");
}

}  // namespace
}  // namespace weir::controller
