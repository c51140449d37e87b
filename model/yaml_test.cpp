#include "model/yaml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_random.hpp"
#include "model/test_support.hpp"

namespace weir::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string why(std::string_view text, const TextLimits& limits = {}) {
    const auto values = parse_yaml(text, limits);
    return values.ok() ? "accepted" : values.error().message;
}

std::vector<std::string> kinds_and_names(std::string_view text) {
    Errors errors;
    std::vector<std::string> out;
    for (const Document& document : parse_documents(text, errors))
        out.push_back(document.kind + "/" + document.fields["name"].as_text());
    EXPECT_THAT(texts(errors), IsEmpty());
    return out;
}

TEST(Yaml, ReadsStreamsListsAndResources) {
    EXPECT_THAT(kinds_and_names("kind: segment\nname: a\n---\nkind: host\nname: b\n---\n"),
                ElementsAre("segment/a", "host/b"));
    EXPECT_THAT(kinds_and_names("- {kind: segment, name: a}\n- {kind: host, name: b}\n"),
                ElementsAre("segment/a", "host/b"));
    EXPECT_THAT(kinds_and_names("resources:\n- {kind: segment, name: a}\n---\nresources:\n"),
                ElementsAre("segment/a"));
    EXPECT_THAT(kinds_and_names(R"({"resources":[{"kind":"segment","name":"a"}]})"),
                ElementsAre("segment/a"));
    EXPECT_THAT(kinds_and_names(""), IsEmpty());
    EXPECT_THAT(kinds_and_names("# nothing\n"), IsEmpty());
}

TEST(Yaml, FieldsTakeTheTypeTheDescriptionSays) {
    Snapshot snapshot;
    EXPECT_THAT(problems(R"(
kind: host
name: 1
id: 7
tunnel_address: 192.0.2.1
---
kind: segment
name: blue
vni: 100
tenant: no
---
kind: port
name: g1
host: 1
segment: blue
mac: 02:00:00:00:00:01
addresses: [10.0.0.1, "2001:db8::1"]
labels: {tier: 1, "yes": yes, none: ""}
spoof_guard: no
device:
  type: tap
  interface: tap0
)",
                         &snapshot),
                IsEmpty());
    EXPECT_EQ(snapshot.find<Segment>("blue")->tenant, "no");
    const Port& port = *snapshot.find<Port>("g1");
    EXPECT_FALSE(port.spoof_guard);
    EXPECT_EQ(port.host.name, "1");
    EXPECT_EQ(port.labels, (Labels{{"tier", "1"}, {"yes", "yes"}, {"none", ""}}));
}

TEST(Yaml, ErrorsNameTheLine) {
    EXPECT_THAT(problems("kind: segment\nname: blue\nvni: 0\n---\nkind: segment\nname: red\n"
                         "vni: 2\ncolour: x\n"),
                ElementsAre("segment/blue: vni: 0 is below 1 (line 3)",
                            "segment/red: \"colour\": is unknown (line 8)"));
    EXPECT_THAT(problems("name: a\n"), ElementsAre("?/a: kind: is missing (line 1)"));
    EXPECT_THAT(problems("\n- 7\n"), ElementsAre(HasSubstr("expected a resource, found a word")));
    EXPECT_THAT(problems("kind: colour\nname: red"),
                ElementsAre("colour/red: kind: \"colour\" is no kind of resource (line 1)"));
    EXPECT_THAT(problems("kind: segment\nname: a\nvni: 1\n---\nkind: segment\nname: a\nvni: 2\n"),
                ElementsAre("segment/a: is written twice (line 5)"));
    EXPECT_THAT(problems("kind: segment\nkind: host\nname: a\nvni: 1"),
                ElementsAre("segment/a: kind: is written twice (line 2)"));
    EXPECT_THAT(problems("resources: []\nother: 1\n"),
                ElementsAre(HasSubstr("nothing may stand beside it")));
    EXPECT_THAT(problems("resources: x\n"), ElementsAre(HasSubstr("expected a list")));
}

TEST(Yaml, WhatIsNoYamlIsRefusedWithTheLine) {
    EXPECT_THAT(why("a: b: c"), HasSubstr("(line 1)"));
    EXPECT_THAT(why("a: 1\n\tb: 2"), HasSubstr("not YAML"));
    EXPECT_THAT(why("\"open"), HasSubstr("not YAML"));
    EXPECT_THAT(why("[1, 2"), HasSubstr("not YAML"));
    EXPECT_THAT(why("{a: b}}"), HasSubstr("not YAML"));
    EXPECT_THAT(why("{a: b}\n, c: d"), HasSubstr("nothing may follow here (line 2)"));
    EXPECT_EQ(why("---\n---\n---\na: 1\n...\n---\n"), "accepted");
    EXPECT_THAT(why("a: !!int 7"), HasSubstr("is not supported (line 1)"));
    EXPECT_THAT(why("a: *b"), HasSubstr("not YAML"));
    EXPECT_THAT(why("? [a]\n: b"), HasSubstr("a key must be text"));
    EXPECT_THAT(why("a: \xff"), HasSubstr("not valid UTF-8"));
    EXPECT_THAT(why(std::string_view("a: \0b", 5)), HasSubstr("not valid UTF-8"));
}

TEST(Yaml, AliasesUnfoldAndCount) {
    const auto values = parse_yaml("a: &x [1, 2]\nb: *x\n");
    ASSERT_TRUE(values.ok());
    EXPECT_EQ((*values)[0]["b"].size(), 2u);
    EXPECT_THAT(why("a: &x [*x]"), HasSubstr("(line 1)"));

    std::string bomb = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        const std::string before = "*l" + std::to_string(i - 1);
        bomb += "l" + std::to_string(i) + ": &l" + std::to_string(i) + " [" + before;
        for (int k = 0; k < 9; ++k) bomb += ", " + before;
        bomb += "]\n";
    }
    EXPECT_THAT(why(bomb, {.max_values = 100'000}), HasSubstr("more than 100000 values (line 5)"));
}

TEST(Yaml, LimitsHold) {
    EXPECT_EQ(why("[[[1]]]", {.max_depth = 3}), "accepted");
    EXPECT_EQ(why("[[[[1]]]]", {.max_depth = 3}), "nested deeper than 3 (line 1)");
    EXPECT_EQ(why("a: &x [[1]]\nb: [[*x]]", {.max_depth = 4}), "nested deeper than 4 (line 2)");
    EXPECT_THAT(why("a: [1, 2, 3]", {.max_values = 5}), HasSubstr("more than 5 values"));
    EXPECT_THAT(why("abcdef", {.max_bytes = 5}), HasSubstr("longer than 5 bytes"));
    EXPECT_EQ(why(std::string(100'000, '[')), "nested deeper than 32 (line 1)");
    std::string many = "resources:\n";
    for (std::size_t i = 0; i <= max_resources; ++i) many += "- {kind: a}\n";
    Errors errors;
    parse_documents(many, errors);
    ASSERT_EQ(errors.found(), 1u);
    EXPECT_EQ(errors.list()[0].code, Errc::limit);
}

TEST(Yaml, TextsThatLookLikeSomethingElseStayTexts) {
    for (const char* text :
         {"",    "7",   "1.5",  "true", "null", "~",   "no",  " a ",       "a: b",
          "- a", "#x",  "a\nb", "*a",   "&a",   "!a",  "'",   "\"",        "é",
          "{a}", "a,b", "@",    "%",    "`",    "---", "...", "a\n---\nb", "\t"}) {
        Value value = Value::object();
        value.set("k", text);
        const auto read = parse_yaml(dump_yaml(value));
        ASSERT_TRUE(read.ok()) << dump_yaml(value) << read.error().text();
        ASSERT_EQ(read->size(), 1u) << dump_yaml(value);
        EXPECT_EQ((*read)[0]["k"].resolved(), Value(text)) << dump_yaml(value);
    }
}

// Texts of marks that mean something somewhere in YAML, as values, entries and keys.
TEST(Yaml, AnyTextSurvivesTheWayOutAndIn) {
    static const std::string_view marks[] = {"a",
                                             "0",
                                             " ",
                                             "\n",
                                             "\t",
                                             "\r",
                                             "-",
                                             "---",
                                             "...",
                                             ":",
                                             ": ",
                                             "#",
                                             " #",
                                             "'",
                                             "\"",
                                             "\\",
                                             "!",
                                             "&",
                                             "*",
                                             "[",
                                             "]",
                                             "{",
                                             "}",
                                             ",",
                                             "?",
                                             "? ",
                                             "|",
                                             ">",
                                             "%",
                                             "@",
                                             "`",
                                             "~",
                                             "null",
                                             "\x7f",
                                             "\xc2\x85",
                                             "=",
                                             "<<",
                                             "- ",
                                             ".",
                                             "é",
                                             "😀",
                                             "1e5",
                                             "true",
                                             "0x1",
                                             ".inf",
                                             "\x01 \x1b",
                                             "\xe2\x80\xa8",
                                             "\xef\xbb\xbf"};
    random::Engine engine(23);
    for (int i = 0; i < 20000; ++i) {
        std::string text;
        for (std::uint64_t k = random::below(engine, 5); k > 0; --k)
            text += marks[random::below(engine, std::size(marks))];
        Value entry = Value::object();
        entry.set(text, text);
        Value list = Value::array();
        list.push(text);
        list.push(entry);
        Value value = Value::object();
        value.set("list", list);
        value.set(text + "x", text);
        value.set(text, "v");
        const auto read = parse_yaml(dump_yaml(value));
        ASSERT_TRUE(read.ok()) << dump_yaml(value) << read.error().text();
        ASSERT_EQ(read->size(), 1u) << dump_yaml(value);
        ASSERT_EQ(dump_json(read->front()), dump_json(value)) << dump_yaml(value);
    }
}

TEST(Yaml, SnapshotsSurviveTheWayOutAndIn) {
    random::Engine engine(17);
    for (int i = 0; i < 100; ++i) {
        const Snapshot before = random::snapshot(engine, 30);
        Snapshot after;
        Errors errors;
        put_documents(core(), parse_documents(dump_documents(documents_of(core(), before)), errors),
                      after, errors);
        ASSERT_THAT(texts(errors), IsEmpty());
        EXPECT_EQ(after.size(), before.size());
        for (const Kind* kind : core().kinds())
            for (const std::string& name : kind->names(before))
                EXPECT_TRUE(kind->equal(before, after, name)) << kind->name() << "/" << name;
    }
}

}  // namespace
}  // namespace weir::model
