#include "apps/controller/read_move.hpp"

#include <gtest/gtest.h>

#include "model/json.hpp"

namespace weir::controller {
namespace {

using model::MoveSubject;

std::string wrong(const std::string& json, MoveSubject subject = MoveSubject::port) {
    const auto body = model::parse_json(json);
    EXPECT_TRUE(body) << json;
    const auto order = read_move(*body, subject, "x");
    return order ? "" : order.error().text();
}

TEST(ReadMove, WhatIsAskedForIsInTheRecord) {
    const auto body = model::parse_json(R"({"to":"h4","dry_run":false,"force":true,
        "wait_ready":false,"wait_frozen":true,"stub_ms":600000,"patience_ms":3600000})");
    const auto port = read_move(*body, MoveSubject::port, "g1");
    ASSERT_TRUE(port) << port.error().text();
    EXPECT_EQ(port->record.object, "g1");
    EXPECT_EQ(port->record.to, "h4");
    EXPECT_EQ(port->record.patience_ms, 3'600'000u);
    EXPECT_FALSE(port->record.wait_frozen) << "a frozen port thaws without its controller";
    EXPECT_EQ(wrong(R"({"to":"h4","without_state":true})", MoveSubject::service_node), "");
    const auto node = read_move(*model::parse_json(R"({"to":"h4","wait_frozen":true})"),
                                MoveSubject::service_node, "n1");
    ASSERT_TRUE(node) << node.error().text();
    EXPECT_TRUE(node->record.wait_frozen);
}

TEST(ReadMove, NothingIsMovedByAMistypedWord) {
    EXPECT_EQ(wrong(R"({"to":"h4","dry_run":"true"})"),
              "request: dry_run: expected true or false, not text");
    EXPECT_EQ(wrong(R"({"to":"h4","dryrun":true})"),
              "request: dryrun: is unknown; did you mean dry_run?");
    EXPECT_EQ(wrong(R"({"To":"h4"})"), "request: To: is unknown");
    EXPECT_EQ(wrong(R"({"to":4})"), "request: to: expected text");
    EXPECT_EQ(wrong(R"({"to":"h4","stub_ms":600001})"),
              "request: stub_ms: expected milliseconds, at most 600000");
    EXPECT_EQ(wrong(R"({"to":"h4","patience_ms":-1})"),
              "request: patience_ms: expected milliseconds, at most 3600000");
    EXPECT_EQ(wrong("[]"), "request: expected an object, not a list");
    EXPECT_EQ(wrong(R"({"to":"h4","dry_run":true})", MoveSubject::service_node),
              "request: dry_run: is unknown");
}

}  // namespace
}  // namespace weir::controller
