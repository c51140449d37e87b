#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "features/chain/orders/orders.hpp"
#include "features/chain/testing/test_host.hpp"
#include "model/value.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

struct OrdersReport : ::testing::Test {
    OrdersReport() {
        dataplane::OpenInput input;
        input.workers = 1;
        input.pool = [this](std::string_view, std::size_t bytes, std::uint32_t, bool& fresh) {
            fresh = true;
            return memory.emplace_back(std::calloc(1, bytes), &std::free).get();
        };
        state.open(input);
    }
    void put(std::uint32_t flow, CtrlOp op, std::uint8_t scope = ctrl_forward | ctrl_reverse,
             std::uint64_t until_ns = 0) {
        Order order;
        order.handle = flow;
        order.flow_id = flow;
        order.issuer = 1;
        order.op = static_cast<std::uint8_t>(op);
        order.scope = scope;
        order.until_ns = until_ns;
        Order* place = state.book.free_place(flow);
        ASSERT_TRUE(place);
        state.book.place(*place, order);
    }
    // "7 node_skip"
    std::vector<std::string> ask(std::string_view what) {
        rows = model::Value::array();
        more = false;
        EXPECT_TRUE(
            Orders::query(what, *host.inserts->plane, state, host.emit, rows, more));
        std::vector<std::string> out;
        for (const model::Value& row : rows.items())
            out.push_back(std::to_string(row["flow"].as_uint()) + " " + row["order"].as_text());
        std::ranges::sort(out);
        return out;
    }
    using Lines = std::vector<std::string>;

    std::vector<std::unique_ptr<void, void (*)(void*)>> memory;
    test::TestHost host{test::two_services()};
    Orders::State state;
    model::Value rows;
    bool more = false;
};

TEST_F(OrdersReport, ShowsWhatStandsAndForHowLong) {
    put(7, CtrlOp::node_skip);
    put(8, CtrlOp::flow_drop, 0);  // ended; its place is kept for the sequence number
    put(9, CtrlOp::flow_drop, ctrl_forward, host.emit.now_ns + 5 * second);
    EXPECT_EQ(ask("flow-prog"), (Lines{"7 node_skip", "9 flow_drop"}));
    for (const model::Value& row : rows.items()) {
        const bool is_whole_life = row["flow"].as_uint() == 7;
        EXPECT_EQ(row["whole_life"].as_bool(), is_whole_life);
        EXPECT_EQ(row.find("left_s") == nullptr, is_whole_life) << "nothing ends";
        EXPECT_EQ(row["left_s"].as_uint(), is_whole_life ? 0u : 5u);
    }
}

TEST_F(OrdersReport, IsAskedForAFlowOrAnOrder) {
    put(7, CtrlOp::node_skip);
    put(7, CtrlOp::flow_drop);
    put(9, CtrlOp::flow_drop);
    EXPECT_EQ(ask("flow-prog.7"), (Lines{"7 flow_drop", "7 node_skip"}));
    EXPECT_EQ(ask("flow-prog.flow_drop"), (Lines{"7 flow_drop", "9 flow_drop"}));
    EXPECT_EQ(ask("flow-prog.overload"), Lines{});
    EXPECT_FALSE(
        Orders::query("flow-programme", *host.inserts->plane, state, host.emit, rows, more));
}

TEST_F(OrdersReport, SaysWhenThatIsNotAllAndFindsTheRareAmongTheMany) {
    for (std::uint32_t flow = 1; flow <= 5000; ++flow) put(flow, CtrlOp::node_skip);
    put(6000, CtrlOp::flow_drop);
    EXPECT_EQ(ask("flow-prog").size(), 4096u);
    EXPECT_TRUE(more);
    EXPECT_EQ(ask("flow-prog.flow_drop"), Lines{"6000 flow_drop"});
    EXPECT_FALSE(more);
}

}  // namespace
}  // namespace weir::chain
