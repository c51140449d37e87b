#include <gtest/gtest.h>

#include "features/chain/testing/test_modes.hpp"
#include "model/value.hpp"

// Packets that nodes make themselves, and orders of their agents.
namespace weir::chain {
namespace {

using namespace test;
using model::Value;

constexpr std::uint8_t syn = 0x02, syn_ack = 0x12, ack = 0x10;
const char* const client = "192.168.10.11";
const char* const server = "192.168.10.12";

// A router that ends connections, in the place of n6.
model::Snapshot proxy_intent() {
    model::Snapshot intent = intent_of(Kind::l3);
    make_bump(intent, NodeContexts::proxy);
    return intent;
}

Frame segment(const char* src, std::uint16_t src_port, const char* dst, std::uint16_t dst_port,
              std::uint8_t flags) {
    return net::FrameBuilder()
        .eth(peer_mac, guest_mac)
        .ip(src, dst)
        .tcp(src_port, dst_port, flags)
        .build();
}
Frame from_client(std::uint16_t port, std::uint8_t flags = syn) {
    return segment(client, port, server, 80, flags);
}
Frame to_client(std::uint16_t port, std::uint8_t flags = syn_ack) {
    return segment(server, 80, client, port, flags);
}

struct Proxy : ::testing::Test {
    World w{1, proxy_intent()};

    void give(std::uint16_t port, std::uint8_t flags = syn) {
        w.deliver(from_client(port, flags), smd_of(port), left_port);
        ASSERT_EQ(w.fate, taken);
    }
    // What the node itself says, on that side.
    std::string say(Frame frame, Side side) {
        const bool left = side == Side::left;
        proxy_side_mac(l2_node, side).store(frame.data());
        w.intent.find<model::Port>(left ? "n6-left" : "n6-right")->mac.store(frame.data() + 6);
        return w.give_back(frame, left ? left_port : right_port);
    }
};

TEST_F(Proxy, AnswersInTheOtherEndsNameBeforeThatEndHas) {
    net::Smd given = smd_of(1);
    given.si = 1;
    given.initial_si = 3;
    given.skip_mask = 0b001;
    w.deliver(from_client(4000), given, left_port);
    ASSERT_EQ(w.fate, taken);
    ASSERT_EQ(say(to_client(4000), Side::left), goes_on);
    const net::Smd& smd = w.returned->smd;
    EXPECT_TRUE(smd.reverse && smd.at_ingress);
    EXPECT_EQ(smd.si, 2) << "the last of three is the first on the way back, and done";
    EXPECT_EQ(smd.skip_mask, 0b100);
    EXPECT_EQ(smd.ttl, net::Smd{}.ttl);
    EXPECT_EQ(smd.flow_handle, smd_of(1).flow_handle);
    EXPECT_EQ(smd.original_dst, guest_mac);
    EXPECT_EQ(smd.original_src, peer_mac);
    EXPECT_EQ(say(to_client(4000, ack), Side::left), goes_on) << "and goes on speaking";
}

TEST_F(Proxy, OpensConnectionsForItsClients) {
    EXPECT_EQ(say(from_client(50'000), Side::right), "NO_CONTEXT") << "there is no client yet";
    give(4000);
    give(4001);
    ASSERT_EQ(say(from_client(50'001), Side::right), goes_on);
    EXPECT_EQ(w.returned->smd.flow_handle, smd_of(4001).flow_handle) << "the last one without";
    ASSERT_EQ(say(from_client(50'000), Side::right), goes_on);
    EXPECT_EQ(w.returned->smd.flow_handle, smd_of(4000).flow_handle) << "the other one";
    ASSERT_EQ(say(from_client(50'001, ack), Side::right), goes_on);
    EXPECT_EQ(w.returned->smd.flow_handle, smd_of(4001).flow_handle) << "as it began";
    ASSERT_EQ(say(from_client(50'002), Side::right), goes_on) << "a second one for the last";
    EXPECT_FALSE(w.returned->smd.reverse);
}

TEST_F(Proxy, SaysNothingForClientsThatItHasNot) {
    give(4000);
    EXPECT_EQ(say(from_client(50'000, ack), Side::right), "NO_CONTEXT") << "no SYN";
    EXPECT_EQ(say(segment(client, 50'000, server, 81, syn), Side::right), "NO_CONTEXT");
    EXPECT_EQ(say(segment("192.168.10.77", 50'000, server, 80, syn), Side::right), "NO_CONTEXT");
    EXPECT_EQ(say(segment(client, 50'000, "192.168.10.77", 80, syn), Side::right), "NO_CONTEXT");
    EXPECT_EQ(say(to_client(4444), Side::left), "NO_CONTEXT");
    EXPECT_EQ(say(to_client(50'000, syn), Side::left), "NO_CONTEXT") << "no server opens any";
}

TEST(RouterNode, MakesNothing) {
    World w(1, intent_of(Kind::l3));
    w.deliver(from_client(4000), smd_of(1), left_port);
    Frame frame = from_client(50'000);
    proxy_side_mac(l2_node, Side::right).store(frame.data());
    w.intent.find<model::Port>("n6-right")->mac.store(frame.data() + 6);
    EXPECT_EQ(w.give_back(frame, right_port), "NO_CONTEXT");
}

// Orders of agents.

Value question(const char* order, const std::string& flow, std::uint64_t tenant = 0) {
    Value out = Value::object();
    out.set("what", "from_node.order");
    out.set("node", "n6");
    out.set("order", order);
    out.set("flow", flow);
    if (tenant != 0) out.set("tenant", tenant);
    return out;
}

// What n6 is, each way of telling packets apart.
class AgentOrders : public ::testing::TestWithParam<int> {
protected:
    World w{1, intent_of(static_cast<Kind>(GetParam()))};

    Value ask(const Value& asked) {
        Value rows = Value::array();
        Engine::Worker& worker = *w.engine.workers[0];
        worker.emit.now_ns = w.engine.now_ns;
        EXPECT_TRUE(FromNode::ask(asked, *w.engine.from_tables, worker.from, worker.emit, rows));
        worker.emit.flush();
        return rows;
    }
    std::string said(const Value& asked) {
        const Value rows = ask(asked);
        if (rows.items().empty()) return "nothing";
        const Value& row = rows.items().front();
        return row.find("error") ? row["error"].as_text() : row["result"].as_text();
    }
};

const std::string flow_1 = "tcp 192.168.10.11:10001 > 192.168.10.12:80";

TEST_P(AgentOrders, GoToTheAnchorOfTheFlow) {
    ASSERT_FALSE(w.deliver(guest_frame(1), smd_of(1), left_port).empty());
    ASSERT_FALSE(w.deliver(guest_frame(2), smd_of(2), left_port).empty());
    EXPECT_EQ(said(question("flow_drop", flow_1)), "sent");
    Packet* message = w.engine.entered();
    ASSERT_NE(message, nullptr);
    EXPECT_TRUE(message->oam && message->smd.oam && message->smd.returning);
    EXPECT_EQ(message->smd.anchor_host, 1u);
    EXPECT_EQ(message->smd.flow_handle, smd_of(1).flow_handle);
    EXPECT_EQ(message->vni, 9001u);
    Ctrl ctrl;
    ASSERT_EQ(decode(message->ctrl[0], ctrl), CtrlError::none);
    EXPECT_EQ(ctrl.op, static_cast<std::uint8_t>(CtrlOp::flow_drop));
    EXPECT_EQ(ctrl.issuer, l2_node);
    EXPECT_EQ(ctrl.hop, 0);
    EXPECT_EQ(ctrl.digest, flow_digest(message->tuple, 5001));
    w.machine.free(*message);
    EXPECT_EQ(said(question("flow_drop", flow_1)), "repeated");
    w.engine.now_ns += 200 * ms;
    EXPECT_EQ(said(question("flow_drop", "tcp 192.168.10.12:80 > 192.168.10.11:10001")), "sent")
        << "the other way round";
    w.machine.free(*w.engine.entered());
    EXPECT_EQ(w.machine.in_use, 0u);
}

TEST_P(AgentOrders, AreRefusedWithAReason) {
    ASSERT_FALSE(w.deliver(guest_frame(1), smd_of(1), left_port).empty());
    EXPECT_EQ(said(question("flow_drop", "tcp 192.168.10.11:10002 > 192.168.10.12:80")), "nothing");
    EXPECT_EQ(said(question("flow_drop", flow_1, 5002)), "nothing") << "another tenant's";
    EXPECT_EQ(said(question("flow_drop", flow_1, 5001)), "sent");
    w.machine.free(*w.engine.entered());
    EXPECT_EQ(said(question("chain_change", flow_1)), "not_privileged");
    EXPECT_NE(said(question("burn", flow_1)).find("order: "), std::string::npos);
    EXPECT_NE(said(question("overload", flow_1)).find("order: "), std::string::npos);
    for (const char* bad : {"tcp", "tcp 1 > 2", "arp who-has 10.0.0.2 tell 10.0.0.1", "x"})
        EXPECT_NE(said(question("flow_drop", bad)).find("flow: "), std::string::npos) << bad;
    Value other = question("flow_drop", flow_1);
    other.set("node", "n1");
    EXPECT_NE(said(other).find("node: "), std::string::npos) << "aware nodes use their packets";
    other.set("scope", "up");
    EXPECT_NE(said(other).find("scope: "), std::string::npos);
    EXPECT_EQ(w.engine.entered(), nullptr);
    EXPECT_EQ(w.machine.in_use, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, AgentOrders,
                         ::testing::Range(0, static_cast<int>(Kind::gwlb)));  // with two sides

TEST(AgentOrdersOfTenants, NeedTheTenantWhereAddressesAreEqual) {
    World w;
    net::Smd other = smd_of(2);
    other.tenant_vni = 5002;
    w.deliver(guest_frame(1), smd_of(1), left_port);
    w.deliver(guest_frame(1), other, left_port);
    Engine::Worker& worker = *w.engine.workers[0];
    const auto said = [&](std::uint64_t tenant) {
        Value rows = Value::array();
        FromNode::ask(question("node_skip", flow_1, tenant), *w.engine.from_tables, worker.from,
                      worker.emit, rows);
        return rows.items().front();
    };
    EXPECT_NE(said(0)["error"].as_text().find("tenant: "), std::string::npos);
    EXPECT_TRUE(said(5002)["done"].as_bool());
    Packet* message = w.engine.entered();
    ASSERT_NE(message, nullptr);
    EXPECT_EQ(message->smd.flow_handle, other.flow_handle);
    w.machine.free(*message);
}

TEST(AgentSocketsWanted, OneForEachNodeWithoutMetadata) {
    model::Snapshot intent = node_intent();
    edit<ServiceNode>(intent, "n6", [](ServiceNode& n) { n.orders_from_uid = 1234; });
    World w(1, intent);
    Value asked = Value::object();
    asked.set("what", "agents");
    Value rows = Value::array();
    Engine::Worker& worker = *w.engine.workers[0];
    EXPECT_TRUE(FromNode::ask(asked, *w.engine.from_tables, worker.from, worker.emit, rows));
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows.items()[0]["socket"].as_text(), "n6");
    EXPECT_EQ(rows.items()[0]["uid"].as_uint(), 1234u);
}

}  // namespace
}  // namespace weir::chain
