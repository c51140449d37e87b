#include "features/chain/anchor/port_segments.hpp"

#include "features/chain/testing/test_return.hpp"
#include "net/rss.hpp"

// Whose packets come back: those of ports that use the service segment they are on (SEC-5).
namespace weir::chain {
namespace {

using dataplane::Packet;

class PortSegmentsTest : public test::ReturnTest {
protected:
    using ReturnTest::ReturnTest;
};

// g3 has a chain of its own on that segment.
model::Snapshot two_tenants() {
    model::Snapshot intent = test::two_planes();
    test::add_node(intent, 9, "h4", "fw", NodeMode::aware);
    test::edit<ServiceNode>(intent, "n9", [](ServiceNode& n) { n.service_segment.name = "other"; });
    test::edit<model::Port>(intent, "n9", [](model::Port& p) { p.service_segment.name = "other"; });
    ServiceChain chain = test::make_chain("c9", 9, {"fw-default"});
    chain.service_segment.name = "other";
    intent.put(chain);
    ServiceRule rule = *intent.find<ServiceRule>("web");
    rule.name = "other";
    rule.applied_to_ports = {model::Ref<model::Port>("g3")};
    rule.chain = model::Ref<ServiceChain>("c9");
    intent.put(rule);
    return intent;
}

// A chain that another port has on another segment says nothing about this one (SEC-5).
TEST_F(PortSegmentsTest, RefusesLegsOfOtherPortsSegments) {
    host.apply(two_tenants());
    Packet& p = returning(CallPoint::egress);
    Packet& kept = returning(CallPoint::egress, 4001);
    p.vni = kept.vni = 9002;
    p.smd.sci = kept.smd.sci = 9;
    host.flows.erase(*host.flows.at_handle(p.smd.flow_handle));
    EXPECT_EQ(give_back(p), Return::Exit::not_anchor);
    EXPECT_EQ(host.return_state.ports[2 * host.port("g1")].no_record, 0u);
    EXPECT_EQ(give_back(kept), passed) << "its flow has a record";
    Packet& own = returning(CallPoint::egress, 4002);
    host.flows.erase(*host.flows.at_handle(own.smd.flow_handle));
    EXPECT_EQ(give_back(own), passed) << "its own segment (R6)";
}

// A flow goes on by its record when its rule was taken away; without one nothing is left to say
// that the packet was here.
TEST_F(PortSegmentsTest, TakesBackWhatHasARecordWhenTheRuleGoes) {
    model::Snapshot intent = two_tenants();
    test::edit<ServiceRule>(intent, "other", [](ServiceRule& r) { r.chain.name = "c1"; });
    host.apply(intent);
    Packet& p = returning(CallPoint::egress);
    Packet& forgotten = returning(CallPoint::egress, 4001);
    intent.erase<ServiceRule>("web");
    host.apply(intent);
    ASSERT_NE(host.returns->plane->chain(1), nullptr) << "g3 has it";
    EXPECT_EQ(give_back(p), passed);
    host.flows.erase(*host.flows.at_handle(forgotten.smd.flow_handle));
    EXPECT_EQ(give_back(forgotten), Return::Exit::not_anchor);
}

TEST_F(PortSegmentsTest, ExcludedPortsUseNoSegment) {
    Packet& p = returning(CallPoint::egress);
    host.flows.erase(*host.flows.at_handle(p.smd.flow_handle));
    model::Snapshot intent = two_tenants();
    test::edit<ServiceRule>(intent, "other", [](ServiceRule& r) { r.chain.name = "c1"; });
    ServiceExclusion exclusion;
    exclusion.name = "managers";
    exclusion.ports = {model::Ref<model::Port>("g1")};
    intent.put(exclusion);
    host.apply(intent);
    EXPECT_EQ(give_back(p), Return::Exit::not_anchor);
}

class PortSegmentsOfTwoWorkers : public PortSegmentsTest {
protected:
    PortSegmentsOfTwoWorkers() : PortSegmentsTest(2) {}
    // A source port of g1's whose flow the second worker owns.
    std::uint16_t of_other_worker() {
        std::uint16_t number = 4000;
        while (net::flow_owner(host.tracked("g1", CallPoint::egress, test::tcp(number, 80)).tuple,
                               2) == 0)
            ++number;
        return number;
    }
};

// Whether the flow has a record is known there alone: what nothing else speaks for needs one.
TEST_F(PortSegmentsOfTwoWorkers, SaysOfLegsOfOtherSegmentsThatTheyNeedARecord) {
    host.apply(two_tenants());
    const std::uint16_t number = of_other_worker();
    for (const CallPoint point : {CallPoint::egress, CallPoint::ingress}) {
        Packet& own = returning(point, number);
        Packet& other = returning(point, number);
        own.smd.flow_handle |= 1u << host.flows.slot_bits();
        other.smd.flow_handle = own.smd.flow_handle;
        other.vni = 9002;
        other.smd.sci = 9;
        EXPECT_EQ(give_back(own), passed);
        EXPECT_EQ(give_back(other), passed);
        EXPECT_EQ(own.hand.needs_record, 0);
        EXPECT_EQ(other.hand.needs_record, other.hand.call_points_done);
    }
}

// The segment is the port's own, but of the leg's chain only the path is known here by now.
TEST_F(PortSegmentsOfTwoWorkers, SaysOfLegsOfUnknownChainsThatTheyNeedARecord) {
    model::Snapshot before, after = test::two_planes();
    host.apply(after);
    const std::uint16_t number = of_other_worker();
    Packet& p = returning(CallPoint::egress, number);
    plan(after, "h1", before);
    after.put(test::make_chain("c5", 5, {"fw-default"}));
    test::edit<ServiceRule>(after, "web", [](ServiceRule& r) { r.chain.name = "c5"; });
    host.apply(after, before);
    ASSERT_EQ(host.returns->plane->chain(1), nullptr);
    p.smd.flow_handle |= 1u << host.flows.slot_bits();
    EXPECT_EQ(give_back(p), passed);
    EXPECT_EQ(p.hand.needs_record, p.hand.call_points_done);
}

}  // namespace
}  // namespace weir::chain
