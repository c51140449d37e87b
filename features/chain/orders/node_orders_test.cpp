#include "features/chain/orders/node_orders.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"

namespace weir::chain {
namespace {

LocalNode node(std::initializer_list<Privilege> privileges, bool signed_legs) {
    LocalNode out;
    for (const Privilege p : privileges)
        out.privileges = static_cast<std::uint8_t>(out.privileges | bit(p));
    out.signed_legs = signed_legs;
    return out;
}

net::NodeControl control(CtrlOp op, std::uint8_t scope = 0, std::uint32_t parameter = 0) {
    return {static_cast<std::uint8_t>(op), scope, 9, parameter};
}

CtrlOp ordered(const net::NodeControl& said, const LocalNode& by) {
    OrderFate fate{};
    const auto ctrl = translate(said, by, fate);
    return ctrl ? static_cast<CtrlOp>(ctrl->op) : CtrlOp{};
}

OrderFate refused(const net::NodeControl& said, const LocalNode& by) {
    OrderFate fate{};
    return translate(said, by, fate) ? OrderFate::sent : fate;
}

TEST(NodeOrders, AServiceGetsTheMilderOrderItMayGive) {
    const LocalNode plain = node({}, true);
    const LocalNode mighty = node({Privilege::exempt_chain, Privilege::reset_flow}, true);
    EXPECT_EQ(ordered(control(CtrlOp::flow_allow), plain), CtrlOp::node_skip);
    EXPECT_EQ(ordered(control(CtrlOp::flow_reset), plain), CtrlOp::flow_drop);
    EXPECT_EQ(ordered(control(CtrlOp::flow_allow), mighty), CtrlOp::flow_allow);
    EXPECT_EQ(ordered(control(CtrlOp::flow_reset), mighty), CtrlOp::flow_reset);
    for (const CtrlOp op : {CtrlOp::flow_drop, CtrlOp::node_skip, CtrlOp::set_tag, CtrlOp::restore})
        EXPECT_EQ(ordered(control(op), plain), op);
}

TEST(NodeOrders, ChangesOfPathAndChainHaveNoMilderForm) {
    const LocalNode plain = node({}, true);
    EXPECT_EQ(refused(control(CtrlOp::path_change), plain), OrderFate::not_privileged);
    EXPECT_EQ(refused(control(CtrlOp::chain_change, 0, 2), plain), OrderFate::not_privileged);
    const LocalNode may = node({Privilege::change_path, Privilege::change_chain}, true);
    EXPECT_EQ(ordered(control(CtrlOp::path_change), may), CtrlOp::path_change);
    EXPECT_EQ(ordered(control(CtrlOp::chain_change, 0, 2), may), CtrlOp::chain_change);
}

// SEC-14
TEST(NodeOrders, WhereAnybodyCouldForgeItFarReachingOrdersAreRefused) {
    const LocalNode may =
        node({Privilege::change_path, Privilege::change_chain, Privilege::reset_flow}, false);
    for (const CtrlOp op : {CtrlOp::path_change, CtrlOp::chain_change, CtrlOp::flow_reset})
        EXPECT_EQ(refused(control(op), may), OrderFate::forgeable);
    EXPECT_EQ(ordered(control(CtrlOp::flow_reset), node({}, false)), CtrlOp::flow_drop);
}

TEST(NodeOrders, NodesCannotSpeakForProxies) {
    const LocalNode plain = node({}, true);
    for (const unsigned op : {0u, 9u, 10u, 11u, 12u, 255u})
        EXPECT_EQ(refused({static_cast<std::uint8_t>(op), 0, 0, 0}, plain), OrderFate::unknown);
    EXPECT_EQ(refused(control(CtrlOp::flow_drop, 4), plain), OrderFate::bad_scope);
    EXPECT_EQ(refused(control(CtrlOp::flow_drop, 7), plain), OrderFate::bad_scope);
}

TEST(NodeOrders, WhatIsSaidIsKept) {
    OrderFate fate{};
    const auto ctrl = translate(control(CtrlOp::set_tag, 0, 0xabcdef01), node({}, false), fate);
    ASSERT_TRUE(ctrl);
    EXPECT_EQ(ctrl->scope, ctrl_forward | ctrl_reverse);
    EXPECT_EQ(ctrl->reason, 9);
    EXPECT_EQ(ctrl->parameter, 0xabcdef01u);
    EXPECT_EQ(translate(control(CtrlOp::flow_drop, 2), node({}, false), fate)->scope, ctrl_reverse);
}

// CT-3
TEST(NodeOrders, FlowActionsOfMetadataType1) {
    EXPECT_FALSE(flow_action(0));
    const CtrlOp ops[] = {CtrlOp::flow_allow, CtrlOp::flow_drop,   CtrlOp::flow_reset,
                          CtrlOp::node_skip,  CtrlOp::path_change, CtrlOp::restore};
    for (std::uint8_t nibble = 1; nibble <= 6; ++nibble) {
        EXPECT_EQ(flow_action(nibble)->operation, static_cast<std::uint8_t>(ops[nibble - 1]));
        EXPECT_EQ(flow_action(nibble)->scope, 3);
    }
    EXPECT_EQ(refused(*flow_action(7), node({}, true)), OrderFate::unknown);
}

void expect_readable(std::vector<std::uint8_t> frame, std::size_t cut) {
    frame.resize(cut);
    net::PacketBuffer buffer(frame);
    net::Packet& p = buffer.packet();
    mend_cut_frame(p);
    EXPECT_EQ(net::parse(p), net::ParseError::none);
    EXPECT_EQ(p.headers.l3_end, cut);
    EXPECT_EQ(p.tuple.dst_port, 80);
}

TEST(NodeOrders, CutFramesCanBeRead) {
    const auto build = [](const char* src, const char* dst) {
        return net::FrameBuilder()
            .eth(net::Mac{{2, 0, 0, 0, 0, 1}}, net::Mac{{2, 0, 0, 0, 0, 2}})
            .ip(src, dst);
    };
    expect_readable(
        build("10.0.0.1", "10.0.0.2").tcp(4000, 80, 2).payload(std::size_t{900}).build(), 128);
    expect_readable(build("10.0.0.1", "10.0.0.2").udp(4000, 80).payload(std::size_t{900}).build(),
                    128);
    expect_readable(build("fd00::1", "fd00::2").tcp(4000, 80, 2).payload(std::size_t{900}).build(),
                    128);
    expect_readable(build("fd00::1", "fd00::2").udp(4000, 80).payload(std::size_t{900}).build(),
                    128);
    const auto whole = build("10.0.0.1", "10.0.0.2").udp(4000, 80).payload(std::size_t{9}).build();
    net::PacketBuffer buffer(whole);
    mend_cut_frame(buffer.packet());
    EXPECT_EQ(buffer.frame(), whole);
    // No bytes, half a header: nothing is read that is not there.
    for (std::size_t bytes = 0; bytes < 60; ++bytes) {
        net::PacketBuffer cut(std::vector<std::uint8_t>(
            whole.begin(), whole.begin() + std::ptrdiff_t(std::min(bytes, whole.size()))));
        mend_cut_frame(cut.packet());
    }
}

TEST(FlowDigest, IsTheSameForBothDirectionsAndTellsTenantsApart) {
    net::Tuple tuple;
    tuple.src = net::Ip::from4(0x0a000001);
    tuple.dst = net::Ip::from4(0x0a000002);
    tuple.src_port = 4000;
    tuple.dst_port = 80;
    tuple.proto = 6;
    EXPECT_EQ(flow_digest(tuple, 5001), flow_digest(tuple.reversed(), 5001));
    EXPECT_NE(flow_digest(tuple, 5001), flow_digest(tuple, 5002));
    net::Tuple other = tuple;
    other.src_port = 4001;
    EXPECT_NE(flow_digest(tuple, 5001), flow_digest(other, 5001));
    // By hand: lower endpoint, higher one, protocol, tenant.
    std::vector<std::uint8_t> bytes;
    const auto add = [&](std::initializer_list<int> more) {
        for (const int b : more) bytes.push_back(static_cast<std::uint8_t>(b));
    };
    add({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1, 0x0f, 0xa0});
    add({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2, 0, 80});
    add({6, 0, 0, 0x13, 0x89});
    EXPECT_EQ(flow_digest(tuple, 5001), net::crc32c(bytes));
}

}  // namespace
}  // namespace weir::chain
