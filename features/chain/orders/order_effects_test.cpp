#include "features/chain/orders/order_effects.hpp"

#include <gtest/gtest.h>

#include "features/chain/testing/test_host.hpp"

namespace weir::chain {
namespace {

using test::TestHost;

constexpr std::uint64_t second = 1'000'000'000;

// A flow of g1 on (n1 or n3) → (n2 or n6), and a second chain without the firewalls.
struct World {
    World() : host(intent()) {
        dataplane::OpenInput input;
        input.workers = 1;
        input.pool = [this](std::string_view, std::size_t bytes, std::uint32_t, bool& fresh) {
            fresh = true;
            return memory.emplace_back(std::calloc(1, bytes), &std::free).get();
        };
        book.open(input);
        test::Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(4000, 80));
        pair = p.flow;
        host.insert(p);
    }
    static model::Snapshot intent() {
        model::Snapshot intent = test::two_services();
        intent.put(test::make_chain("c2", 2, {"ids-default"}));
        ServiceRule rule;
        rule.name = "other";
        rule.protocol = Protocol::tcp;
        rule.ports = {{81, 81}};
        rule.applied_to_ports = {model::Ref<model::Port>("g1")};
        rule.chain = model::Ref<ServiceChain>("c2");
        intent.put(rule);
        return intent;
    }
    OrderedFlow flow() {
        return {*pair,
                host.flows.insertion(*pair),
                host.flows.make_handle(*pair),
                *host.inserts->plane,
                *host.health,
                book};
    }
    const Path& path() { return *host.chain(1).path(host.flows.insertion(*pair).spi); }
    std::uint32_t node(std::size_t hop) { return path().hops[0][hop].node_id; }

    Carried order(CtrlOp op, std::uint32_t issuer, std::uint8_t scope = 3,
                  std::uint32_t parameter = 0, std::uint16_t valid_s = 0) {
        Ctrl ctrl;
        ctrl.op = static_cast<std::uint8_t>(op);
        ctrl.scope = scope;
        ctrl.issuer = issuer;
        ctrl.parameter = parameter;
        ctrl.valid_s = valid_s;
        ctrl.sequence = ++sequence;
        OrderedFlow f = flow();
        const Carried what = carry_out(f, ctrl, host.emit.now_ns);
        host.flows.set_insertion(*pair, f.record);
        return what;
    }
    flow::InsertionDecision record() { return host.flows.insertion(*pair); }

    std::vector<std::unique_ptr<void, void (*)(void*)>> memory;
    TestHost host;
    OrderBook book;
    flow::FlowPair* pair = nullptr;
    std::uint32_t sequence = 0;
};

constexpr unsigned each_way(unsigned bits) {
    return bits | bits << 4;
}

TEST(OrderEffects, TheStrongestStands) {
    World w;
    const std::uint32_t first = w.node(0), last = w.node(1);
    w.order(CtrlOp::flow_allow, last);
    EXPECT_EQ(w.record().orders, each_way(flow::order_allow));
    w.order(CtrlOp::node_skip, first);
    EXPECT_EQ(w.record().orders, 0u);
    EXPECT_EQ(w.record().skip[0], 1);
    EXPECT_EQ(w.record().skip[1], 2);
    w.order(CtrlOp::flow_drop, first);
    EXPECT_EQ(w.record().orders, each_way(flow::order_drop));
    w.order(CtrlOp::flow_allow, last);  // never overrides another node's drop
    EXPECT_EQ(w.record().orders, each_way(flow::order_drop));
    w.order(CtrlOp::flow_reset, last, 1);
    EXPECT_EQ(w.record().orders, unsigned{flow::order_reset} | flow::order_drop << 4);
}

TEST(OrderEffects, RestoreEndsWhatItsIssuerOrderedAndNothingElse) {
    World w;
    const std::uint32_t first = w.node(0), last = w.node(1);
    const auto before = w.record();
    w.order(CtrlOp::flow_drop, first, 1);
    w.order(CtrlOp::flow_drop, last, 2);
    w.order(CtrlOp::node_skip, first);
    w.order(CtrlOp::set_tag, first, 3, 77);
    EXPECT_EQ(w.record().flow_tag, 77u);
    w.order(CtrlOp::restore, first, 1);
    EXPECT_EQ(w.record().orders, flow::order_drop << 4);
    EXPECT_EQ(w.record().skip[0], 0);
    EXPECT_EQ(w.record().skip[1], 2);
    EXPECT_EQ(w.record().flow_tag, 77u);  // concerns both directions
    w.order(CtrlOp::restore, first);
    EXPECT_EQ(w.record().skip[1], 0);
    EXPECT_EQ(w.record().flow_tag, 0u);
    w.order(CtrlOp::restore, last);
    EXPECT_EQ(w.record(), before);
}

TEST(OrderEffects, RepeatingAnOrderChangesNothing) {
    World w;
    const std::uint32_t first = w.node(0);
    for (const CtrlOp op : {CtrlOp::node_skip, CtrlOp::set_tag, CtrlOp::flow_drop}) {
        w.order(op, first, 3, 5);
        const auto once = w.record();
        const std::uint32_t size = w.book.size();
        w.order(op, first, 3, 5);
        EXPECT_EQ(w.record(), once);
        EXPECT_EQ(w.book.size(), size);
    }
}

TEST(OrderEffects, AnotherPathLeavesTheIssuerAndKeepsSkips) {
    World w;
    const std::uint32_t first = w.node(0), last = w.node(1), spi = w.record().spi;
    w.order(CtrlOp::node_skip, last);
    ASSERT_EQ(w.order(CtrlOp::path_change, first), Carried::out);
    EXPECT_NE(w.node(0), first);
    EXPECT_EQ(w.record().previous_spi, spi);
    EXPECT_TRUE(w.record().previous_spi_valid);
    EXPECT_EQ(w.record().skip[0], w.node(1) == last ? 2 : 0);
    EXPECT_EQ(w.flow().previous_path()->spi, spi);
    // … by number, and back
    ASSERT_EQ(w.order(CtrlOp::path_change, w.node(0), 3, spi), Carried::out);
    EXPECT_EQ(w.record().spi, spi);
    EXPECT_EQ(w.record().skip[0], 2);
}

TEST(OrderEffects, ThereMustBeAWay) {
    World w;
    const auto before = w.record();
    const std::uint32_t first = w.node(0);
    EXPECT_EQ(w.order(CtrlOp::path_change, first, 3, 12345), Carried::no_such_way);
    EXPECT_EQ(w.order(CtrlOp::chain_change, first, 3, 77), Carried::no_such_chain);
    w.host.set_node(first == 1 ? 3 : 1, false);
    EXPECT_EQ(w.order(CtrlOp::path_change, first), Carried::no_such_way);
    w.host.set_node(2, false);
    w.host.set_node(6, false);
    EXPECT_EQ(w.order(CtrlOp::chain_change, first, 3, 2), Carried::no_such_way);
    EXPECT_EQ(w.record(), before);
    EXPECT_EQ(w.book.size(), 0u);
}

TEST(OrderEffects, AnotherChainUntilTheOrderEnds) {
    World w;
    const std::uint32_t first = w.node(0);
    w.order(CtrlOp::node_skip, first);
    ASSERT_EQ(w.order(CtrlOp::chain_change, first, 3, 2, 9), Carried::out);
    EXPECT_EQ(w.record().sci, 2u);
    EXPECT_EQ(w.record().ruled_sci, 1u);
    EXPECT_EQ(w.record().skip[0], 0);
    EXPECT_EQ(w.flow().previous_path()->hops[0][0].node_id, first);  // it may still say RESTORE
    OrderedFlow flow = w.flow();
    Order& order = *w.book.find(flow.handle, w.pair->id, first, CtrlOp::chain_change);
    EXPECT_EQ(order.until_ns, w.host.emit.now_ns + 9 * second);
    end_order(flow, order);
    EXPECT_EQ(flow.record.sci, 1u);
    EXPECT_EQ(flow.record.ruled_sci, 0u);
    EXPECT_EQ(order.scope, 0);
    EXPECT_EQ(order.sequence, 2u);  // older ones stay replays
}

TEST(OrderEffects, OrdersEndWithTheChainOfTheRules) {
    World w;
    w.order(CtrlOp::flow_drop, w.node(0));
    OrderedFlow flow = w.flow();
    flow.record.sci = 2;  // as when rules were asked again
    derive_effects(flow);
    EXPECT_EQ(flow.record.orders, 0u);
}

TEST(OrderEffects, AFullBookRefusesAndUndoes) {
    World w;
    OrderedFlow flow = w.flow();
    for (std::uint32_t issuer = 100; Order* place = w.book.free_place(flow.handle); ++issuer) {
        Order other;
        other.handle = flow.handle;
        other.flow_id = w.pair->id;
        other.issuer = issuer;
        other.sci = 1;
        w.book.place(*place, other);
    }
    const auto before = w.record();
    EXPECT_EQ(w.order(CtrlOp::flow_drop, w.node(0)), Carried::no_room);
    EXPECT_EQ(w.order(CtrlOp::path_change, w.node(0)), Carried::no_room);
    EXPECT_EQ(w.record(), before);
}

}  // namespace
}  // namespace weir::chain
