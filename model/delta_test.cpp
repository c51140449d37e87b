#include "model/delta.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/canonical.hpp"
#include "model/test_random.hpp"
#include "model/test_support.hpp"

namespace weir::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Snapshot read(std::string_view yaml, std::uint64_t revision) {
    Snapshot snapshot;
    Errors errors;
    put_documents(core(), parse_documents(yaml, errors), snapshot, errors);
    EXPECT_THAT(texts(errors), IsEmpty());
    snapshot.revision = revision;
    return snapshot;
}

std::string content(const Snapshot& snapshot) {
    return encode_canonical(core(), snapshot);
}

TEST(Delta, HoldsWhatDiffersAndNothingElse) {
    const Snapshot base = read(R"([{kind: segment, name: blue, vni: 1}, {kind: segment, name: red,
        vni: 2}, {kind: group, name: web}])",
                               4);
    const Snapshot target = read(R"([{kind: segment, name: blue, vni: 1}, {kind: segment, name: red,
        vni: 3}, {kind: segment, name: new, vni: 4}])",
                                 7);
    const Delta delta = diff(core(), base, target);
    EXPECT_EQ(delta.base_revision, 4u);
    EXPECT_EQ(delta.target_revision, 7u);
    ASSERT_EQ(delta.puts.size(), 2u);
    EXPECT_EQ(delta.puts[0].fields["name"], Value("new"));
    EXPECT_EQ(delta.puts[1].fields["vni"], Value(3));
    EXPECT_THAT(delta.deletes, ElementsAre(ResourceKey{"group", "web"}));
    EXPECT_TRUE(diff(core(), base, base).empty());
}

TEST(Delta, AppliedToItsBaseGivesItsTarget) {
    random::Engine engine(23);
    for (int i = 0; i < 150; ++i) {
        Snapshot base = random::snapshot(engine, 40);
        Snapshot target = i % 2 ? random::snapshot(engine, 40) : base;
        for (int k = 0; k < 5; ++k) target.put(random::fields<Port>(engine));
        base.revision = 5;
        target.revision = 6 + random::below(engine, 9);
        const auto delta = decode_delta(encode_delta(diff(core(), base, target)));
        ASSERT_TRUE(delta.ok()) << delta.error().text();
        const auto result = apply(core(), base, *delta);
        ASSERT_TRUE(result.ok()) << result.error().text();
        EXPECT_EQ(content(*result), content(target));
        EXPECT_EQ(result->revision, target.revision);
    }
}

TEST(Delta, RefusesAnotherBaseAndUnknownThings) {
    const Snapshot base = read("{kind: segment, name: blue, vni: 1}", 4);
    auto code_of = [&](const Delta& delta) { return apply(core(), base, delta).error().code; };
    EXPECT_EQ(code_of({3, 5, {}, {}}), Errc::conflict);
    EXPECT_EQ(code_of({4, 5, {}, {{"segment", "red"}}}), Errc::not_found);
    EXPECT_EQ(code_of({4, 5, {}, {{"colour", "red"}}}), Errc::not_found);
    EXPECT_EQ(code_of({4, 5, {{"segment", json(R"({"name":"red"})")}}, {}}), Errc::invalid);
}

TEST(Delta, TextThatIsNoDeltaIsRefused) {
    for (const char* text :
         {"", "[]", "{}", R"({"base_revision":-1,"target_revision":2,"puts":[],"deletes":[]})",
          R"({"base_revision":1,"target_revision":2,"puts":{},"deletes":[]})",
          R"({"base_revision":1,"target_revision":2,"puts":[7],"deletes":[]})",
          R"({"base_revision":1,"target_revision":2,"puts":[],"deletes":[{"kind":"a"}]})",
          R"({"base_revision":1,"target_revision":2,"puts":[]})"})
        EXPECT_FALSE(decode_delta(text).ok()) << text;
}

TEST(Changes, TellFieldByField) {
    const Snapshot before = read(R"(
[{kind: segment, name: blue, vni: 1}, {kind: segment, name: gone, vni: 9},
 {kind: port, name: g1, host: h1, segment: blue, mac: "02:00:00:00:00:01", labels: {a: x, b: y},
  device: {type: tap, interface: t1}}])",
                                 1);
    const Snapshot after = read(R"(
[{kind: segment, name: blue, vni: 1}, {kind: segment, name: new, vni: 7},
 {kind: port, name: g1, host: h1, segment: blue, mac: "02:00:00:00:00:01", labels: {a: z, c: y},
  device: {type: tap, interface: t2}, addresses: [10.0.0.1]}])",
                                2);
    std::vector<std::string> lines;
    for (const Change& change : changes(core(), before, after))
        lines.push_back(change_text(change));
    EXPECT_THAT(
        lines,
        ElementsAre("~ port/g1: labels.a \"x\" → \"z\", labels.b \"y\" → unset, labels.c unset → "
                    "\"y\", device.interface \"t1\" → \"t2\", addresses unset → [\"10.0.0.1\"]",
                    "- segment/gone", "+ segment/new"));
    EXPECT_THAT(changes(core(), after, after), IsEmpty());
}

TEST(Changes, LongValuesAreCutInTheTextOnly) {
    const Value before = json(R"({"a":[]})");
    Value after = Value::object();
    for (int i = 0; i < 100; ++i) after.set("a", Value(std::string(200, 'x') + "é"));
    const Change change{ChangeType::changed, {"k", "n"}, field_changes(before, after)};
    EXPECT_LT(change_text(change).size(), 200u);
    EXPECT_THAT(change_text(change), HasSubstr("…"));
    EXPECT_EQ(change.fields.at(0).after.as_text().size(), 202u);
}

TEST(Canonical, IsTheSameTextForTheSameContent) {
    const Snapshot one = read(R"([{kind: segment, name: red, vni: 2},
        {kind: group, name: web, labels: {b: y, a: x}}, {kind: segment, name: blue, vni: 1}])",
                              7);
    const Snapshot other = read(R"([{kind: group, labels: {a: x, b: y}, name: web},
        {kind: segment, name: blue, mtu: 1500, vni: 1}, {vni: 2, kind: segment, name: red}])",
                                7);
    EXPECT_EQ(content(one),
              R"({"revision":7,"resources":{"group":{"web":{"labels":{"a":"x","b":"y"},)"
              R"("name":"web"}},"segment":{"blue":{"mtu":1500,"name":"blue","vni":1},)"
              R"("red":{"mtu":1500,"name":"red","vni":2}}}})");
    EXPECT_EQ(content(one), content(other));
    EXPECT_EQ(content(Snapshot{}), R"({"revision":0,"resources":{}})");
}

TEST(Canonical, DecodesToEqualContent) {
    random::Engine engine(31);
    for (int i = 0; i < 150; ++i) {
        Snapshot before = random::snapshot(engine, 40);
        before.revision = engine() >> 1;
        const auto after = decode_canonical(core(), content(before));
        ASSERT_TRUE(after.ok()) << after.error().text();
        EXPECT_EQ(content(*after), content(before));
        EXPECT_THAT(changes(core(), before, *after), IsEmpty());
        EXPECT_EQ(digests(core(), before), digests(core(), *after));
    }
}

TEST(Canonical, RefusesWhatIsNoSnapshot) {
    auto why = [](std::string_view text) {
        const auto snapshot = decode_canonical(core(), text);
        return snapshot.ok() ? "accepted" : snapshot.error().text();
    };
    EXPECT_EQ(why(R"({"revision":1,"resources":{}})"), "accepted");
    EXPECT_THAT(why("{"), HasSubstr("not JSON"));
    EXPECT_EQ(why("{}"), "revision: expected a revision");
    EXPECT_EQ(why(R"({"revision":1})"), "resources: expected a map of kinds");
    EXPECT_EQ(why(R"({"revision":1,"resources":{"x":{}}})"), "x: is no kind of resource");
    EXPECT_EQ(why(R"({"revision":1,"resources":{"segment":[]}})"),
              "segment: expected a map of resources");
    EXPECT_EQ(why(R"({"revision":1,"resources":{"segment":{"a":{"name":"b","vni":1}}}})"),
              "segment/a: name: does not stand at its place");
    EXPECT_EQ(why(R"({"revision":1,"resources":{"segment":{"a":{"name":"a","vni":0}}}})"),
              "segment/a: vni: 0 is below 1");
    EXPECT_EQ(why(R"({"revision":1,"resources":{"segment":{"a":{"name":"a","vni":1},)"
                  R"("a":{"name":"a","vni":1}}}})"),
              "segment/a: is written twice");
}

TEST(Canonical, MaySkipKindsOfANewerProgram) {
    const auto snapshot = decode_canonical(
        core(), R"({"revision":1,"resources":{"x":{"y":{}},"segment":{"a":{"name":"a","vni":1}}}})",
        UnknownKinds::skip);
    ASSERT_TRUE(snapshot.ok());
    EXPECT_EQ(snapshot->size(), 1u);
}

TEST(Canonical, DigestsTellContentsApart) {
    EXPECT_EQ(digest("weir"), digest("weir"));
    EXPECT_EQ(digest(""), 0xefd01f60ba992926ull);  // the same in every process, run and version
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 100'000; ++i) seen.insert(digest("{\"vni\":" + std::to_string(i) + "}"));
    EXPECT_EQ(seen.size(), 100'000u);

    const Snapshot one =
        read("[{kind: segment, name: a, vni: 1}, {kind: segment, name: b, vni: 2}]", 1);
    Snapshot other = one;
    other.revision = 9;
    EXPECT_EQ(content_digest(core(), one), content_digest(core(), other));
    Segment changed = *other.find<Segment>("a");
    changed.mtu = 1499;
    other.put(changed);
    EXPECT_NE(content_digest(core(), one), content_digest(core(), other));
    const Kind& kind = *core().kind("segment");
    EXPECT_NE(digest(kind, one, "a"), digest(kind, other, "a"));
    EXPECT_EQ(digest(kind, one, "b"), digest(kind, other, "b"));
}

}  // namespace
}  // namespace weir::model
