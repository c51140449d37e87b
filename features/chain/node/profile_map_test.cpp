#include "features/chain/node/profile_map.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/feature.hpp"
#include "features/chain/testing/test_intent.hpp"
#include "features/chain/testing/test_nodes.hpp"

namespace weir::chain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// What the host of a node knows.
model::Snapshot planned(const model::Snapshot& intent, std::string_view host) {
    model::Snapshot out;
    plan(intent, host, out);
    return out;
}

std::vector<std::string> texts(const model::Snapshot& snapshot, const std::string& node) {
    std::vector<std::string> out;
    const auto maps = profile_maps(snapshot);
    const auto map = maps.find(node);
    if (map == maps.end()) return out;
    for (const auto& [key, profile] : map->second)
        out.push_back(std::to_string(key.sci) + (key.reverse ? " reverse " : " forward ") +
                      std::to_string(key.si) + " " + profile);
    return out;
}

// With its ports, as an engine gets it.
model::Snapshot configured(const model::Snapshot& intent) {
    model::Snapshot out = planned(intent, "h3");
    for (const auto& row : intent.all<model::Port>()) out.put(row.second);
    return out;
}

void add_profile(model::Snapshot& intent, const std::string& name) {
    ServiceProfile profile;
    profile.name = name;
    profile.service = model::Ref<Service>("fw");
    profile.attributes = {{"mode", "strict"}, {"quote", "a\"b\n"}};
    intent.put(profile);
}

TEST(ProfileMap, NamesTheProfileByChainDirectionAndIndex) {
    const model::Snapshot intent = test::two_services();  // forward: fw, ids; replies inverted
    const model::Snapshot h3 = planned(intent, "h3");
    EXPECT_THAT(texts(h3, "n1"), ElementsAre("1 forward 2 fw-default", "1 reverse 1 fw-default"));
    EXPECT_THAT(texts(h3, "n6"), ElementsAre("1 forward 1 ids-default", "1 reverse 2 ids-default"));
    EXPECT_THAT(texts(h3, "n9"), IsEmpty());
}

TEST(ProfileMap, FollowsTheProfileThatTheChainNames) {
    model::Snapshot intent = test::two_services();
    add_profile(intent, "fw-strict");
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.forward[0] = "fw-strict"; });
    const model::Snapshot h3 = planned(intent, "h3");
    EXPECT_THAT(texts(h3, "n1"), ElementsAre("1 forward 2 fw-strict", "1 reverse 1 fw-strict"));
    const std::string text = profile_map_text(h3, "n1", profile_maps(h3)["n1"]);
    EXPECT_THAT(text, HasSubstr(R"({"sci":1,"direction":"forward","si":2,"profile":"fw-strict",)"
                                R"("action":"redirect","attributes":{"mode":"strict",)"
                                R"("quote":"a\"b\u000a"}})"));
    EXPECT_THAT(profile_map_text(h3, "n9", {}), HasSubstr(R"({"node":"n9","profiles":[]})"));
}

TEST(ProfileMap, RepliesMayHaveProfilesOfTheirOwn) {
    model::Snapshot intent = test::two_services();
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.reverse = {"fw-default"}; });
    const model::Snapshot h3 = planned(intent, "h3");
    EXPECT_THAT(texts(h3, "n1"), ElementsAre("1 forward 2 fw-default", "1 reverse 1 fw-default"));
    EXPECT_THAT(texts(h3, "n6"), ElementsAre("1 forward 1 ids-default"));
}

// CP-2: a path that lingers has packets under way; what its chain says today counts for more.
TEST(ProfileMap, KnowsPathsThatLinger) {
    model::Snapshot intent = test::two_services();
    const model::Snapshot before = planned(intent, "h3");
    add_profile(intent, "fw-strict");
    add_profile(intent, "fw-loose");
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) {
        c.forward = {model::Ref<ServiceProfile>("fw-strict"),
                     model::Ref<ServiceProfile>("ids-default")};
        c.reverse = {model::Ref<ServiceProfile>("fw-loose")};  // other paths from now on
    });
    model::Snapshot both = planned(intent, "h3");
    for (const auto& [name, path] : before.all<ServicePath>()) both.put(path);
    EXPECT_THAT(texts(both, "n1"), ElementsAre("1 forward 2 fw-strict", "1 reverse 1 fw-loose"));
    const auto of_n6 = ElementsAre("1 forward 1 ids-default", "1 reverse 2 ids-default");
    EXPECT_THAT(texts(both, "n6"), of_n6)
        << "nobody else says what index 2 of replies means";
    both.erase<ServiceChain>("c1");
    EXPECT_THAT(texts(both, "n6"), of_n6);
}

// What the host of n1 and n6 writes into files for them.
std::vector<std::string> told(test::World& w) {
    model::Value rows = model::Value::array();
    FromNode::files(*w.engine.from_tables, rows);
    std::vector<std::string> out;
    for (const model::Value& row : rows.items()) {
        EXPECT_EQ(row["folder"].as_text(), "nodes");
        EXPECT_THAT(row["text"].as_text(), HasSubstr("\"node\":\"" + row["name"].as_text()));
        out.push_back(row["text"].as_text());
    }
    return out;
}

TEST(ProfileMap, IsToldOnceForEveryNodeThatIsHereAndFollowsChanges) {
    model::Snapshot intent = test::node_intent();
    test::World w(2, configured(intent));
    const std::vector<std::string> before = told(w);
    ASSERT_EQ(before.size(), 2u);
    EXPECT_THAT(before[0], HasSubstr(R"("si":2,"profile":"fw-default")"));
    EXPECT_THAT(before[1], HasSubstr(R"("si":1,"profile":"ids-default")"));
    add_profile(intent, "fw-strict");
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.forward[0] = "fw-strict"; });
    const auto digest = w.engine.from_tables->digest;
    w.engine.publish(configured(intent));
    const std::vector<std::string> after = told(w);
    ASSERT_EQ(after.size(), 2u);
    EXPECT_THAT(after[0], HasSubstr(R"("si":2,"profile":"fw-strict")"));
    EXPECT_THAT(after[0], Not(HasSubstr("fw-default")));
    EXPECT_EQ(after[1], before[1]);
    EXPECT_EQ(w.engine.from_tables->digest, digest) << "to packets it is the same node";
}

}  // namespace
}  // namespace weir::chain
