#include "base/log.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace weir::log {
namespace {

TEST(Log, TextLineQuotesOnlyWhatNeedsIt) {
    EXPECT_EQ(format_line(Format::text, "T", Level::info, "host", "port.up",
                          {{"port", "g1"}, {"mtu", 1500}, {"why", "a \"b\"\nc"}, {"none", ""}}),
              "T info host port.up port=g1 mtu=1500 why=\"a \\\"b\\\"\\nc\" none=\"\"");
}

TEST(Log, JsonLineKeepsNumbersAndEscapesControlBytes) {
    EXPECT_EQ(format_line(Format::json, "T", Level::warn, "", "x.y",
                          {{"n", -7}, {"ok", true}, {"s", std::string_view("a\x01", 2)}}),
              R"({"time":"T","level":"warn","event":"x.y","n":-7,"ok":true,"s":"a\u0001"})");
}

TEST(Log, LevelsBelowTheLowestAreNotWritten) {
    std::vector<std::string> lines;
    configure({.component = "test",
               .lowest = Level::warn,
               .format = Format::text,
               .sink = [&](std::string_view line) { lines.emplace_back(line); }});
    info("quiet");
    warn("loud", {{"n", 1}});
    configure({});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(lines[0].ends_with("warn test loud n=1")) << lines[0];
}

TEST(Log, LevelAndFormatNames) {
    EXPECT_EQ(*parse_level("error"), Level::error);
    EXPECT_EQ(*parse_format("json"), Format::json);
    EXPECT_FALSE(parse_level("loud"));
    EXPECT_FALSE(parse_format("xml"));
}

}  // namespace
}  // namespace weir::log
