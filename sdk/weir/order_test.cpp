#include "weir/order.hpp"

#include <gtest/gtest.h>

namespace weir::service {
namespace {

OrderError write(const FlowOrder& order, std::uint8_t md_type = 2) {
    return OrderSlip(md_type).write(order);
}

TEST(OrderSlip, TakesOneOrderAPacket) {
    OrderSlip slip(2);
    EXPECT_FALSE(slip);
    EXPECT_EQ(slip.write({Order::drop}), OrderError::none);
    EXPECT_EQ(slip.write({Order::allow}), OrderError::already_given);
    EXPECT_TRUE(slip);
    EXPECT_EQ(slip.order().order, Order::drop);
}

TEST(OrderSlip, RefusesWhatIsNoOrder) {
    EXPECT_EQ(write({}), OrderError::unknown_order);
    EXPECT_EQ(write({static_cast<Order>(10)}), OrderError::unknown_order);
    EXPECT_EQ(write({Order::drop, static_cast<OrderScope>(4)}), OrderError::bad_scope);
    EXPECT_EQ(write({Order::drop, static_cast<OrderScope>(0)}), OrderError::bad_scope);
    EXPECT_EQ(write({Order::tag, OrderScope::forward, 0, 1}), OrderError::bad_scope);
    EXPECT_EQ(write({Order::change_chain}), OrderError::bad_parameter);
    EXPECT_EQ(write({Order::change_path, OrderScope::both, 0, 0x1000000}),
              OrderError::bad_parameter);
    EXPECT_EQ(write({Order::skip, OrderScope::both, 0, 1}), OrderError::bad_parameter);
    EXPECT_EQ(write({Order::tag, OrderScope::both, 0, 0xffffffff}), OrderError::none);
}

TEST(OrderSlip, MetadataType1SaysLess) {
    for (const Order order :
         {Order::allow, Order::drop, Order::reset, Order::skip, Order::change_path, Order::restore})
        EXPECT_EQ(write({order}, 1), OrderError::none);
    EXPECT_EQ(write({Order::drop, OrderScope::forward}, 1), OrderError::needs_metadata2);
    EXPECT_EQ(write({Order::tag, OrderScope::both, 0, 1}, 1), OrderError::needs_metadata2);
    EXPECT_EQ(write({Order::change_path, OrderScope::both, 0, 1}, 1), OrderError::needs_metadata2);
}

TEST(OrderSlip, OverloadSaysAShareOfNewFlows) {
    const auto overload = [](std::uint32_t parameter, OrderScope scope = OrderScope::both,
                             std::uint8_t md_type = 2) {
        return write({Order::overload, scope, 0, parameter}, md_type);
    };
    EXPECT_EQ(overload_of(300, 20), 0x14012cu);
    EXPECT_EQ(overload(overload_of(300, 20)), OrderError::none);
    EXPECT_EQ(overload(overload_of(0, 0xffff)), OrderError::none);
    EXPECT_EQ(overload(overload_of(whole_share, 0)), OrderError::none);
    EXPECT_EQ(overload(overload_of(1001, 1)), OrderError::bad_parameter);
    EXPECT_EQ(overload(300, OrderScope::forward), OrderError::bad_scope);
    EXPECT_EQ(overload(300, OrderScope::both, 1), OrderError::needs_metadata2);
}

TEST(OrderSlip, EveryRefusalHasItsText) {
    EXPECT_STREQ(name(OrderError::bad_scope), "scope does not fit the order");
    EXPECT_STREQ(name(OrderError::no_packet), "not inside on_packet()");
    EXPECT_STREQ(name(static_cast<OrderError>(99)), "unknown");
}

}  // namespace
}  // namespace weir::service
