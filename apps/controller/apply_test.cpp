#include "apps/controller/testing.hpp"
#include "model/json.hpp"

namespace weir::controller {
namespace {

using namespace testing;

constexpr const char* two_segments = R"(
- {kind: segment, name: web, vni: 5001}
- {kind: segment, name: app, vni: 5002}
)";

class ApplyTest : public ControllerTest {};

const Error* find_error(const std::vector<Error>& errors, std::string_view object,
                        std::string_view field) {
    for (const Error& error : errors) {
        if (error.object == object && error.field == field) return &error;
    }
    return nullptr;
}

TEST_F(ApplyTest, CreatesAndShowsWhatItDid) {
    const Value done = apply(two_segments);
    EXPECT_EQ(done["revision"].as_uint(), 1u);
    ASSERT_EQ(done["changes"].size(), 2u);
    const Value& first = done["changes"].items()[0];
    EXPECT_EQ(first["type"].as_text(), "created");
    EXPECT_EQ(first["kind"].as_text(), "segment");
    EXPECT_EQ(first["name"].as_text(), "app");
    EXPECT_EQ(get("/v1/segment")["items"].size(), 2u);
    EXPECT_EQ(get("/v1/segment/web")["vni"].as_uint(), 5001u);
    EXPECT_EQ(get("/v1/segment/web")["kind"].as_text(), "segment");
}

TEST_F(ApplyTest, SecondApplyChangesNothing) {
    apply(two_segments);
    const Value again = apply(two_segments);
    EXPECT_EQ(again["revision"].as_uint(), 1u);
    EXPECT_EQ(again["changes"].size(), 0u);
    EXPECT_EQ(revision(), 1u);
}

TEST_F(ApplyTest, ChangeIsShownByField) {
    apply(two_segments);
    const Value done = apply("{kind: segment, name: web, vni: 6001}");
    ASSERT_EQ(done["changes"].size(), 1u);
    const Value& change = done["changes"].items()[0];
    EXPECT_EQ(change["type"].as_text(), "changed");
    ASSERT_EQ(change["fields"].size(), 1u);
    EXPECT_EQ(change["fields"].items()[0]["field"].as_text(), "vni");
    EXPECT_EQ(change["fields"].items()[0]["before"].as_uint(), 5001u);
    EXPECT_EQ(change["fields"].items()[0]["after"].as_uint(), 6001u);
}

TEST_F(ApplyTest, SecretsComeInAndDoNotComeOut) {
    constexpr const char* key = "000102030405060708090a0b0c0d0e0f";
    const std::string segment =
        std::string(
            "{kind: service-segment, name: plane, svni: 9, auth_keys: [{id: 1, secret: \"") +
        key + "\"}]}";
    EXPECT_EQ(model::dump_json(apply(segment)).find(key), std::string::npos);
    const Value shown = get("/v1/service-segment/plane");
    EXPECT_EQ(shown["auth_keys"].items()[0]["secret"].as_text(), "hidden");
    EXPECT_EQ(model::dump_json(get("/v1/service-segment")).find(key), std::string::npos);
    // What was read can be written back, with and without a change beside it.
    EXPECT_EQ(apply(model::dump_json(shown))["changes"].size(), 0u);
    Value edited = shown;
    edited.set("mtu", 1600);
    EXPECT_EQ(apply(model::dump_json(edited), "?prune=true")["changes"].size(), 1u);
    EXPECT_EQ(apply(segment)["changes"].items()[0]["fields"].size(), 1u) << "the key is the same";
}

TEST_F(ApplyTest, DryRunTellsAndDoesNothing) {
    apply(two_segments);
    const Value told = apply("{kind: segment, name: web, vni: 5009}", "?prune=true&dry_run=true");
    ASSERT_EQ(told["changes"].size(), 2u);
    EXPECT_EQ(told["changes"].items()[0]["type"].as_text(), "deleted");
    EXPECT_EQ(told["changes"].items()[1]["type"].as_text(), "changed");
    EXPECT_EQ(told["revision"].as_uint(), 1u);
    EXPECT_EQ(get("/v1/segment/web")["vni"].as_uint(), 5001u);
    EXPECT_EQ(get("/v1/segment")["items"].size(), 2u);
}

TEST_F(ApplyTest, PruneDeletesWhatIsNotWritten) {
    apply(two_segments);
    const Value done = apply("{kind: segment, name: web, vni: 5001}", "?prune=true");
    ASSERT_EQ(done["changes"].size(), 1u);
    EXPECT_EQ(done["changes"].items()[0]["type"].as_text(), "deleted");
    EXPECT_EQ(ask("GET", "/v1/segment/app").status, 404);
    EXPECT_EQ(apply("[]", "?prune=true")["revision"].as_uint(), 3u);
    EXPECT_EQ(get("/v1/segment")["items"].size(), 0u);
}

TEST_F(ApplyTest, OneWrongResourceStopsAllAndEveryErrorIsNamed) {
    const auto errors = refused(R"(
- {kind: segment, name: good, vni: 5001}
- {kind: segment, name: high, vni: 16777216}
- {kind: segment, name: odd, vni: 7, colour: blue}
- {kind: sgement, name: typo, vni: 8}
)");
    EXPECT_NE(find_error(errors, "segment/high", "vni"), nullptr);
    EXPECT_NE(find_error(errors, "segment/odd", "\"colour\""), nullptr);
    EXPECT_GE(errors.size(), 3u);
    for (const Error& error : errors) EXPECT_FALSE(error.message.empty());
    EXPECT_EQ(revision(), 0u);
    EXPECT_EQ(get("/v1/segment")["items"].size(), 0u);
}

TEST_F(ApplyTest, ReferenceToNothingIsRefused) {
    const auto errors = refused(R"(
- {kind: port, name: g1, host: h9, segment: web, mac: "02:00:00:00:00:01"}
)");
    EXPECT_NE(find_error(errors, "port/g1", "segment"), nullptr);
    EXPECT_NE(find_error(errors, "port/g1", "host"), nullptr);
    EXPECT_EQ(revision(), 0u);
}

TEST_F(ApplyTest, TwoPortsWithOneMacAreRefused) {
    const auto errors = refused(R"(
- {kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1}
- {kind: segment, name: web, vni: 5001}
- {kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:01"}
- {kind: port, name: g2, host: h1, segment: web, mac: "02:00:00:00:00:01"}
)");
    ASSERT_FALSE(errors.empty());
    EXPECT_TRUE(errors[0].object.starts_with("port/g"));
    EXPECT_EQ(errors[0].field, "mac");
    EXPECT_EQ(revision(), 0u);
}

TEST_F(ApplyTest, TextThatIsNoYamlIsRefused) {
    for (const char* text : {"- {kind: segment, name: [", "a: b: c", "\t- x", "just words", "",
                             "- kind: segment\n- 5\n"}) {
        EXPECT_FALSE(refused(text).empty()) << text;
    }
    const auto response = ask("POST", "/v1/apply", "{\"kind\":", "application/json");
    EXPECT_EQ(response.status, 422);
    EXPECT_EQ(revision(), 0u);
}

TEST_F(ApplyTest, JsonIsAsGoodAsYaml) {
    const auto done = ask("POST", "/v1/apply", R"([{"kind":"segment","name":"web","vni":5001}])",
                          "application/json");
    EXPECT_EQ(done.status, 200) << done.body;
    EXPECT_EQ(revision(), 1u);
}

TEST_F(ApplyTest, PutAndDeleteOneResource) {
    EXPECT_EQ(ask("PUT", "/v1/segment/web", R"({"vni":5001})").status, 200);
    EXPECT_EQ(ask("PUT", "/v1/segment/web", R"({"kind":"segment","name":"web","vni":5001})").status,
              200);
    EXPECT_EQ(revision(), 1u);
    for (const char* bad : {R"({"name":"other","vni":1})", R"({"kind":"port","vni":1})", "[]", "{",
                            R"({"vni":-1})", R"({"vni":1,"vni":2})"}) {
        EXPECT_EQ(ask("PUT", "/v1/segment/web", bad).status, 422) << bad;
    }
    EXPECT_EQ(ask("DELETE", "/v1/segment/none").status, 404);
    EXPECT_EQ(ask("DELETE", "/v1/segment/web").status, 200);
    EXPECT_EQ(ask("GET", "/v1/segment/web").status, 404);
    EXPECT_EQ(revision(), 2u);
}

TEST_F(ApplyTest, WhatIsReferredToCannotBeDeleted) {
    apply(R"(
- {kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1}
- {kind: segment, name: web, vni: 5001}
- {kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:01"}
)");
    const auto response = ask("DELETE", "/v1/segment/web");
    EXPECT_EQ(response.status, 422);
    const auto errors = rest::errors_in(response);
    EXPECT_NE(find_error(errors, "port/g1", "segment"), nullptr);
    EXPECT_EQ(revision(), 1u);
}

TEST_F(ApplyTest, PathsAndMethodsThatAreNotThereSayWhatIs) {
    const auto nowhere = ask("GET", "/v1/sgement");
    EXPECT_EQ(nowhere.status, 404);
    EXPECT_NE(nowhere.body.find("segment"), std::string::npos);
    EXPECT_EQ(ask("GET", "/v2/segment").status, 404);
    EXPECT_EQ(ask("GET", "/v1/segment/a/b").status, 404);
    EXPECT_EQ(ask("POST", "/v1/segment").status, 405);
    EXPECT_EQ(ask("GET", "/v1/apply").status, 405);
    EXPECT_EQ(ask("PATCH", "/v1/segment/web").status, 405);
}

TEST_F(ApplyTest, OnlyAdministratorsAreServed) {
    const auto as = [&](rest::Credentials credentials, std::string token) {
        const rest::Client client(
            {{rest::Target::Kind::tls, "127.0.0.1", std::to_string(port_)}, credentials, token});
        const auto answer = client.request("GET", "/v1/revision");
        return answer ? answer->status : 0;
    };
    const rest::Credentials only_ca{authority_.certificate(), {}, {}};
    EXPECT_EQ(as(only_ca, ""), 401);
    EXPECT_EQ(as(only_ca, "secre"), 401);
    EXPECT_EQ(as(only_ca, "secretsecret"), 401);
    EXPECT_EQ(as(only_ca, "secret"), 200);
    EXPECT_EQ(as(*authority_.issue({rest::Role::admin, "ann"}), ""), 200);
    EXPECT_EQ(as(*authority_.issue({rest::Role::host, "h1"}), "secret"), 403);
    const rest::Client plain(
        {{rest::Target::Kind::plain, "127.0.0.1", std::to_string(controller_->port(2))}, {}, {}});
    EXPECT_EQ(plain.request("GET", "/v1/revision")->status, 401);
    EXPECT_EQ(plain.request("GET", "/metrics")->status, 200);
}

TEST_F(ApplyTest, MetricsSchemaHistoryAndEventsAreServed) {
    apply(two_segments);
    const auto metrics = ask("GET", "/metrics");
    EXPECT_NE(metrics.body.find("\nweir_controller_revision 1\n"), std::string::npos);
    EXPECT_NE(metrics.body.find("weir_controller_resources{kind=\"segment\"} 2\n"),
              std::string::npos);
    EXPECT_GT(get("/v1/schema")["kinds"].size(), 3u);
    EXPECT_EQ(get("/v1/openapi.json")["openapi"].as_text(), "3.1.0");
    const Value history = get("/v1/history");
    ASSERT_GE(history["items"].size(), 1u);
    EXPECT_EQ(history["items"].items()[0]["note"].as_text(), "local");
    EXPECT_EQ(get("/v1/events")["items"].size(), 0u);
    EXPECT_EQ(ask("GET", "/v1/events?after=x").status, 422);
}

TEST_F(ApplyTest, EverythingIsStillThereAfterARestart) {
    apply(two_segments);
    controller_.reset();
    start();
    EXPECT_EQ(revision(), 1u);
    EXPECT_EQ(get("/v1/segment/app")["vni"].as_uint(), 5002u);
    EXPECT_EQ(apply(two_segments)["changes"].size(), 0u);
}

}  // namespace
}  // namespace weir::controller
