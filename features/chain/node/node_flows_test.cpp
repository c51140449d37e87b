#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "features/chain/node/from_node.hpp"
#include "features/chain/testing/test_nodes.hpp"

// Many packets through nodes: rates, workers, engines one after the other, latency, traces.
namespace weir::chain {
namespace {

using namespace test;

// SEC-12: 1000 packets a second and 1.2 times what the node was given.
TEST(FromNode, ANodeThatSendsMoreThanItGotIsLimited) {
    World w;
    const Frame forged = w.deliver(7, left_port);
    w.forget();
    w.engine.now_ns += ms;
    unsigned passed = 0;
    while (w.give_back(forged, right_port) == goes_on && passed < 5000) ++passed;
    EXPECT_EQ(w.fate, "RATE_LIMIT");
    EXPECT_EQ(passed, 1000u);  // nothing was given since the limiter first looked
    w.engine.now_ns += second;
    for (passed = 0; w.give_back(forged, right_port) == goes_on;) ++passed;
    EXPECT_EQ(passed, 1000u);
    for (std::uint32_t i = 0; i < 5000; ++i) w.deliver(7, left_port);
    w.engine.now_ns += ms;
    for (passed = 0; w.give_back(forged, right_port) == goes_on;) ++passed;
    EXPECT_EQ(passed, 6000u + 1);  // 1.2 × 5000, and 1 ms of the 1000 a second
    EXPECT_EQ(w.give_back(w.deliver(7, right_port, true), left_port),
              goes_on);  // the other way is open
}

TEST(FromNode, AnHonestNodeIsNeverLimited) {
    World w;
    for (int i = 0; i < 20'000; ++i) {
        if (i % 7 == 0) w.engine.now_ns += 3000;
        ASSERT_EQ(
            w.give_back(echoed(w.deliver(static_cast<std::uint32_t>(i), aware_port)), aware_port),
            goes_on)
            << i;
    }
}

TEST(NodeRate, FollowsAWindowOfASecond) {
    NodeRate rate;
    const auto burst = [&] {
        unsigned n = 0;
        while (rate.take()) ++n;
        return n;
    };
    rate.refill(1'000'000, 50 * second);  // what was given before counts for nothing
    EXPECT_EQ(burst(), 1000u);
    rate.refill(1'000'100, 50 * second);
    EXPECT_EQ(burst(), 120u);
    rate.refill(1'001'100, 50 * second + 999 * ms);
    EXPECT_EQ(burst(), 1200u + 999u);
    rate.refill(1'001'100, 500 * second);
    EXPECT_EQ(burst(), 1000u);  // a long silence saves nothing up
}

// Scenario 11: many flows through one L2 node, each frame finds its own metadata, on every worker.
TEST(FromNode, AThousandFlowsThroughOneL2Node) {
    World w(2);
    constexpr std::uint32_t flows = 1000;
    struct Inside {
        std::uint32_t number;
        bool reverse;
        Frame frame;
    };
    std::vector<Inside> inside;
    for (std::uint32_t i = 0; i < flows; ++i) {
        for (const bool reverse : {false, true}) {
            const std::uint32_t owner = i % 2;
            inside.push_back({i, reverse, w.deliver(i, left_port, reverse, owner)});
            ASSERT_EQ(w.at_port, reverse ? right_port : left_port);
        }
    }
    std::shuffle(inside.begin(), inside.end(), std::mt19937(11));
    for (const Inside& packet : inside) {
        const std::uint32_t port = packet.reverse ? left_port : right_port;
        std::uint32_t at = 0;  // both ports are polled by worker 0
        if (w.give_back(packet.frame, port, at) == taken) {
            at = packet.number % 2;
            ASSERT_EQ(w.machine.handed[at].size(), 1u);
            Packet& p = *w.machine.handed[at].front();
            w.machine.handed[at].pop_front();
            ASSERT_EQ(p.hand.dispatched, 2);
            ASSERT_EQ(w.give_back(p, at), goes_on);
        }
        ASSERT_EQ(w.fate, goes_on);
        ASSERT_EQ(at, packet.number % 2);
        net::Smd expected = smd_of(packet.number, packet.reverse);
        --expected.si;
        ASSERT_EQ(w.returned->smd, expected);
        ASSERT_EQ(w.returned_frame(), guest_frame(packet.number, packet.reverse));
    }
    w.forget();
    EXPECT_EQ(w.machine.in_use, 0u);
}

TEST(FromNode, APacketIsHandedOnOnlyOnce) {
    World w(2);
    Frame seen = w.deliver(7, left_port, false, 1);
    Packet& p = w.packet(seen);
    p.hand.port = right_port;
    p.hand.dispatched = 2;
    EXPECT_EQ(w.give_back(p, 0),
              "NO_CONTEXT");  // it says it was handed to worker 0, which is not so
}

// What is inside nodes survives the engine: contexts, cookies and secrets are the host's.
TEST(FromNode, AnotherEngineTakesBackWhatTheFirstGave) {
    World w;
    const Frame aware = w.deliver(7, aware_port), l2 = w.deliver(8, left_port);
    Engine second_engine(w.machine, w.intent, node_ports(w.intent));
    for (const auto& [frame, port, number] :
         {std::tuple(echoed(aware), aware_port, 7u), std::tuple(l2, right_port, 8u)}) {
        Packet& p = w.packet(frame);
        p.hand.port = port;
        ASSERT_EQ(second_engine.from_node(p), goes_on);
        EXPECT_EQ(p.smd.flow_handle, smd_of(number).flow_handle);
        w.machine.free(p);
    }
    EXPECT_EQ(w.give_back(w.deliver(8, left_port), right_port),
              goes_on);  // and the first still works
}

TEST(FromNode, ANodeThatLeavesGivesItsMemoryToAnother) {
    model::Snapshot intent = node_intent();
    World w(1, intent);
    const Frame old = w.deliver(7, left_port);
    for (std::size_t i = 2; i < max_local_nodes; ++i)
        w.engine.workers[0]->to.binding.memory()->slots[i].node_id =
            1000 + static_cast<std::uint32_t>(i);
    edit<ServiceNode>(intent, "n6", [](ServiceNode& n) { n.id = 66; });
    w.engine.publish(intent);
    EXPECT_EQ(w.give_back(old, right_port), "NO_CONTEXT");
    EXPECT_EQ(w.give_back(w.deliver(7, left_port), right_port), goes_on);
    EXPECT_EQ(w.engine.workers[0]->to.binding.slot(1).node_id.load(), 66u);
}

TEST(FromNode, LatencyIsTimedThroughBothKindsOfNodes) {
    World w;
    const auto through = [&](std::uint32_t to, std::uint32_t from, std::uint64_t took_ns) {
        Frame seen = w.deliver(7, to);
        if (to == aware_port) seen = echoed(seen);
        w.engine.now_ns += took_ns;
        ASSERT_EQ(w.give_back(seen, from), goes_on);
        w.engine.now_ns += 20 * ms;
    };
    for (const std::uint64_t us : {0u, 3u, 100u, 900'000u}) {
        through(aware_port, aware_port, us * 1000);
        through(left_port, right_port, us * 1000);
    }
    Collected counters;
    FromNode::counters(*w.engine.from_tables, w.engine.workers[0]->from, counters);
    for (const std::string node : {"n1", "n6"}) {
        const auto bucket = [&](const char* le) {
            return counters
                .values["weir_service_node_latency_microseconds_bucket node=" + node + " le=" + le];
        };
        EXPECT_EQ(bucket("1"), 1u) << node;
        EXPECT_EQ(bucket("2"), 1u);
        EXPECT_EQ(bucket("4"), 2u);
        EXPECT_EQ(bucket("64"), 2u);
        EXPECT_EQ(bucket("128"), 3u);
        EXPECT_EQ(bucket("524288"), 3u);
        EXPECT_EQ(bucket("1048576"), 4u);
        EXPECT_EQ(bucket("+Inf"), 4u);
        EXPECT_EQ(counters.values["weir_service_node_latency_microseconds_sum node=" + node],
                  900'103u);
    }
}

// A packet that never comes back does not stop the clock for good, and its late return is not taken
// for a fast one.
TEST(FromNode, LatencySurvivesLostPackets) {
    World w;
    w.deliver(7, aware_port);  // timed, lost
    w.engine.now_ns += 100 * ms;
    ASSERT_EQ(w.give_back(echoed(w.deliver(7, aware_port)), aware_port), goes_on);
    EXPECT_EQ(w.engine.workers[0]->from.latency[0].total, 0u);
    w.engine.now_ns += second;
    const Frame timed = w.deliver(7, aware_port);
    w.engine.now_ns += 5 * 1000;
    ASSERT_EQ(w.give_back(echoed(timed), aware_port), goes_on);
    EXPECT_EQ(w.engine.workers[0]->from.latency[0].count[3], 1u);  // below 8 µs
}

// One of many packets that are inside a bump in the wire, which drops some.
TEST(FromNode, LatencyIsThatOfThePacketItselfWithOthersInside) {
    World w;
    std::deque<Frame> inside;
    for (std::uint32_t i = 0; i < 2000; ++i, w.engine.now_ns += ms) {
        net::FrameBuilder f;
        f.eth(peer_mac, guest_mac).ip("192.168.10.11", "192.168.10.12");
        inside.push_back(w.deliver(f.tcp(10'007, 80, 0x10, i * 100).payload(20).build(), smd_of(7),
                                   left_port));
        if (inside.size() <= 300) continue;
        if (i % 50 != 0) {
            ASSERT_EQ(w.give_back(inside.front(), right_port), goes_on);
        }
        inside.pop_front();
    }
    const Latency& latency = w.engine.workers[0]->from.latency[1];
    EXPECT_GE(latency.total, 4u);
    EXPECT_EQ(latency.count[latency_bucket(300 * ms)], latency.total);
}

TEST(FromNode, TracedPacketsStayTraced) {
    World w;
    net::Smd traced = smd_of(7);
    traced.trace = true;
    for (const auto& [to, from] :
         {std::pair(aware_port, aware_port), std::pair(left_port, right_port)}) {
        Packet& p = w.service_packet(guest_frame(7), traced, to);
        p.hand.trace_id = 4711;
        p.hand.trace_collector = 2;
        ASSERT_EQ(w.engine.to_node(p), taken);
        Frame seen = w.machine.sent.back().frame;
        if (to == aware_port) seen = echoed(seen);
        ASSERT_EQ(w.give_back(seen, from), goes_on);
        EXPECT_EQ(w.returned->hand.trace_id, 4711u);
        EXPECT_EQ(w.returned->hand.trace_collector, 2u);
    }
    ASSERT_EQ(w.give_back(echoed(w.deliver(8, aware_port)), aware_port), goes_on);
    EXPECT_EQ(w.returned->hand.trace_id, 0u);
}

}  // namespace
}  // namespace weir::chain
