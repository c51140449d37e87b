#include "api/cli/table.hpp"

#include <gtest/gtest.h>

#include "model/json.hpp"

namespace weir::cli {
namespace {

TEST(Table, AlignsColumnsAndPutsNumbersToTheRight) {
    Table table({"NAME", "COUNT"});
    table.add({"flow.out_of_state", "7"});
    table.add({"MTU", "1200"});
    EXPECT_EQ(table.text(),
              "NAME               COUNT\n"
              "flow.out_of_state      7\n"
              "MTU                 1200\n");
}

TEST(Table, KeepsColumnsUnderWideCharacters) {
    Table table({"A", "B"});
    table.add({"µs", "x"});
    EXPECT_EQ(table.text(), "A   B\nµs  x\n");
}

TEST(InlineText, WritesListsAndMapsInOneLine) {
    EXPECT_EQ(inline_text(*model::parse_json(R"({"a":[1,2],"b":{"c":true}})")), "a=1,2 b=c=true");
    EXPECT_EQ(inline_text(*model::parse_json(R"([{"x":1},{"x":2}])")), "{x=1},{x=2}");
    EXPECT_EQ(inline_text(model::Value()), "");
}

TEST(DurationText, ChoosesTheUnit) {
    EXPECT_EQ(duration_text(0.25), "250 ms");
    EXPECT_EQ(duration_text(90), "90 s");
    EXPECT_EQ(duration_text(600), "10 min");
    EXPECT_EQ(duration_text(36000), "10 h");
}

}  // namespace
}  // namespace weir::cli
