#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/feature.hpp"
#include "features/chain/plan/paths.hpp"
#include "features/chain/testing/test_intent.hpp"
#include "model/json.hpp"

namespace weir::chain {
namespace {

using ::testing::ElementsAre;
using Nodes = std::vector<std::uint32_t>;

class OnDemand : public ::testing::Test {
protected:
    OnDemand() {
        test::edit<ServiceChain>(intent, "c1",
                                 [](ServiceChain& c) { c.paths = PathMode::on_demand; });
    }
    bool ask(const std::string& host, const std::string& chain = "c1") {
        const auto event =
            model::parse_json(R"({"event":"path-wanted","chain":")" + chain + R"(","sci":1})");
        return answer(*event, host, intent, reported);
    }
    // What was answered last.
    Nodes last() const {
        const ServicePathWanted* found = nullptr;
        for (const auto& row : reported.all<ServicePathWanted>())
            if (!found || row.second.number > found->number) found = &row.second;
        return found ? found->nodes : Nodes();
    }
    std::size_t count() const { return reported.all<ServicePathWanted>().size(); }
    void set_state(const std::string& name, std::uint32_t id, NodeState state) {
        ServiceNodeStatus status;
        status.name = name;
        status.node_id = id;
        status.state = state;
        reported.put(status);
    }
    model::Snapshot whole() const {
        model::Snapshot out = intent;
        for (const auto& row : reported.all<ServicePathWanted>()) out.put(row.second);
        return out;
    }

    model::Snapshot intent = test::two_services(), reported;
};

TEST_F(OnDemand, ThereAreNoPathsUntilSomebodyAsks) {
    EXPECT_TRUE(static_paths(whole()).empty());
    EXPECT_TRUE(ask("h1"));
    EXPECT_EQ(static_paths(whole()).at("c1").size(), 1u);
}

TEST_F(OnDemand, NodesHaveTheirTurn) {
    EXPECT_TRUE(ask("h1"));
    EXPECT_EQ(last(), (Nodes{3, 2})) << "the host's own first";
    EXPECT_TRUE(ask("h2"));
    EXPECT_EQ(last(), (Nodes{1, 6})) << "… then those that have none";
    std::map<std::uint32_t, int> uses;
    for (const char* host : {"h3", "h4", "h1", "h2"}) ask(host);
    for (const auto& row : reported.all<ServicePathWanted>())
        for (const std::uint32_t id : row.second.nodes) ++uses[id];
    EXPECT_LE(std::abs(uses[1] - uses[3]), 1);
    EXPECT_LE(std::abs(uses[2] - uses[6]), 1);
}

TEST_F(OnDemand, TurnsFollowWeights) {
    test::edit<ServiceNode>(intent, "n1", [](ServiceNode& n) { n.weight = 300; });
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.forward.resize(1); });
    std::map<std::uint32_t, int> uses;
    for (const char* host : {"h1", "h2", "h3", "h4"})
        if (ask(host)) ++uses[last().at(0)];
    EXPECT_EQ(uses[1], 3);
    EXPECT_EQ(uses[3], 1);
}

TEST_F(OnDemand, WhoIsSlowIsPickedWhereNobodyElseIsLeft) {
    const auto set = [&](const std::string& name, std::uint32_t id, bool slow, bool lossy) {
        ServiceNodeStatus status;
        status.name = name;
        status.node_id = id;
        status.slow = slow;
        status.lossy = lossy;
        reported.put(status);
    };
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.max_static_paths = 2; });
    set("n3", 3, true, false);
    EXPECT_TRUE(ask("h1"));
    EXPECT_EQ(last().at(0), 1u);
    set("n1", 1, true, true);
    EXPECT_TRUE(ask("h1")) << "what it has is worse now";
    EXPECT_EQ(last().at(0), 3u) << "the least bad";
    const std::size_t before = count();
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(ask("h1")) << "nothing better is to be had";
    EXPECT_EQ(count(), before);
    set("n1", 1, false, false);
    EXPECT_FALSE(ask("h1")) << "it has that one already";
    EXPECT_TRUE(ask("h2"));
    EXPECT_EQ(last().at(0), 1u);
}

TEST_F(OnDemand, WhomItsManagerTakesForIllIsNotPicked) {
    for (const char* name : {"n3", "n6"})
        test::edit<ServiceNode>(intent, name, [](ServiceNode& n) {
            n.partner_state = PartnerState::not_responding;
        });
    EXPECT_TRUE(ask("h1"));
    EXPECT_EQ(last(), (Nodes{1, 2}));
}

TEST_F(OnDemand, WhoIsDownOrLeavesIsNotPicked) {
    set_state("n3", 3, NodeState::down);
    test::edit<ServiceNode>(intent, "n2", [](ServiceNode& n) { n.maintenance = true; });
    EXPECT_TRUE(ask("h1"));
    EXPECT_EQ(last(), (Nodes{1, 6}));
    EXPECT_FALSE(ask("h1")) << "there is nothing else to give";
    set_state("n1", 1, NodeState::down);
    EXPECT_FALSE(ask("h2"));
    EXPECT_EQ(count(), 1u);
}

// CT-11: where no tap is well there is a path all the same, and it makes room for no other.
TEST_F(OnDemand, ADeadTapTakesNoPathAway) {
    test::edit<ServiceProfile>(intent, "fw-default",
                               [](ServiceProfile& p) { p.action = HopAction::copy; });
    set_state("n3", 3, NodeState::down);
    EXPECT_TRUE(ask("h1"));
    EXPECT_EQ(last()[0], 1u) << "one that is well first";
    set_state("n1", 1, NodeState::down);
    test::edit<ServiceNode>(intent, "n3", [](ServiceNode& n) { n.weight = 0; });
    EXPECT_TRUE(ask("h2"));
    EXPECT_EQ(static_paths(whole()).at("c1").size(), 2u);
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.max_static_paths = 2; });
    ask("h3");
    ask("h4");
    EXPECT_EQ(count(), 4u) << "they are shared, none goes";
}

TEST_F(OnDemand, OnlyThatHostPutsFlowsOnIt) {
    ask("h1");
    ask("h2");
    model::Snapshot h1, h4;
    plan(whole(), "h1", h1);
    ASSERT_EQ(h1.all<ServicePathUse>().size(), 1u);
    const ServicePath* path = h1.find<ServicePath>(h1.all<ServicePathUse>().begin()->first);
    ASSERT_NE(path, nullptr);
    EXPECT_EQ(path->forward[0].node, "n3");
    plan(whole(), "h4", h4);
    EXPECT_TRUE(h4.all<ServicePathUse>().empty());
    EXPECT_EQ(h4.all<ServicePath>().size(), 1u) << "n2 is there";
}

TEST_F(OnDemand, WhatIsNoMoreGoesAndTheOldestWhereThereAreTooMany) {
    ask("h1");
    ask("h2");
    intent.erase<ServiceNode>("n3");
    EXPECT_EQ(static_paths(whole()).at("c1").size(), 1u);
    ask("h3");
    EXPECT_EQ(count(), 2u) << "without the one over n3";
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.max_static_paths = 2; });
    ask("h4");
    EXPECT_EQ(count(), 3u) << "two combinations, one of them for two hosts";
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.max_static_paths = 1; });
    EXPECT_TRUE(ask("h2"));
    EXPECT_EQ(static_paths(whole()).at("c1").size(), 1u);
}

// As many combinations as the chain may have: hosts share them, nobody loses what it has.
TEST_F(OnDemand, HostsShareCombinationsWhereThereMayBeNoMore) {
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.max_static_paths = 2; });
    for (int i = 10; i < 40; ++i) {
        model::Host host;
        host.name = "x" + std::to_string(i);
        host.id = static_cast<std::uint32_t>(i);
        intent.put(host);
        EXPECT_TRUE(ask(host.name));
    }
    std::map<Nodes, int> hosts;
    for (const auto& row : reported.all<ServicePathWanted>()) ++hosts[row.second.nodes];
    EXPECT_EQ(hosts.size(), 2u);
    for (const auto& [nodes, count] : hosts) EXPECT_EQ(count, 15);
    EXPECT_EQ(static_paths(whole()).at("c1").size(), 2u);
    // Who asks again may have the other one as well; then there is no more to give.
    for (int i = 0; i < 10; ++i) ask("x10");
    EXPECT_FALSE(ask("x10"));
    EXPECT_LE(count(), 31u);
}

TEST_F(OnDemand, WhatNobodyShouldUseMakesRoomWhereThereMayBeNoMore) {
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.max_static_paths = 1; });
    EXPECT_TRUE(ask("h1"));
    EXPECT_EQ(last(), (Nodes{3, 2}));
    set_state("n3", 3, NodeState::down);
    EXPECT_TRUE(ask("h2"));
    EXPECT_EQ(count(), 1u);
    EXPECT_EQ(last().at(0), 1u);
}

TEST_F(OnDemand, AHostHasEightOfAChainAtMost) {
    for (std::uint32_t id = 20; id < 40; ++id) {
        ServiceNode node = *intent.find<ServiceNode>("n1");
        node.name = "m" + std::to_string(id);
        node.id = id;
        intent.put(node);
    }
    for (int i = 0; i < 30; ++i) ask("h1");
    EXPECT_EQ(count(), 8u);
    EXPECT_FALSE(ask("h1"));
    EXPECT_TRUE(ask("h2")) << "others have their own";
    const Nodes oldest = [&] {
        const ServicePathWanted* found = nullptr;
        for (const auto& row : reported.all<ServicePathWanted>())
            if (!found || row.second.number < found->number) found = &row.second;
        return found->nodes;
    }();
    for (const auto& row : intent.all<ServiceNode>())
        if (row.second.id == oldest.at(0)) set_state(row.first, row.second.id, NodeState::down);
    EXPECT_TRUE(ask("h1"));
    EXPECT_EQ(count(), 9u);
    for (const auto& row : reported.all<ServicePathWanted>()) EXPECT_NE(row.second.nodes, oldest);
}

TEST_F(OnDemand, NobodyElseIsAnswered) {
    EXPECT_FALSE(ask("h9"));
    EXPECT_FALSE(ask("h1", "c9"));
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.paths = PathMode::planned; });
    EXPECT_FALSE(ask("h1"));
    const auto other = model::parse_json(R"({"event":"node-up","node":"n1","node_id":1})");
    EXPECT_FALSE(answer(*other, "h1", intent, reported));
}

}  // namespace
}  // namespace weir::chain
