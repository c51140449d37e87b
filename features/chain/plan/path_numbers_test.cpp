#include "features/chain/plan/path_numbers.hpp"

#include <gtest/gtest.h>

#include "features/chain/feature.hpp"
#include "features/chain/plan/paths.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/testing/test_intent.hpp"
#include "model/value.hpp"

namespace weir::chain {
namespace {

// Two nodes of one service. The digests of (SCI 1, node) are equal: the later one gets its next.
constexpr std::uint32_t first = 3838, second = 14956, meeting = 0x904f3f;
constexpr std::uint32_t next = 0x3b1bdf, next_of_first = 0x830af9;

struct PathNumbers : ::testing::Test {
    PathNumbers() {
        test::add_service(intent, "fw", Transport::nsh);
        add(first);
        add(second);
        intent.put(test::make_chain("c1", 1, {"fw-default"}));
    }
    void add(std::uint32_t id) { test::add_node(intent, id, "h3", "fw", NodeMode::aware); }
    static std::string name(std::uint32_t id) { return "n" + std::to_string(id); }
    // As the controller does with a change, or when time goes on.
    template <class F>
    bool change(F&& edit) {
        const model::Snapshot before = intent;
        edit();
        return remember({before, intent, now_s}, reported);
    }
    bool go_on(std::uint64_t seconds) {
        now_s += seconds;
        return remember({intent, intent, now_s}, reported);
    }
    bool remove(std::uint32_t id) {
        return change([&] { intent.erase<ServiceNode>(name(id)); });
    }
    // Of the path through this node alone; 0: there is none.
    std::uint32_t spi(std::uint32_t node) const {
        model::Snapshot whole = intent;
        for (const auto& row : reported.all<ServiceNode>()) whole.put(row.second);
        for (const auto& row : reported.all<ServiceNodeLeaving>()) whole.put(row.second);
        for (const auto& row : reported.all<ServicePathWanted>()) whole.put(row.second);
        for (const auto& row : reported.all<ServicePathNumber>()) whole.put(row.second);
        for (const auto& row : static_paths(whole))
            for (const ServicePath& path : row.second)
                if (path.forward[0].node_id == node) return path.spi;
        return 0;
    }
    std::size_t kept() const { return reported.all<ServicePathNumber>().size(); }

    model::Snapshot intent = test::topology(), reported;
    std::uint64_t now_s = 1'000'000;
};

TEST_F(PathNumbers, ThoseOfPathsThatAreGoneAreKeptForThemselves) {
    ASSERT_EQ(spi(first), meeting);
    ASSERT_EQ(spi(second), next);
    EXPECT_TRUE(remove(first));
    EXPECT_EQ(spi(first), 0u);
    EXPECT_EQ(spi(second), next) << "not the one that is free now";
    EXPECT_EQ(kept(), 2u) << "and its own, which it would have left for that";
    EXPECT_TRUE(change([&] { add(first); }));
    EXPECT_EQ(spi(first), meeting) << "the same path has its number again";
    EXPECT_EQ(spi(second), next);
}

TEST_F(PathNumbers, AreFreeAfterTenMinutes) {
    remove(first);
    go_on(45);  // for packets that are inside the node
    const std::uint64_t gone_s = now_s;
    EXPECT_FALSE(go_on(500));
    EXPECT_EQ(spi(second), next);
    EXPECT_GE(reported.all<ServicePathNumber>().begin()->second.until_s, gone_s + 555);
    EXPECT_TRUE(go_on(56));
    EXPECT_EQ(spi(second), meeting);
    EXPECT_EQ(kept(), 1u) << "the one that it had";
    EXPECT_EQ(reported.all<ServicePathNumber>().begin()->second.spi, next);
    EXPECT_TRUE(go_on(600));
    EXPECT_EQ(kept(), 0u);
    EXPECT_EQ(spi(second), meeting);
}

// A path that comes earlier in the order takes no number from one that has it.
TEST_F(PathNumbers, ArePushedAwayByNobody) {
    remove(first);
    for (int i = 0; i < 20; ++i) go_on(60);
    ASSERT_EQ(spi(second), meeting);
    ASSERT_EQ(kept(), 0u);
    EXPECT_TRUE(change([&] { add(first); }));
    EXPECT_EQ(spi(second), meeting);
    EXPECT_EQ(spi(first), next_of_first);
    for (int i = 0; i < 30; ++i) {
        go_on(60);
        EXPECT_EQ(spi(second), meeting) << "nor later";
        EXPECT_EQ(spi(first), next_of_first);
    }
}

TEST_F(PathNumbers, OfPathsOnDemandAreKeptToo) {
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) {
        c.paths = PathMode::on_demand;
        c.max_static_paths = 1;
    });
    const auto ask = [&] {
        model::Value event = model::Value::object();
        event.set("event", "path-wanted");
        event.set("chain", "c1");
        event.set("heard_s", now_s);
        return answer(event, "h1", intent, reported);
    };
    test::edit<ServiceNode>(intent, name(second), [](ServiceNode& n) { n.maintenance = true; });
    ASSERT_TRUE(ask());
    ASSERT_EQ(spi(first), meeting);
    test::edit<ServiceNode>(intent, name(second), [](ServiceNode& n) { n.maintenance = false; });
    test::edit<ServiceNode>(intent, name(first), [](ServiceNode& n) { n.maintenance = true; });
    ASSERT_TRUE(ask()) << "the other one makes room";
    EXPECT_EQ(spi(first), 0u);
    EXPECT_EQ(spi(second), next);
}

TEST_F(PathNumbers, ThereAreNotMoreThanCanBeKept) {
    for (std::uint32_t i = 0; i < 5000; ++i) {
        ServicePathNumber old;
        old.name = std::to_string(i);
        old.svni = 9001;
        old.spi = i + 1;
        old.sci = 1;
        old.nodes = {1};
        old.until_s = now_s + 1 + i % 600;
        reported.put(old);
    }
    remove(first);
    EXPECT_EQ(kept(), 4096u);
    EXPECT_EQ(spi(second), next) << "the last one stays";
}

TEST_F(PathNumbers, WhatChangesNoPathIsNotRemembered) {
    EXPECT_FALSE(change([&] { intent.put(model::Group{}); }));
    EXPECT_FALSE(change([&] {
        test::edit<ServiceNode>(intent, name(first), [](ServiceNode& n) { n.weight = 7; });
    }));
    EXPECT_EQ(kept(), 0u);
}

}  // namespace
}  // namespace weir::chain
