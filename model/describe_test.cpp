#include "model/describe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_random.hpp"
#include "model/test_support.hpp"

namespace weir::model {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

enum class Action : std::uint8_t { none = 0, allow, drop };
constexpr auto enum_names(Action) {
    return std::array<std::pair<Action, std::string_view>, 2>{
        {{Action::allow, "allow"}, {Action::drop, "drop"}}};
}

// A type with a notation of its own: "80" or "80-90".
struct PortRange {
    std::uint16_t first = 0, last = 0;
    static constexpr std::string_view notation = "80 or 8000-8080";
    static constexpr bool takes_numbers = true;
    static Result<PortRange> parse(std::string_view text) {
        const std::size_t dash = text.find('-');
        const int first = std::atoi(std::string(text.substr(0, dash)).c_str());
        const int last = dash == text.npos ? first : std::atoi(text.data() + dash + 1);
        if (first < 1 || last < first || last > 65535) return invalid({}, "is no range of ports");
        return PortRange{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
    }
    static PortRange arbitrary(std::uint64_t bits) {
        return {static_cast<std::uint16_t>(1 + bits % 100), static_cast<std::uint16_t>(200)};
    }
    std::string text() const { return std::to_string(first) + "-" + std::to_string(last); }
    friend bool operator==(const PortRange&, const PortRange&) = default;
};

struct Match {
    std::vector<PortRange> ports;
    std::vector<std::uint16_t> numbers;
    std::int32_t offset = -1;

    static constexpr auto schema() {
        return structure("What a rule is about.", field(&Match::ports, "ports", "Ports."),
                         field(&Match::numbers, "numbers", "Numbers.", 1, 9999).count(0, 3),
                         field(&Match::offset, "offset", "Offset.", -5, -1));
    }
};

struct Rule {
    std::string name;
    std::uint16_t priority = 1000;
    Action action = Action::none;
    bool log = false;
    std::uint64_t serial = 0;
    std::string note;
    std::vector<Match> matches;
    Match best{{}, {7}, -1};
    Ref<Rule> parent;
    std::vector<Ref<Segment>> segments;
    net::Prefix prefix;
    std::vector<HostAddress> feet;

    static constexpr auto schema() {
        return resource(
            "rule", "Allows or denies.",  //
            key(&Rule::name, "name", "Unique."),
            field(&Rule::priority, "priority", "Order.", 1, 9999),
            field(&Rule::action, "action", "Verdict.").required(), field(&Rule::log, "log", "Log."),
            field(&Rule::serial, "serial", "Serial."),
            field(&Rule::note, "note", "Note.", 0, 10).unit("words"),
            field(&Rule::matches, "matches", "Matches."), field(&Rule::best, "best", "Best match."),
            field(&Rule::parent, "parent", "Parent."),
            field(&Rule::segments, "segments", "Segments."),
            field(&Rule::prefix, "prefix", "Prefix."), field(&Rule::feet, "feet", "Addresses."));
    }
};
static_assert(Resource<Rule> && Structure<Match> && Textual<PortRange> && !Structure<Rule>);

const Registry& registry() {
    static const Registry made = [] {
        Registry r;
        add_core_kinds(r);
        r.add<Rule>();
        return r;
    }();
    return made;
}

// The problems of one rule; `out` is set if there are none.
std::vector<std::string> decode_tree(const Value& value, Rule* out = nullptr) {
    Snapshot snapshot;
    Errors errors;
    const bool put = registry().kind("rule")->put(snapshot, value, errors);
    EXPECT_EQ(put, errors.empty());
    EXPECT_EQ(snapshot.size(), put ? 1u : 0u);
    if (put && out) *out = snapshot.all<Rule>().begin()->second;
    return texts(errors);
}
std::vector<std::string> decode(std::string_view text, Rule* out = nullptr) {
    return decode_tree(json(text), out);
}

TEST(Describe, DefaultsAreTheInitialisers) {
    Rule rule;
    ASSERT_THAT(decode(R"({"name":"web","action":"allow"})", &rule), ElementsAre());
    EXPECT_EQ(rule.priority, 1000);
    EXPECT_EQ(rule.best.numbers, std::vector<std::uint16_t>{7});
    EXPECT_FALSE(rule.log);
}

TEST(Describe, NotationsThatMayBeNumbersTakeThem) {
    Rule rule;
    ASSERT_THAT(
        decode(R"({"name":"web","action":"allow","matches":[{"ports":[80,"90-99"]}]})", &rule),
        ElementsAre());
    ASSERT_EQ(rule.matches.at(0).ports.size(), 2u);
    EXPECT_EQ(rule.matches[0].ports[0], (PortRange{80, 80}));
    EXPECT_EQ(rule.matches[0].ports[1], (PortRange{90, 99}));
    EXPECT_THAT(decode(R"({"name":"web","action":"allow","matches":[{"ports":[70000]}]})"),
                ElementsAre("rule/web: matches[0].ports[0]: is no range of ports"));
    EXPECT_THAT(decode(R"({"name":"web","action":"allow","matches":[{"ports":[8.5]}]})"),
                ElementsAre(testing::HasSubstr("matches[0].ports[0]: expected text")));
    EXPECT_THAT(decode(R"({"name":"web","action":"allow","prefix":10})"),
                ElementsAre("rule/web: prefix: expected text, found a number"));
}

TEST(Describe, ReadsEverySortOfField) {
    Rule rule;
    ASSERT_THAT(decode(R"({"name":"web","action":"drop","priority":9999,"log":true,
                           "serial":18446744073709551615,"note":"été",
                           "matches":[{"ports":["80","90-99"]},{"numbers":[1,2],"offset":-5}],
                           "parent":"base","segments":["blue","red"],"prefix":"10.0.0.0/8",
                           "feet":["10.0.0.1/24","fe80::1/64"]})",
                       &rule),
                ElementsAre());
    EXPECT_EQ(rule.action, Action::drop);
    EXPECT_EQ(rule.serial, ~std::uint64_t{0});
    EXPECT_THAT(rule.matches.at(0).ports, ElementsAre(PortRange{80, 80}, PortRange{90, 99}));
    EXPECT_EQ(rule.matches.at(1).offset, -5);
    EXPECT_EQ(rule.parent.name, "base");
    EXPECT_EQ(rule.segments.at(1).name, "red");
    EXPECT_EQ(rule.feet.at(0).network().text(), "10.0.0.0/24");
    EXPECT_EQ(rule.feet.at(0).text(), "10.0.0.1/24");
}

TEST(Describe, NamesObjectFieldAndReasonOfEveryError) {
    EXPECT_THAT(
        decode(R"({"name":"web","action":"maybe","priority":0,"log":"yes","note":"01234567890",
                   "matches":[{"numbers":[3,0]},{"port":1}],"best":{"numbers":[1,2,3,4]},
                   "segments":["Blue"],"prefix":"10.0.0.1/8","serial":-1})"),
        UnorderedElementsAre("rule/web: action: \"maybe\" is none of allow, drop",
                             "rule/web: priority: 0 is below 1",
                             "rule/web: log: expected true or false, found \"yes\"",
                             "rule/web: note: has 11 bytes, more than 10",
                             "rule/web: matches[0].numbers[1]: 0 is below 1",
                             "rule/web: matches[1].\"port\": is unknown; did you mean ports?",
                             "rule/web: best.numbers: has 4 entries, more than 3",
                             testing::StartsWith("rule/web: segments[0]: \"Blue\" is no name"),
                             testing::StartsWith("rule/web: prefix: "),
                             "rule/web: serial: -1 is below 0"));
}

TEST(Describe, IntegersAreHeldToFieldAndType) {
    auto with = [](const std::string& member) {
        return decode(R"({"name":"a","action":"drop",)" + member + "}");
    };
    EXPECT_THAT(with("\"priority\":10000"), ElementsAre("rule/a: priority: 10000 is above 9999"));
    EXPECT_THAT(with("\"priority\":70000"), ElementsAre("rule/a: priority: 70000 is above 9999"));
    EXPECT_THAT(with("\"priority\":-1"), ElementsAre("rule/a: priority: -1 is below 1"));
    EXPECT_THAT(with("\"priority\":1.0"),
                ElementsAre("rule/a: priority: expected an integer, found a number"));
    EXPECT_THAT(with("\"priority\":\"1\""),
                ElementsAre("rule/a: priority: expected an integer, found \"1\""));
    EXPECT_THAT(with("\"best\":{\"offset\":0}"), ElementsAre("rule/a: best.offset: 0 is above -1"));
    EXPECT_THAT(with("\"best\":{\"offset\":-6}"),
                ElementsAre("rule/a: best.offset: -6 is below -5"));
    EXPECT_THAT(with("\"best\":{\"offset\":-5}"), ElementsAre());
}

TEST(Describe, RequiredFieldsMustBeThereAndSaySomething) {
    EXPECT_THAT(decode("{}"),
                UnorderedElementsAre("rule/?: name: is missing", "rule/?: action: is missing"));
    EXPECT_THAT(decode(R"({"name":"","action":null})"),
                UnorderedElementsAre("rule/\"\": name: must not be empty",
                                     "rule/\"\": action: is missing"));
}

TEST(Describe, RefusesNamesThatCannotBeKeys) {
    for (const std::string name : {"A", "-a", "a-", "a_b", "a/b", "ü", "."}) {
        Value value = json(R"({"action":"drop"})");
        value.set("name", name);
        EXPECT_EQ(decode_tree(value).size(), 1u) << name;
    }
    Value value = json(R"({"action":"drop"})");
    value.set("name", std::string(64, 'a'));
    EXPECT_THAT(decode_tree(value), ElementsAre(testing::HasSubstr("longer than 63 bytes")));
    value.set("name", std::string(63, 'a'));
    EXPECT_THAT(decode_tree(value), ElementsAre());
    value.set("name", "a.b-c9");
    EXPECT_THAT(decode_tree(value), ElementsAre());
}

TEST(Describe, RefusesAMemberWrittenTwice) {
    EXPECT_THAT(decode(R"({"name":"a","action":"drop","log":true,"log":false})"),
                ElementsAre("rule/a: log: is written twice"));
    EXPECT_THAT(decode(R"({"name":"a","action":"drop","best":{"ports":[],"ports":[]}})"),
                ElementsAre("rule/a: best.ports: is written twice"));
}

TEST(Describe, WordsTakeTheTypeOfTheField) {
    Value value = Value::object();
    for (auto [key, word] : {std::pair{"name", "7"},
                             {"action", "drop"},
                             {"priority", "10"},
                             {"log", "yes"},
                             {"note", "no"},
                             {"segments", "blue,red"}})
        value.set(key, Value::word(word));
    Rule rule;
    ASSERT_THAT(decode_tree(value, &rule), ElementsAre());
    EXPECT_EQ(rule.name, "7");
    EXPECT_EQ(rule.priority, 10);
    EXPECT_TRUE(rule.log);
    EXPECT_EQ(rule.note, "no");
    EXPECT_EQ(rule.segments.size(), 2u);
}

TEST(Describe, TextsMustBeUtf8) {
    Value value = json(R"({"name":"a","action":"drop"})");
    value.set("note", "\xc3\x28");
    EXPECT_THAT(decode_tree(value), ElementsAre("rule/a: note: is not valid UTF-8 text"));
    value.set("note", std::string("a\0b", 3));
    EXPECT_THAT(decode_tree(value), ElementsAre("rule/a: note: is not valid UTF-8 text"));
    for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\x80", "\xe2\x82"})
        EXPECT_FALSE(is_utf8(bad));
    EXPECT_TRUE(is_text("a é € 😀"));
    for (const char* noncharacter : {"\xef\xbf\xbe", "a\xf0\x9f\xbf\xbf", "\xef\xb7\x90"})
        EXPECT_FALSE(is_text(noncharacter));
}

TEST(Describe, CollectsUpToTwentyErrorsAndCountsTheRest) {
    Value value = json(R"({"name":"a","action":"drop"})");
    for (int i = 0; i < 50; ++i) value.set("x" + std::to_string(i), 1);
    Errors errors;
    Snapshot snapshot;
    registry().kind("rule")->put(snapshot, value, errors);
    EXPECT_EQ(errors.list().size(), max_errors);
}

TEST(Describe, RandomResourcesSurviveJsonAndYaml) {
    random::Engine engine(3);
    const Kind& kind = *registry().kind("rule");
    for (int i = 0; i < 1500; ++i) {
        Snapshot before, from_json, from_yaml;
        const Rule rule = random::fields<Rule>(engine);
        before.put(rule);
        const Value value = kind.encode(before, rule.name);
        Errors errors;
        kind.put(from_json, json(dump_json(value)), errors);
        put_documents(registry(), parse_documents(dump_documents({{"rule", value}}), errors),
                      from_yaml, errors);
        ASSERT_TRUE(errors.empty()) << texts(errors).front() << "\n" << dump_json(value);
        EXPECT_TRUE(kind.equal(before, from_json, rule.name)) << dump_json(value);
        EXPECT_TRUE(kind.equal(before, from_yaml, rule.name)) << dump_json(value);
        EXPECT_EQ(kind.encode(from_yaml, rule.name), value);
    }
}

TEST(Describe, EveryDifferenceOfAFieldIsSeen) {
    random::Engine engine(5);
    const Kind& kind = *registry().kind("rule");
    int differing = 0;
    for (int i = 0; i < 500; ++i) {
        Snapshot a, b;
        Rule left = random::fields<Rule>(engine), right = random::fields<Rule>(engine);
        left.name = right.name = "a";
        a.put(left);
        b.put(right);
        const bool same_text = dump_json(kind.encode(a, "a")) == dump_json(kind.encode(b, "a"));
        EXPECT_EQ(kind.equal(a, b, "a"), same_text);
        differing += !same_text;
    }
    EXPECT_GT(differing, 400);
}

TEST(Describe, TellsWhatAFieldIsWithoutItsType) {
    const Kind& kind = *registry().kind("rule");
    ASSERT_EQ(kind.fields().size(), 12u);
    EXPECT_TRUE(kind.fields()[0].is_key);
    EXPECT_EQ(kind.fields()[1].max, 9999u);
    EXPECT_EQ(kind.fields()[1].fallback, Value(1000));
    EXPECT_THAT(kind.fields()[2].choices, ElementsAre("allow", "drop"));
    EXPECT_EQ(kind.fields()[4].max, ~std::uint64_t{0});
    EXPECT_EQ(kind.fields()[5].unit, "words");
    EXPECT_TRUE(kind.fields()[6].is_list);
    EXPECT_EQ(kind.fields()[6].fields.size(), 3u);
    EXPECT_EQ(kind.fields()[6].fields[0].notation, "80 or 8000-8080");
    EXPECT_EQ(kind.fields()[8].target_kind, "rule");
    EXPECT_EQ(kind.fields()[10].notation, "prefix");
}

TEST(Describe, ReferencesAreFoundAtTheirPlace) {
    Snapshot snapshot;
    Rule rule;
    rule.name = "web";
    rule.action = Action::drop;
    rule.parent = "base";
    rule.segments = {"blue", "red"};
    snapshot.put(rule);
    std::vector<std::string> found;
    for (const Reference& r : registry().kind("rule")->references(snapshot, "web"))
        found.push_back(r.object + " " + r.field + " " + r.target_kind + "/" + r.target_name);
    EXPECT_THAT(found, ElementsAre("rule/web parent rule/base", "rule/web segments[0] segment/blue",
                                   "rule/web segments[1] segment/red"));
}

TEST(Registry, FindsKindsByName) {
    EXPECT_EQ(registry().kind("nothing"), nullptr);
    std::vector<std::string> names;
    for (const Kind* kind : registry().kinds()) names.emplace_back(kind->name());
    EXPECT_THAT(names,
                ElementsAre("flow-limits", "flow-timeouts", "group", "host", "move", "port",
                            "router", "rule", "segment", "service-segment"));
}

TEST(RegistryDeathTest, RefusesTwoKindsOfOneName) {
    EXPECT_DEATH(
        {
            Registry r;
            r.add<Rule>();
            r.add<Rule>();
        },
        "two kinds of one name");
}

}  // namespace
}  // namespace weir::model
