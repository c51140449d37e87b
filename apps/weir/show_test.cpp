#include "apps/weir/show.hpp"

#include <gmock/gmock.h>

#include <set>

#include "model/json.hpp"

namespace weir::command {
namespace {

using model::Value;

Value parsed(const char* text) {
    auto value = model::parse_json(text);
    EXPECT_TRUE(value) << text;
    return *value;
}

TEST(Show, EachViewHasItsNameOnceAndSaysWhatItIs) {
    std::set<std::string_view> names;
    for (const View& view : views()) {
        EXPECT_TRUE(names.insert(view.name).second) << view.name;
        EXPECT_FALSE(view.help.empty());
        EXPECT_EQ(find_view(view.name), &view);
    }
    // Spec service-plane 12.2; flows and drops are verbs of their own.
    for (const char* name : {"rules", "chains", "paths", "nexthops", "spi-fail", "flow-prog",
                             "nodes", "proxy-contexts", "segments"})
        EXPECT_TRUE(names.contains(name)) << name;
    EXPECT_EQ(find_view("path"), nullptr);
}

TEST(Show, WorkersOfAHostHaveAPartOfACount) {
    const View& view = *find_view("rules");
    const auto rows = joined_rows(view, "h1", parsed(R"([
        {"name": "a", "id": 1, "action": "redirect", "chain": "c", "hits": 2, "packets": 30},
        {"name": "b", "id": 2, "action": "redirect", "chain": "c", "hits": 5, "packets": 1},
        {"name": "a", "id": 1, "action": "redirect", "chain": "c", "hits": 3, "packets": 4}])"));
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0]["host"].as_text(), "h1");
    EXPECT_EQ(rows[0]["hits"].as_uint(), 5u);
    EXPECT_EQ(rows[0]["packets"].as_uint(), 34u);
    EXPECT_EQ(rows[1]["hits"].as_uint(), 5u);
}

TEST(Show, WhatWorkersSeeAtDifferentTimesIsToldOnce) {
    const auto rows = joined_rows(*find_view("spi-fail"), "h1", parsed(R"([
        {"svni": 9001, "spi": 7, "path": "p", "reason": "hop-down", "left_ms": 400},
        {"svni": 9001, "spi": 7, "path": "p", "reason": "hop-down", "left_ms": 390},
        {"svni": 9001, "spi": 8, "path": "q", "reason": "hop-down", "left_ms": 10}])"));
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0]["left_ms"].as_uint(), 400u);
}

TEST(Show, RowsThatDifferInAKeyStayApart) {
    const auto rows = joined_rows(*find_view("flow-prog"), "h1", parsed(R"([
        {"flow": 1, "issuer": 5, "order": "skip", "forward": true, "left_s": 3},
        {"flow": 1, "issuer": 6, "order": "skip", "forward": true, "left_s": 3}])"));
    EXPECT_EQ(rows.size(), 2u);
}

TEST(Show, WhatNeverEndsHasNoTimeLeft) {
    const auto rows = joined_rows(*find_view("flow-prog"), "h1", parsed(R"([
        {"flow": 1, "issuer": 5, "order": "skip", "forward": true},
        {"flow": 1, "issuer": 5, "order": "skip", "forward": true},
        {"flow": 2, "issuer": 5, "order": "skip", "forward": true, "left_s": 3},
        {"flow": 2, "issuer": 5, "order": "skip", "forward": true, "left_s": 2}])"));
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].find("left_s"), nullptr);
    EXPECT_EQ(rows[1]["left_s"].as_uint(), 3u);
}

TEST(Show, OneWordMeansOneThing) {
    for (const char* name : {"chains", "paths"})
        for (const ViewColumn& column : find_view(name)->columns) {
            const std::string_view header = column.header, key = column.key;
            if (header.ends_with("FLOWS")) {
                const bool is_total = header == "NEW FLOWS";
                EXPECT_EQ(is_total, key != "active_flows") << name << " " << header;
            }
        }
}

// Hosts bound what they show of everything; NAME must reach them.
TEST(Show, HostsAreAskedForWhatTheyShowAPartOf) {
    for (const char* name : {"rules", "flow-prog", "proxy-contexts"})
        EXPECT_TRUE(find_view(name)->is_asked) << name;
}

}  // namespace
}  // namespace weir::command
