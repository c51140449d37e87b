#include "apps/weir/observations.hpp"

#include <gtest/gtest.h>

#include <string>

#include "model/json.hpp"

namespace weir::command {
namespace {

using model::Value;

Value step(const std::string& host, const std::string& stage, const std::string& result,
           std::uint64_t at_ns, const std::string& notes = "{}") {
    Value out = Value::object();
    out.set("trace_id", 7u);
    out.set("host", host);
    out.set("stage", stage);
    out.set("result", result);
    out.set("at_ns", at_ns);
    out.set("notes", *model::parse_json(notes));
    return out;
}

std::vector<Value> there() {
    return {step("h1", "parse", "continue", 1),
            step("h1", "insert", "sent", 2,
                 R"({"rule":"web","chain":"c1","path":"p","spi":9,"d":0})"),
            step("h1", "resolve", "continue", 3, R"({"next":"n1","ttl":62})"),
            step("h1", "encap", "sent", 4, R"({"peer":"h3"})"),
            step("h3", "arrive", "continue", 500, R"({"spi":9,"si":2,"d":1})"),
            step("h3", "to_node", "sent", 1000, R"({"node":"n1","si":2})")};
}
std::vector<Value> through() {
    auto steps = there();
    steps.push_back(step("h3", "from_node", "continue", 8000, R"({"node":"n1","si":1})"));
    steps.push_back(step("h1", "return", "sent", 20, R"({"port":"g1","call_point":"egress"})"));
    steps.push_back(step("h2", "deliver", "deliver.traced", 30, R"({"port":"g2"})"));
    return steps;
}
std::string text(const Value& row) {
    std::string out =
        row["host"].as_text() + " " + row["component"].as_text() + " " + row["event"].as_text();
    if (!row["node"].is_null()) out += " " + row["node"].as_text();
    if (!row["reason"].is_null()) out += ": " + row["reason"].as_text();
    return out;
}
std::vector<std::string> texts(const std::vector<Value>& steps) {
    std::vector<std::string> out;
    for (const Value& row : observations(steps)) out.push_back(text(row));
    return out;
}
using Texts = std::vector<std::string>;

TEST(Observations, AreTheWayThroughThePlane) {
    EXPECT_EQ(texts(through()),
              (Texts{"h1 anchor inserted", "h1 proxy sent", "h3 node received n1",
                     "h3 node forwarded n1", "h1 anchor resumed", "h2 guest delivered"}));
}

TEST(Observations, SayRulePathIndexAndHowLongANodeHadThePacket) {
    const auto rows = observations(through());
    EXPECT_EQ(rows[0]["rule"].as_text(), "web");
    EXPECT_EQ(rows[0]["spi"].as_uint(), 9u);
    EXPECT_EQ(rows[2]["si"].as_uint(), 2u);
    EXPECT_EQ(rows[0]["d"], Value(0u)) << "as whoever had the packet said last";
    EXPECT_EQ(rows[2]["d"], Value(1u));
    EXPECT_EQ(rows[3]["si"].as_uint(), 1u);
    EXPECT_EQ(rows[3]["dwell_us"].as_uint(), 7u);
    EXPECT_TRUE(rows[2]["dwell_us"].is_null());
}

TEST(Observations, ANodeThatKeepsThePacketGaveNoAnswer) {
    EXPECT_EQ(texts(there()).back(), "h3 node dropped n1: no answer from n1");
}

TEST(Observations, WhatANodeSentBackWronglyIsDroppedThere) {
    auto steps = there();
    steps.push_back(step("h3", "from_node", "BAD_SI", 2000, R"({"node":"n1"})"));
    EXPECT_EQ(texts(steps).back(), "h3 node dropped n1: BAD_SI");
}

TEST(Observations, ACopyThatStaysAtItsNodeIsNoLoss) {
    auto steps = through();
    steps.insert(steps.begin() + 3, step("h3", "to_node", "sent", 900, R"({"node":"tap"})"));
    EXPECT_EQ(texts(steps).back(), "h2 guest delivered");
}

TEST(Observations, NothingSeenIsNothingSaid) {
    EXPECT_TRUE(observations({}).empty());
}

}  // namespace
}  // namespace weir::command
