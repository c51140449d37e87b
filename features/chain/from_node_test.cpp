#include "features/chain/from_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "features/chain/heartbeat.hpp"
#include "features/chain/test_nodes.hpp"

namespace weir::chain {
namespace {

using namespace test;

std::uint64_t count(const World& w, FromNode::Exit exit) {
    return w.engine.from_exits.count[static_cast<std::size_t>(exit)];
}

TEST(FromNode, AwareNodeReturnsThePacketWithItsMetadata) {
    World w;
    const Frame seen = w.deliver(7, aware_port);
    ASSERT_EQ(w.give_back(echoed(seen), aware_port), goes_on);
    net::Smd expected = smd_of(7);
    expected.si = 1;  // counted down by the proxy
    EXPECT_EQ(w.returned->smd, expected);
    EXPECT_EQ(w.returned_frame(), guest_frame(7));
    EXPECT_EQ(w.returned->vni, 9001u);
    EXPECT_EQ(w.returned->tuple.dst_port, 80);
    EXPECT_EQ(w.returned->destination_port, net::no_port);
    EXPECT_EQ(w.returned->hash, net::symmetric_hash(w.returned->tuple));
}

TEST(FromNode, L2NodeReturnsThePacketWithItsMetadata) {
    World w;
    for (const bool reverse : {false, true}) {
        const Frame seen = w.deliver(7, left_port, reverse);
        ASSERT_EQ(w.give_back(seen, reverse ? left_port : right_port), goes_on) << reverse;
        net::Smd expected = smd_of(7, reverse);
        expected.si = 1;
        EXPECT_EQ(w.returned->smd, expected);
        EXPECT_EQ(w.returned_frame(), guest_frame(7, reverse));
    }
}

TEST(FromNode, TheGuestsOwnVlanTagStaysInside) {
    World w;
    const Frame sent = net::FrameBuilder().eth(peer_mac, guest_mac).vlan(100)
                           .ip("192.168.10.11", "192.168.10.12").tcp(4000, 80, 0x10).payload(99).build();
    const Frame seen = w.deliver(sent, smd_of(7), left_port);
    ASSERT_EQ(w.give_back(seen, right_port), goes_on);
    EXPECT_EQ(w.returned_frame(), sent);
    EXPECT_EQ(w.returned->headers.vlan, 100);
}

// Scenario 10: who counts the index down, and what else may come back.
struct IndexCase {
    bool can_decrement;
    int change;  // by the node
    std::string fate;
};
class Index : public testing::TestWithParam<IndexCase> {};
TEST_P(Index, IsCountedDownExactlyOnce) {
    model::Snapshot intent = node_intent();
    edit<Service>(intent, "fw", [](Service& s) { s.can_decrement_si = GetParam().can_decrement; });
    World w(1, intent);
    const Frame answer = with_nsh(echoed(w.deliver(7, aware_port)), [](net::Nsh& nsh) {
        nsh.smd.si = static_cast<std::uint8_t>(nsh.smd.si + GetParam().change);
    });
    EXPECT_EQ(w.give_back(answer, aware_port), GetParam().fate);
    if (w.fate == goes_on) {
        EXPECT_EQ(w.returned->smd.si, 1);
    }
}
INSTANTIATE_TEST_SUITE_P(FromNode, Index,
                         testing::Values(IndexCase{false, 0, goes_on}, IndexCase{true, -1, goes_on},
                                         IndexCase{false, -1, "BAD_SI"}, IndexCase{true, 0, "BAD_SI"},
                                         IndexCase{true, -2, "BAD_SI"}, IndexCase{false, 1, "BAD_SI"},
                                         IndexCase{true, 1, "BAD_SI"}, IndexCase{false, -2, "BAD_SI"}));

TEST(FromNode, TheLastIndexBecomesZeroEitherWay) {
    for (const bool can_decrement : {false, true}) {
        model::Snapshot intent = node_intent();
        edit<Service>(intent, "fw", [&](Service& s) { s.can_decrement_si = can_decrement; });
        World w(1, intent);
        net::Smd last = smd_of(7);
        last.si = 1;
        Frame answer = echoed(w.deliver(guest_frame(7), last, aware_port));
        if (can_decrement) answer = with_nsh(answer, [](net::Nsh& nsh) { nsh.smd.si = 0; });
        ASSERT_EQ(w.give_back(answer, aware_port), goes_on);
        EXPECT_EQ(w.returned->smd.si, 0);
    }
}

// SEC-9, one change after the other.
const std::pair<const char*, std::function<void(net::Nsh&)>> tampering[] = {
    {"moved", [](net::Nsh& n) { n.smd.moved = true; }},
    {"direction", [](net::Nsh& n) { n.smd.reverse = true; }},
    {"call point", [](net::Nsh& n) { n.smd.at_ingress = true; }},
    {"path", [](net::Nsh& n) { n.smd.spi ^= 1; }},
    {"initial index", [](net::Nsh& n) { n.smd.initial_si = 3; }},
    {"chain", [](net::Nsh& n) { n.smd.sci = 2; }},
    {"epoch", [](net::Nsh& n) { ++n.smd.path_epoch; }},
    {"tenant", [](net::Nsh& n) { n.smd.tenant_vni = 5002; }},
    {"skip mask", [](net::Nsh& n) { n.smd.skip_mask = 2; }},
    {"anchor host", [](net::Nsh& n) { n.smd.anchor_host = 2; }},
    {"anchor port", [](net::Nsh& n) { n.smd.anchor_port ^= 1; }},
    {"flow handle", [](net::Nsh& n) { n.smd.flow_handle ^= 1; }},
    {"ttl", [](net::Nsh& n) { n.smd.ttl = 63; }},
    {"copy", [](net::Nsh& n) { n.smd.copy = true; }},
    {"returning", [](net::Nsh& n) { n.smd.returning = true; }},
    {"trace", [](net::Nsh& n) { n.smd.trace = true; }},
    {"cookie", [](net::Nsh& n) { n.cookie ^= 0x80000000; }},
    {"path and index", [](net::Nsh& n) { n.smd.spi ^= 1; n.smd.si = 1; }},
};
TEST(FromNode, WhatANodeMustNotChangeIsNoticed) {
    for (const auto& [what, change] : tampering) {
        World w;
        const Frame answer = with_nsh(echoed(w.deliver(7, aware_port)), change);
        EXPECT_EQ(w.give_back(answer, aware_port), "IMMUTABLE_TAMPER") << what;
    }
    for (const std::size_t at : {0u, 6u}) {  // the guest's MACs
        World w;
        Frame answer = echoed(w.deliver(7, aware_port));
        answer[14 + 44 + at + 5] ^= 1;
        EXPECT_EQ(w.give_back(answer, aware_port), "IMMUTABLE_TAMPER") << at;
    }
}

TEST(FromNode, WhatANodeMayChangeIsTaken) {
    World w;
    const Frame answer = with_nsh(echoed(w.deliver(7, aware_port)), [](net::Nsh& nsh) {
        nsh.smd.flow_tag = 0x1234;
        nsh.smd.live_ack = nsh.smd.live_query = true;
        nsh.control = net::NodeControl{4, 3, 1, 0};
    });
    ASSERT_EQ(w.give_back(answer, aware_port), goes_on);
    EXPECT_EQ(w.returned->smd.flow_tag, 0x1234u);
    EXPECT_FALSE(w.returned->smd.live_ack);  // 0 between hosts
    EXPECT_FALSE(w.returned->smd.live_query);
    EXPECT_EQ(w.engine.workers[0]->from.orders, 1u);
}

// A cookie seen in one packet, or one of another node, does not open another.
TEST(FromNode, CookiesOfOthersAreNoticed) {
    World w;
    const std::uint32_t other = nsh_of(w.deliver(8, aware_port)).nsh.cookie;
    const Frame answer = with_nsh(echoed(w.deliver(7, aware_port)), [&](net::Nsh& nsh) { nsh.cookie = other; });
    EXPECT_EQ(w.give_back(answer, aware_port), "IMMUTABLE_TAMPER");
    World another_host;
    EXPECT_EQ(another_host.give_back(echoed(w.deliver(7, aware_port)), aware_port), "IMMUTABLE_TAMPER");
}

TEST(FromNode, BadNsh) {
    World w;
    const Frame good = echoed(w.deliver(7, aware_port));
    const std::pair<std::size_t, std::uint8_t> damage[] = {
        {14, 0x40},      // version
        {15, 0x3f},      // length beyond the packet
        {16, 0x00},      // MD type 0
        {17, 0x01},      // next protocol IPv4
        {22, 0x00},      // context header of another class
        {25, 0x10},      // context header of another length
    };
    for (const auto& [at, value] : damage) {
        Frame bad = good;
        bad[at] = value;
        EXPECT_EQ(w.give_back(bad, aware_port), "from_node.bad_nsh") << at;
    }
    for (std::size_t length = 14; length < 14 + 44; ++length)
        EXPECT_EQ(w.give_back(Frame(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)), aware_port),
                  "from_node.bad_nsh") << length;
}

TEST(FromNode, ANodeCannotBringInFramesOfItsOwn) {
    World w;
    EXPECT_EQ(w.give_back(guest_frame(1), aware_port), "NO_CONTEXT");
    EXPECT_EQ(w.give_back(guest_frame(1), left_port), "NO_CONTEXT");
    EXPECT_EQ(w.give_back(Frame(5), aware_port), "NO_CONTEXT");
    EXPECT_EQ(w.give_back(Frame(5), right_port), "NO_CONTEXT");
    EXPECT_EQ(w.give_back(Frame{}, right_port), "NO_CONTEXT");
    const Frame seen = w.deliver(7, left_port);
    Frame tagged = seen;
    for (const std::uint16_t vlan : {std::uint16_t(vlan_of(seen) + 1), std::uint16_t{0}, std::uint16_t{4095}}) {
        net::store16(tagged.data() + 14, vlan);
        EXPECT_EQ(w.give_back(tagged, right_port), "NO_CONTEXT") << vlan;
    }
    EXPECT_EQ(w.give_back(Frame(seen.begin(), seen.begin() + 16), right_port), "NO_CONTEXT");
    w.engine.now_ns += 5 * 3600 * second;  // the context's time is over
    EXPECT_EQ(w.give_back(seen, right_port), "NO_CONTEXT");
    // Metadata type 1 was never given to the node.
    const Frame md1 = with_nsh(echoed(w.deliver(7, aware_port)),
                               [](net::Nsh& nsh) { nsh.md_type = net::MdType::fixed; });
    EXPECT_EQ(w.give_back(md1, aware_port), "NO_CONTEXT");
}

// Scenario 12.
TEST(FromNode, WrongSide) {
    World w;
    EXPECT_EQ(w.give_back(w.deliver(7, left_port), left_port), "WRONG_SIDE");
    EXPECT_EQ(w.give_back(w.deliver(7, right_port, true), right_port), "WRONG_SIDE");
    EXPECT_EQ(count(w, FromNode::Exit::wrong_side), 2u);
}

TEST(FromNode, SourcesMustBeTheNodesOrTheGuests) {
    World w;
    EXPECT_EQ(w.give_back(w.deliver(7, aware_port), aware_port), "from_node.wrong_source");
    for (const std::size_t at : {5u, 11u}) {
        Frame seen = w.deliver(7, left_port);
        seen[at] ^= 1;
        EXPECT_EQ(w.give_back(seen, right_port), "from_node.wrong_source") << at;
    }
}

TEST(FromNode, CopiesEndHere) {
    World w;
    net::Smd copy = smd_of(7);
    copy.copy = true;
    EXPECT_EQ(w.give_back(echoed(w.deliver(guest_frame(7), copy, aware_port)), aware_port), "COPY_RETURN");
    EXPECT_EQ(w.give_back(w.deliver(guest_frame(7), copy, left_port), right_port), "COPY_RETURN");
}

TEST(FromNode, UnreadableGuestFrames) {
    World w;
    Frame seen = w.deliver(7, left_port);
    seen[18] = 0x65;  // IP version
    EXPECT_EQ(w.give_back(seen, right_port), "from_node.bad_frame");
    const Frame whole = echoed(w.deliver(7, aware_port));
    for (std::size_t inner = 0; inner < 14; ++inner)
        EXPECT_EQ(w.give_back(Frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(58 + inner)), aware_port),
                  "from_node.bad_frame") << inner;
    Frame damaged = whole;
    damaged[58 + 14 + 1 + 9] ^= 0x55;  // IP checksum no longer right
    EXPECT_EQ(w.give_back(damaged, aware_port), "from_node.bad_frame");
}

TEST(FromNode, PortsWithoutANode) {
    World w;
    EXPECT_EQ(w.give_back(guest_frame(1), guest_port), "from_node.not_a_node");
    EXPECT_EQ(w.give_back(guest_frame(1), 99), "from_node.not_a_node");
}

TEST(FromNode, LivenessAnswersEndHere) {
    World w;
    NodeSlot& slot = w.engine.workers[0]->from.binding.slot(0);
    const Frame seen = w.deliver(7, aware_port);
    const auto answer = [&](bool oam, bool ack, bool header_only) {
        Frame frame = with_nsh(echoed(seen), [&](net::Nsh& nsh) {
            nsh.smd.oam = oam;
            nsh.smd.live_ack = ack;
        });
        if (header_only) frame.resize(58);
        return w.give_back(frame, aware_port);
    };
    EXPECT_EQ(answer(true, true, true), taken);
    EXPECT_EQ(slot.heard[0].load(), 1u);
    EXPECT_EQ(answer(true, true, false), taken);
    EXPECT_EQ(answer(true, false, true), "NO_CONTEXT");
    EXPECT_EQ(slot.heard[0].load(), 2u);
    EXPECT_EQ(answer(false, true, false), goes_on);
    EXPECT_EQ(slot.heard[0].load(), 3u);
    EXPECT_EQ(w.machine.in_use, 1u);  // the one that goes on

    World silent(1, two_services());  // a service that does not say it answers
    const Frame other = silent.deliver(7, aware_port);
    const Frame ack = with_nsh(echoed(other), [](net::Nsh& nsh) { nsh.smd.oam = nsh.smd.live_ack = true; });
    EXPECT_EQ(silent.give_back(ack, aware_port), "NO_CONTEXT");
}

Frame heartbeat(std::uint32_t node, std::uint32_t sequence, Side entered) {
    net::PacketBuffer buffer;
    EXPECT_TRUE(build_heartbeat(buffer.packet(), {{node, sequence, 5}, entered}));
    return buffer.frame();
}

TEST(FromNode, HeartbeatsEndHere) {
    World w;
    w.give_back(guest_frame(1), left_port);  // binds
    NodeSlot& slot = w.engine.workers[0]->from.binding.slot(1);
    slot.sequence = 5;
    EXPECT_EQ(w.give_back(heartbeat(l2_node, 5, Side::left), right_port), taken);
    EXPECT_EQ(slot.heard[1].load(), 1u);
    EXPECT_EQ(w.give_back(heartbeat(l2_node, 5, Side::right), left_port), taken);
    EXPECT_EQ(slot.heard[0].load(), 1u);
    // Reflected, old, of another node, malformed, and on an aware node's port.
    EXPECT_EQ(w.give_back(heartbeat(l2_node, 5, Side::left), left_port), "WRONG_SIDE");
    EXPECT_EQ(w.give_back(heartbeat(l2_node, 4, Side::left), right_port), "from_node.bad_heartbeat");
    EXPECT_EQ(w.give_back(heartbeat(99, 5, Side::left), right_port), "from_node.bad_heartbeat");
    Frame bad = heartbeat(l2_node, 5, Side::left);
    bad[6] ^= 2;
    EXPECT_EQ(w.give_back(bad, right_port), "from_node.bad_heartbeat");
    bad = heartbeat(l2_node, 5, Side::left);
    bad[0] = 0xfe;
    EXPECT_EQ(w.give_back(bad, right_port), "from_node.bad_heartbeat");
    EXPECT_EQ(w.give_back(Frame(bad.begin(), bad.begin() + 20), right_port), "from_node.bad_heartbeat");
    EXPECT_EQ(w.give_back(heartbeat(l2_node, 5, Side::left), aware_port), "NO_CONTEXT");
    EXPECT_EQ(slot.heard[0].load() + slot.heard[1].load(), 2u);
}

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
    EXPECT_EQ(w.give_back(w.deliver(7, right_port, true), left_port), goes_on);  // the other way is open
}

TEST(FromNode, AnHonestNodeIsNeverLimited) {
    World w;
    for (int i = 0; i < 20'000; ++i) {
        if (i % 7 == 0) w.engine.now_ns += 3000;
        ASSERT_EQ(w.give_back(echoed(w.deliver(static_cast<std::uint32_t>(i), aware_port)), aware_port), goes_on) << i;
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
    EXPECT_EQ(w.give_back(p, 0), "NO_CONTEXT");  // it says it was handed to worker 0, which is not so
}

// What is inside nodes survives the engine: contexts, cookies and secrets are the host's.
TEST(FromNode, AnotherEngineTakesBackWhatTheFirstGave) {
    World w;
    const Frame aware = w.deliver(7, aware_port), l2 = w.deliver(8, left_port);
    Engine second_engine(w.machine, w.intent, node_ports(w.intent));
    for (const auto& [frame, port, number] : {std::tuple(echoed(aware), aware_port, 7u), std::tuple(l2, right_port, 8u)}) {
        Packet& p = w.packet(frame);
        p.hand.port = port;
        ASSERT_EQ(second_engine.from_node(p), goes_on);
        EXPECT_EQ(p.smd.flow_handle, smd_of(number).flow_handle);
        w.machine.free(p);
    }
    EXPECT_EQ(w.give_back(w.deliver(8, left_port), right_port), goes_on);  // and the first still works
}

TEST(FromNode, ANodeThatLeavesGivesItsMemoryToAnother) {
    model::Snapshot intent = node_intent();
    World w(1, intent);
    const Frame old = w.deliver(7, left_port);
    for (std::size_t i = 2; i < max_local_nodes; ++i) w.engine.workers[0]->to.binding.memory()->slots[i].node_id = 1000 + static_cast<std::uint32_t>(i);
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
            return counters.values["weir_service_node_latency_microseconds_bucket node=" + node + " le=" + le];
        };
        EXPECT_EQ(bucket("1"), 1u) << node;
        EXPECT_EQ(bucket("2"), 1u);
        EXPECT_EQ(bucket("4"), 2u);
        EXPECT_EQ(bucket("64"), 2u);
        EXPECT_EQ(bucket("128"), 3u);
        EXPECT_EQ(bucket("524288"), 3u);
        EXPECT_EQ(bucket("1048576"), 4u);
        EXPECT_EQ(bucket("+Inf"), 4u);
        EXPECT_EQ(counters.values["weir_service_node_latency_microseconds_sum node=" + node], 900'103u);
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

TEST(FromNode, TracedPacketsStayTraced) {
    World w;
    net::Smd traced = smd_of(7);
    traced.trace = true;
    for (const auto& [to, from] : {std::pair(aware_port, aware_port), std::pair(left_port, right_port)}) {
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

TEST(NodeTable, HasTheNodesOfThisHostThatAreOpen) {
    const model::Snapshot intent = node_intent();
    dataplane::Topology ports = node_ports(intent);
    const NodeTable table = compile_nodes({intent, ports, 1}).value();
    ASSERT_EQ(table.nodes.size(), 2u);
    EXPECT_EQ(table.nodes[0].name, "n1");
    EXPECT_TRUE(table.nodes[0].realised());
    EXPECT_EQ(table.at(right_port)->side, Side::right);
    EXPECT_EQ(table.at(guest_port), nullptr);
    ports.ports[right_port].role = dataplane::PortRole::none;
    const NodeTable half = compile_nodes({intent, ports, 1}).value();
    EXPECT_FALSE(half.nodes[1].realised());
    EXPECT_EQ(half.at(right_port), nullptr);
    EXPECT_NE(half.digest, table.digest);
}

TEST(NodeTable, RefusesMoreNodesThanThereIsMemoryFor) {
    model::Snapshot intent = node_intent();
    for (std::uint32_t id = 1000; id < 1000 + max_local_nodes; ++id)
        add_node(intent, id, "h3", "fw", NodeMode::aware);
    const auto table = compile_nodes({intent, node_ports(intent), 1});
    ASSERT_FALSE(table.ok());
    EXPECT_EQ(table.error().code, Errc::limit);
    EXPECT_EQ(table.error().field, "host");
}

}  // namespace
}  // namespace weir::chain
