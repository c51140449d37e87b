#include <gtest/gtest.h>

#include "features/chain/feature.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/testing/test_intent.hpp"
#include "model/value.hpp"

namespace weir::chain {
namespace {

using model::Value;

// n1 on h3, n3 on h1, n6 (l2, two ports) on h3.
struct NodeStatusTest : ::testing::Test {
    Value event(const char* what, const char* node, std::uint32_t id) {
        Value made = Value::object();
        made.set("event", what);
        made.set("node", node);
        made.set("node_id", id);
        made.set("heard_s", now_s);
        return made;
    }
    bool says(const char* host, const char* what, const char* node = "n1", std::uint32_t id = 1) {
        return answer(event(what, node, id), host, intent, reported);
    }
    bool link(const char* host, const char* port, bool up) {
        Value made = Value::object();
        made.set("event", "port-link");
        made.set("port", port);
        made.set("up", up);
        return answer(made, host, intent, reported);
    }
    const ServiceNodeStatus* of(const char* node) { return reported.find<ServiceNodeStatus>(node); }

    model::Snapshot intent = test::two_services(), reported;
    std::uint64_t now_s = 0;
};

TEST_F(NodeStatusTest, OnlyWhoHasTheNodeSpeaksOfIt) {
    EXPECT_FALSE(says("h1", "node-down"));
    EXPECT_FALSE(says("h4", "node-load"));
    EXPECT_EQ(of("n1"), nullptr);
    EXPECT_TRUE(says("h3", "node-down"));
    EXPECT_FALSE(says("h1", "node-up")) << "nor does anybody else make it well";
    EXPECT_EQ(of("n1")->state, NodeState::down);
    EXPECT_FALSE(says("h3", "node-up", "n1", 9)) << "another number: another node";
    EXPECT_FALSE(says("h3", "node-down", "nobody", 1));
}

// n1 answers no queries: nobody will ever say that it is up again.
TEST_F(NodeStatusTest, NodesThatNobodyAsksAreNotDown) {
    const auto goes_on = [&] { return remember({intent, intent, now_s}, reported); };
    now_s = 100;
    test::edit<Service>(intent, "fw", [](Service& s) { s.liveness_support = true; });
    EXPECT_TRUE(says("h3", "node-down"));
    EXPECT_TRUE(says("h3", "node-slow"));
    EXPECT_TRUE(says("h3", "node-down", "n6", 6));
    const std::uint64_t generation = of("n1")->generation;
    EXPECT_FALSE(goes_on());
    EXPECT_EQ(of("n1")->state, NodeState::down);
    test::edit<Service>(intent, "fw", [](Service& s) { s.liveness_support = false; });
    now_s = 90;  // a clock that was set back
    EXPECT_TRUE(goes_on());
    EXPECT_EQ(of("n1")->state, NodeState::up);
    EXPECT_GT(of("n1")->generation, generation) << "hosts take it for newer";
    EXPECT_TRUE(of("n1")->slow) << "that is seen without asking";
    EXPECT_EQ(of("n6")->state, NodeState::down) << "a bump in the wire is always asked";
    EXPECT_FALSE(goes_on());
    test::edit<Service>(intent, "fw", [](Service& s) { s.liveness_support = true; });
    EXPECT_FALSE(goes_on());
    EXPECT_EQ(of("n1")->state, NodeState::up);
    EXPECT_TRUE(says("h3", "node-down"));
}

TEST_F(NodeStatusTest, WhileANodeIsOnItsWayBothEndsSpeak) {
    ServiceNodeMove move;
    move.name = "n1";
    move.node_id = 1;
    move.from = "h3";
    move.to = "h4";
    reported.put(move);
    EXPECT_TRUE(says("h4", "node-down"));
    EXPECT_TRUE(says("h3", "node-up"));
    EXPECT_FALSE(says("h1", "node-down"));
    EXPECT_FALSE(link("h3", "n1", false)) << "its ports are taken away there: that is no failure";
    reported.erase<ServiceNodeMove>("n1");
    EXPECT_FALSE(says("h4", "node-down"));
}

TEST_F(NodeStatusTest, GenerationsGrowWithTheNumberNotWithTheName) {
    for (const char* what : {"node-up", "node-down", "node-up", "node-down"})
        EXPECT_TRUE(says("h3", what));
    const std::uint64_t last = of("n1")->generation;
    EXPECT_EQ(last, 4u);
    // Another node takes its number: hosts remember the last generation by that.
    ServiceNode successor = *intent.find<ServiceNode>("n1");
    intent.erase<ServiceNode>("n1");
    successor.name = "n1b";
    intent.put(successor);
    EXPECT_TRUE(says("h3", "node-up", "n1b"));
    EXPECT_GT(of("n1b")->generation, last);
    EXPECT_EQ(of("n1"), nullptr) << "a node that is gone has no state";
}

TEST_F(NodeStatusTest, AControllerThatRemembersNothingIsAheadOfTheOneBeforeIt) {
    now_s = 1'700'000'000;
    for (int i = 0; i < 100; ++i) {
        says("h3", "node-up");
        says("h3", "node-down");
    }
    const std::uint64_t last = of("n1")->generation;
    reported = {};
    ++now_s;
    EXPECT_TRUE(says("h3", "node-up"));
    EXPECT_GT(of("n1")->generation, last);
}

TEST_F(NodeStatusTest, ANodeWhosePortHasNoLinkIsNotAttached) {
    EXPECT_FALSE(link("h3", "n1", true)) << "nothing was wrong with it";
    EXPECT_FALSE(link("h1", "n1", false)) << "the port is on another host";
    EXPECT_TRUE(link("h3", "n1", false));
    EXPECT_FALSE(link("h3", "n1", false));
    EXPECT_FALSE(of("n1")->attached);
    EXPECT_EQ(of("n1")->state, NodeState::up) << "that is another matter";
    EXPECT_TRUE(link("h3", "n1", true));
    EXPECT_TRUE(of("n1")->attached);
    EXPECT_TRUE(link("h3", "n6-left", false));
    EXPECT_TRUE(link("h3", "n6-right", false));
    EXPECT_TRUE(link("h3", "n6-left", true));
    EXPECT_FALSE(of("n6")->attached) << "both sides are needed";
    EXPECT_EQ(of("n6")->ports_without_link, std::vector<std::string>{"n6-right"});
    EXPECT_TRUE(link("h3", "n6-right", true));
    EXPECT_TRUE(of("n6")->attached);
    EXPECT_FALSE(link("h1", "g1", false)) << "no node's";
}

// MB-9: its new host said that the port is up when nobody listened yet.
TEST_F(NodeStatusTest, ANodeThatMovedLeavesLinksThatWereDownBehind) {
    EXPECT_TRUE(link("h3", "n1", false));
    EXPECT_TRUE(link("h3", "n6-left", false));
    ServiceNodeMove move;
    move.name = "n1";
    move.from = "h3";
    move.to = "h4";
    reported.put(move);
    EXPECT_FALSE(link("h4", "n1", true)) << "it is not there";
    const model::Snapshot before = intent;
    test::edit<ServiceNode>(intent, "n1", [](ServiceNode& n) { n.host = "h4"; });
    EXPECT_TRUE(forget_links_of_others({before, intent}, reported));
    EXPECT_TRUE(of("n1")->attached);
    EXPECT_TRUE(of("n1")->ports_without_link.empty());
    EXPECT_FALSE(of("n6")->attached) << "that one has not moved";
    EXPECT_FALSE(forget_links_of_others({intent, intent}, reported));
    // The move is remembered for some seconds more; who has the node is heard from now on.
    EXPECT_FALSE(link("h3", "n1", false));
    EXPECT_TRUE(link("h4", "n1", false));
    EXPECT_FALSE(of("n1")->attached);
}

TEST_F(NodeStatusTest, PortsThatANodeHasNoMoreSayNothingOfIt) {
    EXPECT_TRUE(link("h3", "n6-left", false));
    EXPECT_TRUE(link("h3", "n6-right", false));
    const auto give = [&](std::vector<model::Ref<model::Port>> ports) {
        const model::Snapshot before = intent;
        test::edit<ServiceNode>(intent, "n6", [&](ServiceNode& n) { n.vnics = ports; });
        return forget_links_of_others({before, intent}, reported);
    };
    EXPECT_TRUE(give({"n6-new", "n6-right"}));
    EXPECT_EQ(of("n6")->ports_without_link, std::vector<std::string>{"n6-right"});
    EXPECT_FALSE(of("n6")->attached);
    EXPECT_TRUE(give({"n6-new", "n6-newer"})) << "they have been up for long: nobody says so";
    EXPECT_TRUE(of("n6")->attached);
}

// The hooks of leaving nodes keep it in `reported` alone, with its drain under way.
TEST_F(NodeStatusTest, ANodeThatOperatorsTookAwayIsHeardWhileItDrains) {
    EXPECT_TRUE(says("h3", "node-down"));
    reported.put(*intent.find<ServiceNode>("n1"));
    reported.put(*intent.find<ServiceNode>("n6"));
    intent.erase<ServiceNode>("n1");
    intent.erase<ServiceNode>("n6");
    says("h1", "node-up", "n3", 3);
    ASSERT_NE(of("n1"), nullptr) << "what others say forgets nothing";
    EXPECT_EQ(of("n1")->state, NodeState::down);
    EXPECT_FALSE(says("h1", "node-up")) << "not its host";
    EXPECT_TRUE(says("h3", "node-up"));
    EXPECT_TRUE(says("h3", "node-down"));
    EXPECT_TRUE(link("h3", "n6-left", false));
    EXPECT_FALSE(of("n6")->attached);
    reported.erase<ServiceNode>("n1");
    EXPECT_TRUE(says("h1", "node-down", "n3", 3));
    EXPECT_EQ(of("n1"), nullptr) << "gone";
}

}  // namespace
}  // namespace weir::chain
