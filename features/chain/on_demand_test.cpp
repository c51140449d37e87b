#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/feature.hpp"
#include "features/chain/paths.hpp"
#include "features/chain/test_intent.hpp"
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
    EXPECT_EQ(count(), 2u);
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
