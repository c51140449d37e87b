#include "features/chain/orders/ctrl.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace weir::chain {
namespace {

using Bytes = std::array<std::uint8_t, net::ctrl_bytes>;

Bytes wire(const Ctrl& ctrl) {
    Bytes out;
    out.fill(0xee);
    encode(ctrl, out);
    return out;
}

Ctrl down_message() {
    Ctrl ctrl;
    ctrl.op = static_cast<std::uint8_t>(CtrlOp::node_down);
    ctrl.scope = ctrl_node_scope;
    ctrl.issuer = 0x01020304;
    ctrl.sequence = 7;
    ctrl.reason = 1;
    return ctrl;
}

TEST(Ctrl, StandsOnTheWireAsSpecified) {
    Ctrl ctrl;
    ctrl.op = static_cast<std::uint8_t>(CtrlOp::path_change);
    ctrl.scope = 3;
    ctrl.reason = 9;
    ctrl.flow_handle = 0x11223344;
    ctrl.issuer = 0x55667788;
    ctrl.sequence = 0x99aabbcc;
    ctrl.valid_s = 0x0102;
    ctrl.hop = 2;
    ctrl.parameter = 0xdeadbeef;
    ctrl.digest = 0xcafef00d;
    const Bytes expected = {0x00, 5,    3,    9,    0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
                            0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0x01, 0x02, 2,    0,
                            0xde, 0xad, 0xbe, 0xef, 0xca, 0xfe, 0xf0, 0x0d};
    EXPECT_EQ(wire(ctrl), expected);
    Ctrl back;
    EXPECT_EQ(decode(expected, back), CtrlError::none);
    EXPECT_EQ(back, ctrl);
}

TEST(Ctrl, RefusesBadForm) {
    Ctrl out;
    const Bytes good = wire(down_message());
    EXPECT_EQ(decode(good, out), CtrlError::none);
    EXPECT_EQ(decode(std::span(good).first(27), out), CtrlError::bad_length);
    EXPECT_EQ(decode({}, out), CtrlError::bad_length);

    Bytes bad = good;
    bad[0] = 0x10;
    EXPECT_EQ(decode(bad, out), CtrlError::bad_version);
    bad = good;
    bad[1] = 0;
    EXPECT_EQ(decode(bad, out), CtrlError::bad_op);
    bad[1] = 12;
    EXPECT_EQ(decode(bad, out), CtrlError::bad_op);
}

TEST(Ctrl, ScopeMustFitTheFlowHandle) {
    Ctrl out, ctrl = down_message();
    ctrl.flow_handle = 5;  // a flow's message cannot have node scope
    EXPECT_EQ(decode(wire(ctrl), out), CtrlError::bad_scope);
    for (const std::uint8_t scope : {std::uint8_t{0}, std::uint8_t{5}, std::uint8_t{8}}) {
        ctrl.scope = scope;
        EXPECT_EQ(decode(wire(ctrl), out), CtrlError::bad_scope) << int{scope};
    }
    ctrl.scope = ctrl_forward;
    EXPECT_EQ(decode(wire(ctrl), out), CtrlError::none);
    ctrl.flow_handle = 0;
    EXPECT_EQ(decode(wire(ctrl), out), CtrlError::bad_scope);
}

TEST(Ctrl, IgnoresReservedBitsAndRefusesWithoutTouchingTheResult) {
    Bytes bytes = wire(down_message());
    bytes[0] |= 0x0f;
    bytes[19] = 0xff;
    Ctrl out;
    EXPECT_EQ(decode(bytes, out), CtrlError::none);
    EXPECT_EQ(out, down_message());

    bytes[1] = 99;
    bytes[11] = 0x77;
    EXPECT_EQ(decode(bytes, out), CtrlError::bad_op);
    EXPECT_EQ(out, down_message());
    EXPECT_STREQ(name(CtrlError::bad_op), "bad_op");
}

TEST(Ctrl, SequenceNumbersWrap) {
    EXPECT_TRUE(is_newer(1, 0));
    EXPECT_FALSE(is_newer(0, 0));
    EXPECT_FALSE(is_newer(0, 1));
    EXPECT_TRUE(is_newer(2, 0xfffffff0u));
    EXPECT_FALSE(is_newer(0xfffffff0u, 2));
}

}  // namespace
}  // namespace weir::chain
