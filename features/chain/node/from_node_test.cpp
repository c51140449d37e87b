#include "features/chain/node/from_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "features/chain/liveness/heartbeat.hpp"
#include "features/chain/testing/test_nodes.hpp"

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

TEST(FromNode, UnassignedBitsOfANodesHeaderAreNoReasonForAnything) {  // RFC 8300 §2.2
    World w;
    const Frame seen = w.deliver(7, aware_port);
    net::NshView view;
    ASSERT_EQ(net::decode_nsh(std::span(seen).subspan(net::ethernet_bytes), view),
              net::NshError::none);
    EXPECT_EQ(view.nsh.smd.unassigned, 0);
    const Frame answer = with_nsh(echoed(seen), [](net::Nsh& nsh) { nsh.smd.unassigned = 0x1f; });
    ASSERT_EQ(w.give_back(answer, aware_port), goes_on);
    net::Smd expected = smd_of(7);
    expected.si = 1;
    expected.unassigned = 0x1f;
    EXPECT_EQ(w.returned->smd, expected);
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
    const Frame sent = net::FrameBuilder()
                           .eth(peer_mac, guest_mac)
                           .vlan(100)
                           .ip("192.168.10.11", "192.168.10.12")
                           .tcp(4000, 80, 0x10)
                           .payload(99)
                           .build();
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
INSTANTIATE_TEST_SUITE_P(
    FromNode, Index,
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

// Whoever lies is named: by a counter, and to operators, but not with every packet.
TEST(FromNode, ANodeThatMisbehavesIsNamed) {
    World w;
    const auto lie = [&](std::uint32_t number) {
        return w.give_back(with_nsh(echoed(w.deliver(number, aware_port)),
                                    [](net::Nsh& nsh) { nsh.smd.spi ^= 1; }),
                           aware_port);
    };
    const auto told = [&] {
        return std::ranges::count_if(w.machine.events, [](const std::string& e) {
            return e.find("node-misbehaves") != std::string::npos;
        });
    };
    w.engine.tick();
    ASSERT_EQ(told(), 0);
    ASSERT_EQ(lie(1), "IMMUTABLE_TAMPER");
    w.engine.tick();
    ASSERT_EQ(told(), 1);
    EXPECT_EQ(w.machine.events.back(), R"({"event":"node-misbehaves","node":"n1","node_id":1,)"
                                       R"("reason":"IMMUTABLE_TAMPER","packets":1})");
    for (std::uint32_t number = 2; number < 7; ++number) lie(number);
    w.engine.tick();
    EXPECT_EQ(told(), 1);
    w.engine.now_ns += refusals_told_every_ns;
    w.engine.tick();
    EXPECT_EQ(told(), 2);
    EXPECT_NE(w.machine.events.back().find(R"("packets":5)"), std::string::npos);
    Frame chatter = guest_frame(1);  // what kernels say of themselves is no lie
    EXPECT_EQ(w.give_back(chatter, left_port), "NO_CONTEXT");
    w.engine.now_ns += refusals_told_every_ns;
    w.engine.tick();
    EXPECT_EQ(told(), 2);
    Collected counted;
    FromNode::counters(*w.engine.from_tables, w.engine.workers[0]->from, counted);
    EXPECT_EQ(counted.values["weir_service_node_refused_total node=n1 reason=IMMUTABLE_TAMPER"],
              6u);
    EXPECT_EQ(counted.values["weir_service_node_refused_total node=n6 reason=NO_CONTEXT"], 1u);
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
    {"path and index",
     [](net::Nsh& n) {
         n.smd.spi ^= 1;
         n.smd.si = 1;
     }},
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
    EXPECT_EQ(w.returned->ctrl_count, 1);
}

// A cookie seen in one packet, or one of another node, does not open another.
TEST(FromNode, CookiesOfOthersAreNoticed) {
    World w;
    const std::uint32_t other = nsh_of(w.deliver(8, aware_port)).nsh.cookie;
    const Frame answer =
        with_nsh(echoed(w.deliver(7, aware_port)), [&](net::Nsh& nsh) { nsh.cookie = other; });
    EXPECT_EQ(w.give_back(answer, aware_port), "IMMUTABLE_TAMPER");
    World another_host;
    EXPECT_EQ(another_host.give_back(echoed(w.deliver(7, aware_port)), aware_port),
              "IMMUTABLE_TAMPER");
}

TEST(FromNode, BadNsh) {
    World w;
    const Frame good = echoed(w.deliver(7, aware_port));
    const std::pair<std::size_t, std::uint8_t> damage[] = {
        {14, 0x40},  // version
        {15, 0x3f},  // length beyond the packet
        {16, 0x00},  // MD type 0
        {17, 0x01},  // next protocol IPv4
        {22, 0x00},  // context header of another class
        {25, 0x10},  // context header of another length
    };
    for (const auto& [at, value] : damage) {
        Frame bad = good;
        bad[at] = value;
        EXPECT_EQ(w.give_back(bad, aware_port), "from_node.bad_nsh") << at;
    }
    for (std::size_t length = 14; length < 14 + 44; ++length)
        EXPECT_EQ(
            w.give_back(Frame(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)),
                        aware_port),
            "from_node.bad_nsh")
            << length;
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
    for (const std::uint16_t vlan :
         {std::uint16_t(vlan_of(seen) + 1), std::uint16_t{0}, std::uint16_t{4095}}) {
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
    EXPECT_EQ(w.give_back(echoed(w.deliver(guest_frame(7), copy, aware_port)), aware_port),
              "COPY_RETURN");
    EXPECT_EQ(w.give_back(w.deliver(guest_frame(7), copy, left_port), right_port), "COPY_RETURN");
}

TEST(FromNode, UnreadableGuestFrames) {
    World w;
    Frame seen = w.deliver(7, left_port);
    seen[18] = 0x65;  // IP version
    EXPECT_EQ(w.give_back(seen, right_port), "from_node.bad_frame");
    const Frame whole = echoed(w.deliver(7, aware_port));
    for (std::size_t inner = 0; inner < 14; ++inner)
        EXPECT_EQ(w.give_back(
                      Frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(58 + inner)),
                      aware_port),
                  "from_node.bad_frame")
            << inner;
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
    const Frame ack =
        with_nsh(echoed(other), [](net::Nsh& nsh) { nsh.smd.oam = nsh.smd.live_ack = true; });
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
    EXPECT_EQ(w.give_back(heartbeat(l2_node, 4, Side::left), right_port),
              "from_node.bad_heartbeat");
    EXPECT_EQ(w.give_back(heartbeat(99, 5, Side::left), right_port), "from_node.bad_heartbeat");
    Frame bad = heartbeat(l2_node, 5, Side::left);
    bad[6] ^= 2;
    EXPECT_EQ(w.give_back(bad, right_port), "from_node.bad_heartbeat");
    bad = heartbeat(l2_node, 5, Side::left);
    bad[0] = 0xfe;
    EXPECT_EQ(w.give_back(bad, right_port), "from_node.bad_heartbeat");
    EXPECT_EQ(w.give_back(Frame(bad.begin(), bad.begin() + 20), right_port),
              "from_node.bad_heartbeat");
    EXPECT_EQ(w.give_back(heartbeat(l2_node, 5, Side::left), aware_port), "NO_CONTEXT");
    EXPECT_EQ(slot.heard[0].load() + slot.heard[1].load(), 2u);
}

}  // namespace
}  // namespace weir::chain
