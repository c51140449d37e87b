#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/feature.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/testing/test_intent.hpp"
#include "features/feature.hpp"

namespace weir::chain {
namespace {

using features::Occasion;
using model::Snapshot;

class LeavingTest : public ::testing::Test {
protected:
    LeavingTest() {
        test::edit<ServiceNode>(intent, "n1", [](ServiceNode& n) { n.drain_s = 60; });
    }
    // What operators want from now on.
    bool want(Snapshot next) {
        const Snapshot before = intent;
        intent = std::move(next);
        return remember_leaving_nodes({before, intent, now_s}, reported);
    }
    bool pass(std::uint64_t seconds, bool is_start = false) {
        now_s += seconds;
        return remember_leaving_nodes({intent, intent, now_s, is_start}, reported);
    }
    bool delete_node(const std::string& name, bool with_ports = true) {
        Snapshot next = intent;
        if (with_ports)
            for (const auto& ref : intent.find<ServiceNode>(name)->vnics)
                next.erase<model::Port>(ref.name);
        next.erase<ServiceNode>(name);
        return want(next);
    }
    template <class Edit>
    bool want_also(Edit edit) {
        Snapshot next = intent;
        edit(next);
        return want(next);
    }
    // "" or the phase.
    std::string phase(const std::string& name = "n1") const {
        const auto* found = reported.find<ServiceNodeLeaving>(name);
        EXPECT_EQ(found != nullptr, reported.find<ServiceNode>(name) != nullptr);
        return found ? std::string(model::enum_name(found->phase)) : "";
    }
    bool is_forgotten() const {
        return reported.all<ServiceNodeLeaving>().empty() && reported.all<ServiceNode>().empty() &&
               reported.all<model::Port>().empty();
    }
    // What is planned: what operators want, and what is remembered.
    Snapshot whole() const {
        Snapshot out = intent;
        for (const auto& row : reported.all<ServiceNode>()) out.put(row.second);
        for (const auto& row : reported.all<model::Port>()) out.put(row.second);
        for (const auto& row : reported.all<ServiceNodeLeaving>()) out.put(row.second);
        return out;
    }
    Snapshot plan_of(std::string_view host) const {
        Snapshot out;
        plan(whole(), host, out);
        return out;
    }
    std::uint8_t first_epoch() const {
        const Snapshot h1 = plan_of("h1");
        return h1.all<ServicePath>().begin()->second.epoch;
    }
    // Paths with the node, and whether all of them are in maintenance.
    std::pair<std::size_t, bool> paths_with(const std::string& node) const {
        std::pair<std::size_t, bool> out{0, true};
        const Snapshot h1 = plan_of("h1");
        for (const auto& [name, path] : h1.all<ServicePath>())
            for (const PathHop& hop : path.forward)
                if (hop.node == node) ++out.first, out.second &= path.maintenance;
        return out;
    }

    Snapshot intent = test::two_services(), reported;
    std::uint64_t now_s = 1'000'000;
};

TEST_F(LeavingTest, ADeletedNodeDrainsThenStaysWithoutPathsThenGoes) {
    const std::size_t paths = paths_with("n1").first;
    ASSERT_GT(paths, 0u);
    const std::uint8_t epoch = first_epoch();
    EXPECT_TRUE(delete_node("n1"));
    EXPECT_EQ(phase(), "draining");
    EXPECT_EQ(paths_with("n1"), std::pair(paths, true)) << "as in maintenance";
    EXPECT_EQ(first_epoch(), epoch) << "it is the same path";
    EXPECT_FALSE(pass(59));
    EXPECT_TRUE(pass(1));
    EXPECT_EQ(phase(), "gone");
    EXPECT_EQ(paths_with("n1").first, 0u);
    EXPECT_TRUE(plan_of("h3").find<ServiceNode>("n1")) << "packets are inside";
    EXPECT_EQ(whole().find<model::Port>("n1")->host.name, "h3");
    EXPECT_FALSE(pass(44));
    EXPECT_TRUE(pass(1));
    EXPECT_TRUE(is_forgotten());
    EXPECT_FALSE(plan_of("h3").find<ServiceNode>("n1"));
    EXPECT_FALSE(pass(1000)) << "and that was all";
}

TEST_F(LeavingTest, WithoutADeadlineItHasNoPathsFromTheFirstMoment) {
    EXPECT_TRUE(delete_node("n3"));
    EXPECT_EQ(phase("n3"), "gone");
    EXPECT_EQ(paths_with("n3").first, 0u);
    EXPECT_TRUE(plan_of("h1").find<ServiceNode>("n3"));
}

TEST_F(LeavingTest, PortsThatAreDeletedLaterAreKeptFromThenOn) {
    delete_node("n1", false);
    EXPECT_TRUE(reported.all<model::Port>().empty()) << "operators still want it";
    EXPECT_TRUE(want_also([](Snapshot& next) { next.erase<model::Port>("n1"); }));
    EXPECT_TRUE(reported.find<model::Port>("n1"));
    const model::Port port = *reported.find<model::Port>("n1");
    EXPECT_TRUE(want_also([&](Snapshot& next) { next.put(port); }));
    EXPECT_TRUE(reported.all<model::Port>().empty()) << "they want it again";
    EXPECT_EQ(phase(), "draining");
}

TEST_F(LeavingTest, WhatOperatorsWantInsteadGoesBefore) {
    const model::Port port = *intent.find<model::Port>("n1");
    const ServiceNode node = *intent.find<ServiceNode>("n1");
    const Snapshot before = intent;
    const std::vector<std::function<void(Snapshot&)>> wishes = {
        [&](Snapshot& next) { next.put(node); },  // it is back
        [&](Snapshot& next) {                     // another has its number
            ServiceNode other = *next.find<ServiceNode>("n3");
            other.id = node.id;
            next.put(other);
        },
        [&](Snapshot& next) {  // its port is elsewhere
            model::Port other = port;
            other.host = "h2";
            next.put(other);
        },
        [&](Snapshot& next) {  // its MAC address is another's
            model::Port other = port;
            other.name = "other";
            next.put(other);
        },
        [&](Snapshot& next) {  // its device is another's
            model::Port other = port;
            other.name = "other";
            other.service_segment = {};
            other.device.interface = "eth7";
            next.put(other);
        },
        [&](Snapshot& next) { next.erase<model::Host>("h3"); },
        [&](Snapshot& next) { next.erase<Service>("fw"); },
    };
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        intent = before;
        reported = {};
        test::edit<model::Port>(intent, "n1", [](auto& p) { p.device.interface = "eth7"; });
        delete_node("n1");
        ASSERT_EQ(phase(), "draining");
        EXPECT_TRUE(want_also(wishes[i])) << i;
        EXPECT_TRUE(is_forgotten()) << i;
    }
}

TEST_F(LeavingTest, AHostHasRoomForSoManyNodes) {
    delete_node("n1");
    want_also([](Snapshot& next) {
        for (std::uint32_t id = 130; id < 130 + 62; ++id)  // beside n6
            test::add_node(next, id, "h3", "fw", NodeMode::aware);
    });
    EXPECT_EQ(phase(), "draining");
    want_also([](Snapshot& next) { test::add_node(next, 99, "h3", "fw", NodeMode::aware); });
    EXPECT_TRUE(is_forgotten());
}

TEST_F(LeavingTest, ANewControllerKeepsItAsLongAsItsPathsLingerThere) {
    delete_node("n1");
    pass(60);
    ASSERT_EQ(phase(), "gone");
    now_s += 300;  // nobody was there
    EXPECT_TRUE(pass(0, true));
    EXPECT_EQ(phase(), "gone");
    EXPECT_FALSE(pass(44));
    EXPECT_TRUE(pass(1));
    EXPECT_TRUE(is_forgotten());
}

TEST_F(LeavingTest, ANodeThatWasOnItsWayIsNotKept) {
    ServiceNodeMove move;
    move.name = "n1";
    move.from = "h3";
    move.to = "h4";
    reported.put(move);
    EXPECT_FALSE(delete_node("n1"));
    EXPECT_TRUE(is_forgotten());
}

// The old host sends late packets after it for a while; that is no reason to break its flows.
TEST_F(LeavingTest, ANodeThatHasJustMovedDrainsLikeAnyOther) {
    ServiceNodeMove move;
    move.name = "n1";
    move.from = "h4";
    move.to = "h3";
    move.phase = MovePhase::arrived;
    reported.put(move);
    EXPECT_TRUE(delete_node("n1"));
    EXPECT_EQ(phase(), "draining");
    EXPECT_TRUE(paths_with("n1").second) << "as in maintenance";
    reported.erase<ServiceNodeMove>("n1");
    EXPECT_FALSE(pass(59)) << "that is over, the drain is not";
    EXPECT_EQ(phase(), "draining");
}

// What a host has room for: those it has, those that leave it, and those on their way to it.
TEST_F(LeavingTest, AHostsNodesAreThoseThatLeaveAndComeAsWell) {
    EXPECT_EQ(nodes_at("h3", intent, reported), 2u) << "n1, n6";
    delete_node("n1");
    EXPECT_EQ(nodes_at("h3", intent, reported), 2u);
    ServiceNodeMove move;
    move.name = "n3";
    move.from = "h1";
    move.to = "h3";
    reported.put(move);
    EXPECT_EQ(nodes_at("h3", intent, reported), 3u);
    test::edit<ServiceNode>(intent, "n3", [](ServiceNode& n) { n.host.name = "h3"; });
    EXPECT_EQ(nodes_at("h3", intent, reported), 3u) << "it is there, and its move is remembered";
}

}  // namespace
}  // namespace weir::chain
