#include "features/chain/node/node_watch.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "features/chain/feature.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/testing/test_nodes.hpp"
#include "model/json.hpp"

// What a host tells of its nodes, over changes of its tables and other engines.
namespace weir::chain {
namespace {

using namespace test;

struct Watching {
    explicit Watching(model::Snapshot snapshot = limited()) : w(1, std::move(snapshot)) {}

    static model::Snapshot limited() {
        model::Snapshot intent = node_intent();
        edit<ServiceNode>(intent, "n1", [](ServiceNode& n) {
            n.loss_limit_permille = 100;
            n.latency_limit_us = 1000;
        });
        return intent;
    }
    void run(Engine& engine, std::uint64_t milliseconds) {
        for (std::uint64_t i = 0; i < milliseconds; i += 10) {
            engine.now_ns += 10 * ms;
            engine.tick();
            while (Packet* p = engine.entered()) {
                messages += p->ctrl_count != 0 && p->ctrl[0][0] != 0 ? 1 : 0;
                w.machine.free(*p);
            }
            w.machine.sent.clear();
        }
    }
    void run(std::uint64_t milliseconds) { run(w.engine, milliseconds); }
    // Another table with the same nodes.
    void change_table() {
        w.engine.topology.ports[right_port].mtu += 4;
        w.engine.publish(w.intent);
    }
    std::size_t events(const std::string& name, const std::string& node = "n1") const {
        return static_cast<std::size_t>(
            std::ranges::count_if(w.machine.events, [&](const std::string& e) {
                return e.find('"' + name + '"') != std::string::npos &&
                       e.find('"' + node + '"') != std::string::npos;
            }));
    }
    NodeSlot& slot() { return w.engine.workers[0]->live.binding.slot(0); }
    // A window of packets through n1.
    void window(std::uint64_t packets, std::uint64_t back, std::uint64_t took_ns) {
        add(slot().tallies[0].delivered[0], packets);
        add(slot().tallies[0].returned[0], back);
        for (std::uint64_t i = 0; i < back; ++i)
            w.engine.workers[0]->from.time(0, w.engine.now_ns - took_ns, w.engine.now_ns);
        run(5100);
    }

    World w;
    std::size_t messages = 0;
};

// Serial number, seconds, share.
constexpr std::uint64_t word(std::uint64_t serial) {
    return serial << 32 | 3600u << 16 | 50u;
}

TEST(NodeWatch, AnOverloadIsToldOnceWhateverChanges) {
    Watching t;
    t.run(100);
    t.slot().overload.store(word(1));
    t.run(2000);
    EXPECT_EQ(t.events("node-overload"), 1u);
    EXPECT_EQ(t.w.machine.health.overloads().share(aware_node), 50u);
    EXPECT_EQ(t.slot().overload_told.load(), 1u);
    t.w.machine.health.overloads().set(aware_node, 1000, 0, 0);
    t.w.machine.health.overloads().recover(t.w.engine.now_ns);
    EXPECT_EQ(t.w.machine.health.overloads().share(aware_node), 1000u);

    t.change_table();
    t.run(2000);
    EXPECT_EQ(t.events("node-overload"), 1u);
    Engine next(t.w.machine, t.w.intent, t.w.engine.topology);
    next.now_ns = t.w.engine.now_ns;
    t.run(next, 2000);
    EXPECT_EQ(t.events("node-overload"), 1u);
    EXPECT_EQ(t.w.machine.health.overloads().share(aware_node), 1000u);
    t.slot().overload.store(word(2));
    t.run(next, 2000);
    EXPECT_EQ(t.events("node-overload"), 2u) << "a new word is";
}

TEST(NodeWatch, ANodeHasNotSaidWhatTheOneBeforeItSaid) {
    Watching t;
    t.run(100);
    NodeBinding& binding = t.w.engine.workers[0]->to.binding;
    const NodeTable& table = t.w.engine.to_tables->nodes;
    ASSERT_TRUE(binding.follow(table, true));
    NodeSlot* slot = binding.take_in(77, 1, table);
    ASSERT_NE(slot, nullptr);
    slot->overload.store(word(1));
    slot->overload_told.store(1);
    ASSERT_EQ(binding.take_in(77, 2, table), slot);
    EXPECT_EQ(slot->overload.load(), 0u);
    EXPECT_EQ(slot->overload_told.load(), 0u);
}

TEST(NodeWatch, WhoWasLossyOrSlowCanBecomeGoodAfterAChangeOfTheTable) {
    Watching t;
    t.run(100);
    for (int i = 0; i < 4; ++i) t.window(1000, 500, 20 * ms);
    EXPECT_EQ(t.events("node-lossy"), 1u);
    EXPECT_EQ(t.events("node-slow"), 1u);
    t.change_table();
    for (int i = 0; i < 4; ++i) t.window(1000, 1000, 10'000);
    EXPECT_EQ(t.events("node-whole"), 1u);
    EXPECT_EQ(t.events("node-fast"), 1u);
}

// The controller may remember what another engine, or this host before it went down, has told.
TEST(NodeWatch, AnEngineSaysOnceHowItsNodesFare) {
    Watching t;
    t.run(100);
    for (int i = 0; i < 4; ++i) t.window(1000, 500, 20 * ms);
    EXPECT_EQ(t.events("node-slow"), 1u);
    EXPECT_EQ(t.events("node-lossy"), 1u);
    t.w.machine.events.clear();
    Engine next(t.w.machine, t.w.intent, t.w.engine.topology);
    next.now_ns = t.w.engine.now_ns;
    t.run(next, 20'000);
    EXPECT_EQ(t.events("node-whole") + t.events("node-fast") + t.events("node-load"), 0u);
    t.run(next, 100'000);
    for (const char* node : {"n1", "n6"}) {
        EXPECT_EQ(t.events("node-whole", node), 1u) << node;
        EXPECT_EQ(t.events("node-fast", node), 1u) << node;
        EXPECT_EQ(t.events("node-load", node), 1u) << node;
    }
}

TEST(NodeWatch, WhatAnEngineSaysSetsTheControllerRight) {
    model::Snapshot intent = node_intent(), reported;
    const auto tell = [&](const std::string& what, const std::string& more = "", int id = 1) {
        const auto event = model::parse_json(R"({"event":")" + what +
                                             R"(","node":"n1","node_id":)" + std::to_string(id) +
                                             more + "}");
        return answer(*event, "h3", intent, reported);
    };
    EXPECT_FALSE(tell("node-whole"));
    EXPECT_FALSE(tell("node-fast"));
    EXPECT_FALSE(tell("node-load", R"(,"load":0)"));
    EXPECT_TRUE(reported.all<ServiceNodeStatus>().empty()) << "nothing is wrong with it";
    EXPECT_TRUE(tell("node-lossy"));
    EXPECT_TRUE(tell("node-slow"));
    EXPECT_TRUE(tell("node-load", R"(,"load":950)"));
    EXPECT_FALSE(tell("node-load", R"(,"load":950)"));
    EXPECT_TRUE(tell("node-whole", R"(,"again":true)"));
    EXPECT_TRUE(tell("node-fast", R"(,"again":true)"));
    EXPECT_TRUE(tell("node-load", R"(,"load":0)"));
    const auto* status = reported.find<ServiceNodeStatus>("n1");
    ASSERT_NE(status, nullptr);
    EXPECT_FALSE(status->lossy || status->slow);
    EXPECT_EQ(status->load, 0u);
    test::edit<ServiceNode>(intent, "n1", [](ServiceNode& node) { node.id = 9; });
    EXPECT_TRUE(tell("node-load", R"(,"load":500)", 9));
    EXPECT_EQ(reported.find<ServiceNodeStatus>("n1")->node_id, 9u) << "another node of that name";
}

}  // namespace
}  // namespace weir::chain
