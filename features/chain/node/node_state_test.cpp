#include "features/chain/node/node_state.hpp"

#include <gtest/gtest.h>

namespace weir::chain {
namespace {

net::Smd smd(std::uint8_t si) {
    net::Smd out;
    out.spi = 0x123456;
    out.sci = 7;
    out.si = si;
    out.initial_si = 3;
    out.anchor_host = 1;
    out.anchor_port = 0x01000002;
    out.flow_handle = 0x42000001;
    out.path_epoch = 151;
    return out;
}

SavedNode sample() {
    SavedNode node;
    node.node_id = 4;
    node.move = 9;
    node.mode = NodeMode::l3;
    node.contexts = NodeContexts::tuple;
    SavedFlowContext flow;
    flow.id = 131072;
    flow.cookie = 77;
    flow.age = ContextAge::established;
    flow.known = 2;
    flow.idle_ns = 5'000'000'000;
    flow.tuple.src = net::Ip::from4(0xc0a80a0bu);
    flow.tuple.dst = net::Ip::from4(0xc0a80a0cu);
    flow.tuple.src_port = 4000;
    flow.tuple.dst_port = 80;
    flow.tuple.proto = 6;
    flow.smd[1] = smd(2);
    flow.tags = {0x88a80064, 0x81000005};
    flow.tag_count = 2;
    flow.before_mark = 0x01020304;
    flow.answered = 1;
    node.by_flow = {flow};
    node.by_vlan = {{4094, ContextAge::brief, 17, smd(1)}};
    return node;
}

SavedNode who() {
    SavedNode node;
    node.node_id = 1;
    node.move = 3;
    NodeIdentity identity;
    identity.secret = {0x1122334455667788, 0x99aabbccddeeff00};
    identity.liveness.verdict = dataplane::Liveness::Verdict::down;
    identity.liveness.misses = 2;
    identity.liveness.hold_up_ns = 4'000'000'000;
    identity.liveness.down_for_ns = 1'000;
    identity.liveness.flaps = 2;
    identity.heartbeat = 1000;
    identity.issuer_sequence = 0xfffffff0;
    node.identity = identity;
    return node;
}

std::string refusal(const std::vector<std::uint8_t>& bytes) {
    const auto read = decode_saved_node(bytes);
    return read ? "accepted" : read.error().text();
}

TEST(NodeState, ComesOutAsItWentIn) {
    for (const SavedNode& node : {sample(), who()}) {
        const auto read = decode_saved_node(encode(node));
        ASSERT_TRUE(read) << read.error().text();
        EXPECT_EQ(*read, node);
    }
}

TEST(NodeState, CutAnywhereIsRefused) {
    for (const SavedNode& node : {sample(), who()}) {
        std::vector<std::uint8_t> bytes = encode(node);
        while (!bytes.empty()) {
            bytes.pop_back();
            EXPECT_NE(refusal(bytes), "accepted") << bytes.size();
        }
    }
}

TEST(NodeState, SaysWhatIsWrong) {
    std::vector<std::uint8_t> bytes = encode(sample());
    bytes.push_back(0);
    EXPECT_EQ(refusal(bytes), "node state: has something behind its end");
    bytes = encode(sample());
    bytes[1] = 2;
    EXPECT_EQ(refusal(bytes), "node state: version: is 2, this host reads 1");
    SavedNode node = sample();
    node.by_vlan[0].vlan = 4095;
    EXPECT_EQ(refusal(encode(node)), "node state: vlan: 1 to 4094");
    node = sample();
    node.by_flow[0].id = 131073;
    EXPECT_EQ(refusal(encode(node)), "node state: id: 1 to 131072");
    node = sample();
    node.by_flow[0].known = 0;
    EXPECT_EQ(refusal(encode(node)), "node state: known: neither direction, or others");
    node = sample();
    node.by_flow[0].idle_ns = ~0ull;
    EXPECT_EQ(refusal(encode(node)), "node state: idle: beyond any time");
    node = sample();
    node.by_vlan[0].smd.si = 4;
    EXPECT_NE(refusal(encode(node)).find("node state: smd"), std::string::npos);
    node = sample();
    node.by_vlan.resize(max_contexts_of_part + 1, node.by_vlan[0]);
    EXPECT_EQ(refusal(encode(node)), "node state: by_vlan: more than 1024");
    node = sample();
    node.identity = who().identity;
    EXPECT_EQ(refusal(encode(node)), "node state: parts: identity stands alone");
    node = sample();
    node.node_id = 0;
    EXPECT_EQ(refusal(encode(node)), "node state: node: has no number");
}

// Clocks of hosts differ: what travels are ages.
TEST(NodeState, LivenessGoesOnByAnotherClock) {
    using Outcome = dataplane::Liveness::Outcome;
    dataplane::Liveness judge;
    std::uint64_t now = 100'000'000'000;
    judge.advance(now, Outcome::answered);
    for (int i = 0; i < 3; ++i) judge.advance(now += 250'000'000, Outcome::missed);
    ASSERT_EQ(judge.verdict(), dataplane::Liveness::Verdict::down);
    for (int i = 0; i < 3; ++i) judge.advance(now += 250'000'000, Outcome::answered);
    const auto saved = judge.save(now);

    dataplane::Liveness other;
    std::uint64_t there = 5'000'000'000;
    other.restore(saved, there);
    EXPECT_EQ(other.save(there), saved);
    EXPECT_EQ(other.flaps(), 1u);
    EXPECT_EQ(other.hold_up_ns(), 2'000'000'000u);
    const std::uint64_t began = there;
    bool up = false;
    while (!up && there < began + 3'000'000'000)
        up = other.advance(there += 250'000'000, Outcome::answered);
    EXPECT_TRUE(up);
    EXPECT_EQ(there - began, 2'000'000'000u);  // the hold-up began at the old host
}

}  // namespace
}  // namespace weir::chain
