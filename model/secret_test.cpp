#include "model/secret.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/delta.hpp"
#include "model/test_support.hpp"

namespace weir::model {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view key_a = "000102030405060708090a0b0c0d0e0f";
constexpr std::string_view key_b = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

std::string segment(std::string_view keys) {
    return "{kind: service-segment, name: plane, svni: 9, auth_keys: [" + std::string(keys) + "]}";
}
std::string key(int id, std::string_view secret) {
    return "{id: " + std::to_string(id) + ", secret: \"" + std::string(secret) + "\"}";
}
const Kind& kind() {
    return *core().kind("service-segment");
}
Value stored(std::string_view yaml) {
    Snapshot snapshot;
    EXPECT_EQ(problems(yaml, &snapshot), std::vector<std::string>{});
    return kind().encode(snapshot, "plane");
}
Value written(const std::string& yaml) {
    Errors errors;
    return parse_documents(yaml, errors).at(0).fields;
}
std::string secret_of(const Value& fields, std::size_t at) {
    return fields["auth_keys"].items().at(at)["secret"].as_text();
}

TEST(Secret, IsWrittenInHexadecimal) {
    const auto parsed = Secret::parse("00010203 04050607");
    EXPECT_FALSE(parsed.ok());
    const auto good = Secret::parse("000102030405060708090A0B0C0D0E0F");
    ASSERT_TRUE(good.ok());
    EXPECT_EQ(good->text(), key_a);
    EXPECT_FALSE(Secret::parse("0001020304050607").ok()) << "64 bits are no key";
    EXPECT_FALSE(Secret::parse(std::string(130, '0')).ok());
    EXPECT_FALSE(Secret::parse("000102030405060708090a0b0c0d0e0").ok());
}

TEST(Secret, IsNeverQuoted) {
    const std::string bad = "deadbeefdeadbeefdeadbeefdeadbeefxx";
    for (const std::string& text : problems(segment(key(1, bad)))) {
        EXPECT_THAT(text, HasSubstr("auth_keys[0].secret"));
        EXPECT_THAT(text, Not(HasSubstr("deadbeef")));
    }
    EXPECT_EQ(problems(segment(key(1, bad))).size(), 1u);
}

TEST(Secret, IsHiddenWhereResourcesAreShown) {
    Value shown = stored(segment(key(1, key_a) + ", " + key(2, key_b)));
    EXPECT_EQ(secret_of(shown, 0), key_a) << "stores and hosts need it";
    hide_secrets(kind().fields(), shown);
    EXPECT_EQ(secret_of(shown, 0), Secret::hidden);
    EXPECT_EQ(secret_of(shown, 1), Secret::hidden);
    EXPECT_EQ(shown["svni"].as_uint(), 9u);
}

TEST(Secret, HiddenWrittenBackKeepsWhatIsStoredForThatKey) {
    const Value before = stored(segment(key(1, key_a) + ", " + key(2, key_b)));
    Value back = written(segment(key(2, "hidden") + ", " + key(3, "hidden")));
    fill_secrets(kind().fields(), before, back);
    EXPECT_EQ(secret_of(back, 0), key_b) << "matched by id, whatever the order";
    EXPECT_EQ(secret_of(back, 1), Secret::hidden) << "nothing is stored for key 3";
    EXPECT_THAT(problems(segment(key(3, "hidden"))).at(0), HasSubstr("write it"));
}

TEST(Secret, ChangesTellOfItWithoutShowingIt) {
    Snapshot before, after;
    problems(segment(key(1, key_a)), &before);
    problems(segment(key(1, key_b)), &after);
    const auto told = changes(core(), before, after);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_THAT(change_text(told[0]), HasSubstr("auth_keys"));
    EXPECT_THAT(change_text(told[0]), Not(HasSubstr("0001")));
    EXPECT_THAT(change_text(told[0]), Not(HasSubstr("f0f1")));
    const auto made = changes(core(), Snapshot(), before);
    ASSERT_EQ(made.size(), 1u);
    for (const FieldChange& field : made[0].fields)
        EXPECT_THAT(dump_json(field.after), Not(HasSubstr("0001")));
}

TEST(Secret, KeysOfOneSegmentHaveDifferentNumbers) {
    EXPECT_THAT(problems(segment(key(1, key_a) + ", " + key(1, key_b))).at(0), HasSubstr("id"));
}

}  // namespace
}  // namespace weir::model
