#include <gtest/gtest.h>

#include "features/chain/liveness/liveness.hpp"
#include "features/chain/orders/ctrl.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/testing/test_nodes.hpp"

namespace weir::chain {
namespace {

using namespace test;
using State = dataplane::HealthBoard::State;

// --- what other hosts say
// -------------------------------------------------------------------------

// Host h3 hears of n2, which is on h4 and on the paths that h3 has hops of.
struct Hearing : World {
    static model::Snapshot planned() {
        model::Snapshot intent = node_intent();
        model::Snapshot out = intent;
        ServicePath path;
        path.name = "c1-11";
        path.spi = 11;
        path.sci = 1;
        path.svni = 9001;
        for (const auto& [node, host] : {std::pair(1u, 3u), std::pair(2u, 4u)}) {
            PathHop hop;
            hop.node_id = node;
            hop.host_id = host;
            path.forward.push_back(hop);
        }
        out.put(path);
        return out;
    }
    Hearing() : World(1, planned()) {
        ctrl.op = static_cast<std::uint8_t>(CtrlOp::node_down);
        ctrl.scope = ctrl_node_scope;
        ctrl.issuer = 2;
        ctrl.sequence = 1000;
        smd.oam = smd.returning = true;
        smd.anchor_host = 3;
    }
    std::string say() {
        Packet& p = packet(Frame(60));
        p.smd = smd;
        p.tunnel_peer = from;
        p.vni = vni;
        encode(ctrl, p.ctrl[0]);
        if (damage) p.ctrl[0][0] = 0xf0;
        p.ctrl_count = ctrl_count;
        fate = engine.hear(p);
        if (fate != taken) machine.free(p);
        return fate;
    }
    State state() const { return machine.health.get(2); }

    Ctrl ctrl;
    net::Smd smd;
    std::uint32_t from = 4, vni = 9001;
    std::uint8_t ctrl_count = 1;
    bool damage = false;
};

TEST(LivenessMessages, ANodesOwnHostIsBelieved) {
    Hearing w;
    const std::uint32_t generation = w.machine.health.generation;
    EXPECT_EQ(w.say(), taken);
    EXPECT_EQ(w.state(), State::down);
    EXPECT_GT(w.machine.health.generation, generation);  // flows look again (LV-8)
    ASSERT_EQ(w.machine.events.size(), 1u);
    EXPECT_NE(w.machine.events[0].find("node-down-heard"), std::string::npos);
    ++w.ctrl.sequence;
    EXPECT_EQ(w.say(), taken);  // idempotent
    EXPECT_EQ(w.machine.events.size(), 1u);
    EXPECT_EQ(w.machine.in_use, 0u);
}

TEST(LivenessMessages, OthersAreNot) {
    Hearing w;
    w.from = 1;
    EXPECT_EQ(w.say(), "ctrl.wrong_host");
    w.from = 4;
    w.ctrl.issuer = 77;
    EXPECT_EQ(w.say(), "ctrl.unknown_issuer");
    w.ctrl.issuer = 2;
    w.vni = 9002;
    EXPECT_EQ(w.say(), "ctrl.unknown_issuer");
    w.vni = 9001;
    w.ctrl.issuer = 1;  // our own node
    EXPECT_EQ(w.say(), "ctrl.wrong_host");
    EXPECT_EQ(w.state(), State::unknown);
}

// A host counts by its own clock: what the node's new host says is no replay.
TEST(LivenessMessages, TheNewHostOfANodeCountsAnew) {
    Hearing w;
    ServiceNodeMove move;
    move.name = "n2";
    move.node_id = 2;
    move.svni = 9001;
    move.number = 1;
    move.from = "h4";
    move.from_id = 4;
    move.to = "h1";
    move.to_id = 1;
    w.intent.put(move);
    w.engine.publish(w.intent);
    w.ctrl.op = static_cast<std::uint8_t>(CtrlOp::overload);
    w.ctrl.valid_s = 60;
    w.ctrl.parameter = 500;
    EXPECT_EQ(w.say(), taken);
    EXPECT_EQ(w.say(), "REPLAY");
    w.from = 1;
    w.ctrl.sequence = 5;
    w.ctrl.parameter = 100;
    EXPECT_EQ(w.say(), taken);
    EXPECT_EQ(w.machine.health.overloads().share(2), 100u);
}

TEST(LivenessMessages, MalformedOnesAreDropped) {
    Hearing w;
    w.damage = true;
    EXPECT_EQ(w.say(), "ctrl.bad_ctrl");
    w.damage = false;
    const auto with = [&](auto change) {
        Hearing other;
        change(other);
        return other.say();
    };
    EXPECT_EQ(with([](Hearing& h) { h.smd.spi = 11; }), "ctrl.bad_ctrl");
    EXPECT_EQ(with([](Hearing& h) { h.smd.initial_si = 2; }), "ctrl.bad_ctrl");
    EXPECT_EQ(with([](Hearing& h) { h.smd.flow_handle = 2; }), goes_on);  // Orders refuses it
    EXPECT_EQ(with([](Hearing& h) {
                  h.ctrl.scope = 3;
                  h.ctrl.flow_handle = 9;
              }),
              "ctrl.unsupported_op");
    EXPECT_EQ(with([](Hearing& h) { h.ctrl.op = static_cast<std::uint8_t>(CtrlOp::restore); }),
              "ctrl.unsupported_op");
    EXPECT_EQ(with([](Hearing& h) { h.ctrl.op = static_cast<std::uint8_t>(CtrlOp::overload); }),
              "ctrl.bad_ctrl");  // for no time
}

TEST(LivenessMessages, WhatIsNoMessageForThisHostGoesOn) {
    Hearing w;
    w.smd.oam = false;
    EXPECT_EQ(w.say(), goes_on);
    w.smd.oam = true;
    w.smd.returning = false;
    EXPECT_EQ(w.say(), goes_on);
    w.smd.returning = true;
    w.ctrl_count = 0;
    EXPECT_EQ(w.say(), goes_on);
    w.ctrl_count = 1;
    w.smd.anchor_host = 1;
    EXPECT_EQ(w.say(), goes_on);
}

TEST(LivenessMessages, OldOnesAreReplays) {
    Hearing w;
    EXPECT_EQ(w.say(), taken);
    EXPECT_EQ(w.say(), "REPLAY");
    w.ctrl.sequence = 999;
    EXPECT_EQ(w.say(), "REPLAY");
    w.engine.now_ns += 60 * second;  // the other host may have started anew
    EXPECT_EQ(w.say(), taken);
}

TEST(LivenessMessages, AreLimitedPerIssuer) {
    Hearing w;
    unsigned applied = 0;
    while (w.say() == taken) {
        ++applied;
        ++w.ctrl.sequence;
    }
    EXPECT_EQ(w.say(), "RATE_LIMIT");
    EXPECT_EQ(applied, 2000u);
    w.engine.now_ns += 100 * ms;
    for (applied = 0; w.say() == taken; ++applied) ++w.ctrl.sequence;
    EXPECT_EQ(applied, 1000u);
}

TEST(LivenessMessages, WithoutMemoryNothingIsBelieved) {
    Machine machine;
    machine.no_memory = true;
    Engine engine(machine, Hearing::planned(), node_ports(node_intent()));
    Packet* p = machine.make();
    p->smd.oam = p->smd.returning = true;
    p->smd.anchor_host = 3;
    p->ctrl_count = 1;
    EXPECT_EQ(engine.hear(*p), "ctrl.unknown_issuer");
    machine.free(*p);
}

// --- what the controller says
// ---------------------------------------------------------------------

void say_status(World& w, model::Snapshot& intent, std::uint32_t id, NodeState state,
                std::uint64_t generation) {
    ServiceNodeStatus status;
    status.name = "n" + std::to_string(id);
    status.node_id = id;
    status.state = state;
    status.generation = generation;
    intent.put(status);
    w.engine.publish(intent);
    w.engine.now_ns += ms;
    w.engine.tick();
    w.machine.sent.clear();
}

TEST(LivenessStatus, NewerWordsOfTheControllerCount) {
    Hearing w;
    model::Snapshot intent = w.intent;
    say_status(w, intent, 2, NodeState::up, 5);
    EXPECT_EQ(w.state(), State::up);
    EXPECT_EQ(w.say(), taken);
    EXPECT_EQ(w.state(), State::down);
    say_status(w, intent, 2, NodeState::up, 5);  // says nothing new
    EXPECT_EQ(w.state(), State::down);
    say_status(w, intent, 2, NodeState::down, 6);
    say_status(w, intent, 2, NodeState::up, 7);
    EXPECT_EQ(w.state(), State::up);
    say_status(w, intent, 2, NodeState::down, 8);
    EXPECT_EQ(w.state(), State::down);
    say_status(w, intent, 2, NodeState::up, 4);
    EXPECT_EQ(w.state(), State::down);
}

TEST(LivenessStatus, AnotherEngineDoesNotApplyOldWordsAgain) {
    Hearing w;
    model::Snapshot intent = w.intent;
    say_status(w, intent, 2, NodeState::up, 5);
    EXPECT_EQ(w.say(), taken);
    Engine next(w.machine, intent, node_ports(intent));
    next.tick();
    EXPECT_EQ(w.state(), State::down);
}

TEST(LivenessStatus, NodesJudgedHereAreNobodyElsesMatter) {
    Hearing w;
    model::Snapshot intent = w.intent;
    say_status(w, intent, aware_node, NodeState::down, 5);
    say_status(w, intent, l2_node, NodeState::down, 5);
    EXPECT_EQ(w.machine.health.get(aware_node), State::unknown);
    EXPECT_EQ(w.machine.health.get(l2_node), State::unknown);
    edit<Service>(intent, "fw", [](Service& s) { s.liveness_support = false; });
    say_status(w, intent, aware_node, NodeState::down, 5);
    EXPECT_EQ(w.machine.health.get(aware_node), State::down);
}

// Nodes come and go for months: thousands of numbers, never more than there is room for at once.
TEST(LivenessStatus, NodesThatAreGoneMakeRoom) {
    Hearing w;
    constexpr std::uint32_t at_once = 450, rounds = 10;
    for (std::uint32_t round = 0; round < rounds; ++round) {
        model::Snapshot intent = w.intent;
        const std::uint32_t first = 2000 + round * at_once;
        for (std::uint32_t id = first; id < first + at_once; ++id) {
            ServiceNodeStatus status;
            status.name = "x" + std::to_string(id);
            status.node_id = id;
            status.generation = 1;
            status.state = NodeState::down;
            intent.put(status);
        }
        w.engine.publish(intent);
        for (int i = 0; i < 4; ++i) {
            w.engine.now_ns += 400 * second;
            w.engine.tick();
        }
        for (std::uint32_t id = first; id < first + at_once; ++id)
            ASSERT_EQ(w.machine.health.get(id), State::down) << id;
        if (round > 1) {
            EXPECT_EQ(w.machine.health.get(first - at_once - 1), State::unknown);
        }
    }
    Collected counters;
    Liveness::counters(*w.engine.live_tables, w.engine.workers[0]->live, counters);
    EXPECT_EQ(counters.values["weir_limit_hits_total table=nodes_heard_of"], 0u);
    EXPECT_EQ(counters.values["weir_limit_hits_total table=node_health"], 0u);
    // One that comes back is heard anew, whatever its status said then.
    model::Snapshot intent = w.intent;
    say_status(w, intent, 2000, NodeState::down, 1);
    EXPECT_EQ(w.machine.health.get(2000), State::down);
}

// Of a node that finds no room nothing is known; that it was so is counted.
TEST(LivenessStatus, NodesWithoutRoomAreCounted) {
    Hearing w;
    model::Snapshot intent = w.intent;
    constexpr std::uint32_t more = 100;
    for (std::uint32_t id = 2000; id < 2000 + dataplane::HealthBoard::capacity + more; ++id) {
        ServiceNodeStatus status;
        status.name = "x" + std::to_string(id);
        status.node_id = id;
        status.generation = 1;
        intent.put(status);
    }
    say_status(w, intent, 2, NodeState::up, 5);
    Collected counters;
    Liveness::counters(*w.engine.live_tables, w.engine.workers[0]->live, counters);
    EXPECT_GE(counters.values["weir_limit_hits_total table=nodes_heard_of"], more);
}

}  // namespace
}  // namespace weir::chain
