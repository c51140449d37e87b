#include "model/value.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_support.hpp"

namespace weir::model {
namespace {

using testing::HasSubstr;

std::string why(std::string_view text, const TextLimits& limits = {}) {
    const auto value = parse_json(text, limits);
    return value.ok() ? "accepted" : value.error().message;
}

TEST(Value, WordsMeanWhatTheCoreSchemaSays) {
    EXPECT_EQ(Value::word("12").resolved(), Value(12));
    EXPECT_EQ(Value::word("-12").resolved(), Value(-12));
    EXPECT_EQ(Value::word("18446744073709551615").resolved(), Value(~std::uint64_t{0}));
    EXPECT_EQ(Value::word("1.5").resolved(), Value(1.5));
    EXPECT_EQ(Value::word("true").resolved(), Value(true));
    EXPECT_EQ(Value::word("").resolved(), Value());
    EXPECT_EQ(Value::word("null").resolved(), Value());
    for (const char* text :
         {"no", "10.0.0.1", "02:00:00:00:00:01", "0x10", "1e", "-", "inf", "nan"})
        EXPECT_EQ(Value::word(text).resolved(), Value(text)) << text;
}

TEST(Value, ObjectsAreEqualInAnyOrder) {
    EXPECT_EQ(json(R"({"a":1,"b":[{"c":2,"d":3}]})"), json(R"({"b":[{"d":3,"c":2}],"a":1})"));
    EXPECT_NE(json(R"({"a":1})"), json(R"({"a":1,"b":null})"));
    EXPECT_NE(json(R"({"a":1,"b":1})"), json(R"({"a":1,"c":1})"));
    EXPECT_NE(json("[1,2]"), json("[2,1]"));
}

// Who decodes it names the key; until then both values are there.
TEST(Value, KeysThatAreWrittenTwiceCount) {
    EXPECT_EQ(json(R"({"a":1,"b":0,"a":2})"), json(R"({"b":0,"a":1,"a":2})"));
    EXPECT_NE(json(R"({"a":1,"a":2})"), json(R"({"a":2,"a":1})"));
    EXPECT_NE(json(R"({"a":1,"a":1})"), json(R"({"a":1,"b":1})"));
}

TEST(Value, IntegersKeepAllTheirBits) {
    const Value value = json("[18446744073709551615,-9223372036854775808,0,9223372036854775808]");
    EXPECT_EQ(value.items()[0].as_uint(), ~std::uint64_t{0});
    EXPECT_EQ(value.items()[0].as_int(-7), -7);
    EXPECT_EQ(value.items()[1].as_int(), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(value.items()[1].as_uint(7), 7u);
    EXPECT_EQ(dump_json(value),
              "[18446744073709551615,-9223372036854775808,0,9223372036854775808]");
    EXPECT_EQ(Value(std::uint64_t{5}), Value(5));
}

TEST(Value, TextRoundTripsThroughJson) {
    for (const std::string text : {"", "plain", "a\"b\\c", "\n\t\x01", "é€😀", "/", "\x7f"})
        EXPECT_EQ(json(dump_json(Value(text))).as_text(), text);
    EXPECT_EQ(dump_json(Value(std::string("\xff"))), "\"\xEF\xBF\xBD\"");
    EXPECT_EQ(dump_json(Value::word("7")), "7");
    EXPECT_EQ(dump_json(Value::word("a b")), "\"a b\"");
}

TEST(Value, PrettyJsonIsTheSameValue) {
    const Value value = json(R"({"a":[1,{"b":[]},{}],"c":"d"})");
    EXPECT_EQ(json(pretty_json(value)), value);
    EXPECT_THAT(pretty_json(value), HasSubstr("\n  \"a\": [\n    1,"));
}

TEST(Value, JsonThatIsNoneSaysWhere) {
    EXPECT_THAT(why("{\"a\":1,}"), HasSubstr("not JSON at byte 8"));
    EXPECT_THAT(why(""), HasSubstr("not JSON at byte 1"));
    EXPECT_THAT(why("{} {}"), HasSubstr("not JSON"));
    EXPECT_THAT(why("\"\xff\""), HasSubstr("not JSON"));
    EXPECT_THAT(why("[1,36893488147419103232]"), HasSubstr("36893488147419103232 is too large"));
}

TEST(Value, JsonLimitsHold) {
    EXPECT_EQ(why("[[[1]]]", {.max_depth = 3}), "accepted");
    EXPECT_EQ(why("[[[[1]]]]", {.max_depth = 3}), "nested deeper than 3");
    EXPECT_EQ(why("[1,2,3]", {.max_values = 4}), "accepted");
    EXPECT_EQ(why("[1,2,3,4]", {.max_values = 4}), "more than 4 values");
    EXPECT_EQ(why("[1, 2]", {.max_bytes = 5}), "the text is longer than 5 bytes");
    EXPECT_EQ(why(std::string(100'000, '[')), "nested deeper than 32");
}

}  // namespace
}  // namespace weir::model
