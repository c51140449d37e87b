#include "features/chain/testing/test_decide.hpp"

#include <functional>
#include <set>

namespace weir::chain {
namespace {

using flow::ServiceVerdict;
using test::DecideTest;

TEST_F(DecideTest, AMatchingFlowGetsAPathForBothDirections) {
    const Decided first = out(4000);
    EXPECT_EQ(first.what, Decision::redirect);
    EXPECT_TRUE(first.fresh);
    EXPECT_TRUE(first.looked_up);
    EXPECT_TRUE(first.new_on_path);
    EXPECT_FALSE(first.reverse);
    EXPECT_EQ(first.rule->name, "web");
    EXPECT_EQ(record().spi, first.path->spi);
    EXPECT_EQ(record().sci, 1u);

    const Decided back = reply(4000);
    EXPECT_EQ(back.what, Decision::redirect);
    EXPECT_TRUE(back.reverse);
    EXPECT_FALSE(back.looked_up);
    EXPECT_EQ(back.path, first.path);
}

TEST_F(DecideTest, LaterPacketsAskNoRules) {  // scenario 5
    out(4000);
    for (int i = 0; i < 100; ++i) {
        const Decided again = out(4000, net::tcp_ack);
        EXPECT_FALSE(again.looked_up);
        EXPECT_FALSE(again.new_on_path);
        EXPECT_EQ(again.what, Decision::redirect);
    }
}

TEST_F(DecideTest, FlowsThatNoRuleMeansAreRememberedToo) {  // scenario 6
    const auto dns = test::tcp(4000, 80).spec();
    const auto frame =
        net::FrameBuilder().eth(dns.dst_mac, dns.src_mac).ip(dns.src, dns.dst).udp(5353, 53);
    EXPECT_TRUE(decide("g1", CallPoint::egress, frame).looked_up);
    const Decided again = decide("g1", CallPoint::egress, frame);
    EXPECT_EQ(again.what, Decision::pass);
    EXPECT_FALSE(again.looked_up);
    EXPECT_EQ(record().verdict[0], ServiceVerdict::no_service);
}

TEST_F(DecideTest, NeighbourDiscoveryAndDhcpAreExempt) {
    const auto dhcp = net::FrameBuilder().ip("192.168.10.11", "192.168.10.1").udp(68, 67);
    EXPECT_TRUE(decide("g1", CallPoint::egress, dhcp).exempt);
    const auto solicitation = net::FrameBuilder().ip("fe80::1", "fe80::2").icmp(135, 0, 0);
    EXPECT_TRUE(decide("g1", CallPoint::egress, solicitation).exempt);
    const auto echo = net::FrameBuilder().ip("fe80::1", "fe80::2").echo(135, 1);
    EXPECT_FALSE(decide("g1", CallPoint::egress, echo).exempt);
}

TEST_F(DecideTest, RulesOfOtherPortsDoNotCount) {
    EXPECT_EQ(decide("g3", CallPoint::egress, test::tcp(4000, 80)).what, Decision::pass);
}

TEST_F(DecideTest, ExcludedPortsHaveNoServices) {
    ServiceExclusion exclusion;
    exclusion.name = "managers";
    exclusion.ports = {model::Ref<model::Port>("g1")};
    intent.put(exclusion);
    const Decided decided = out(4000);
    EXPECT_EQ(decided.what, Decision::pass);
    EXPECT_EQ(decided.rule, nullptr);
}

TEST_F(DecideTest, ADoNotRedirectRuleInFrontKeepsFlowsAndReleasesThemWhenItGoes) {  // scenario 7
    ServiceRule keep = *intent.find<ServiceRule>("web");
    keep.name = "keep";
    keep.priority = 1;
    keep.chain = {};
    keep.do_not_redirect = true;
    intent.put(keep);
    EXPECT_EQ(out(4000).what, Decision::pass);
    intent.erase<ServiceRule>("keep");
    publish();
    const Decided next = out(4000, net::tcp_ack);
    EXPECT_EQ(next.what, Decision::redirect);
    EXPECT_FALSE(next.fresh);
    EXPECT_FALSE(record().flags & flow::insertion_midflow);
    intent.put(keep);
    publish();
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::pass);
}

// OBJ-6: what a node's manager says takes it off the paths, like its death would.
TEST_F(DecideTest, FlowsLeaveNodesThatTheirManagersTakeForIll) {
    const Decided first = out(4000);
    const std::string left = first.path->hops[0][1].node;
    for (const PartnerState state : {PartnerState::stopped, PartnerState::not_responding}) {
        test::edit<ServiceNode>(intent, left, [&](ServiceNode& n) { n.partner_state = state; });
        publish();
        const Decided moved = out(4000, net::tcp_ack);
        EXPECT_EQ(moved.what, Decision::redirect);
        EXPECT_NE(moved.path->hops[0][1].node, left);
        for (std::uint16_t port = 4001; port < 4040; ++port)
            EXPECT_NE(out(port).path->hops[0][1].node, left);
    }
    test::edit<ServiceNode>(intent, left, [](ServiceNode& n) {
        n.partner_state = PartnerState::healthy;
    });
    publish();
    std::set<std::string> taken;
    for (std::uint16_t port = 5000; port < 5040; ++port)
        taken.insert(out(port).path->hops[0][1].node);
    EXPECT_TRUE(taken.contains(left));
}

TEST_F(DecideTest, RulesAreTakenInOrderOfSectionPriorityAndName) {
    ServiceRule other = *intent.find<ServiceRule>("web");
    other.name = "earlier";
    other.chain = {};
    other.do_not_redirect = true;
    intent.put(other);
    EXPECT_EQ(out(1).rule->name, "earlier");  // equal priority: by name
    test::edit<ServiceRule>(intent, "earlier", [](ServiceRule& r) { r.priority = 2000; });
    publish();
    EXPECT_EQ(out(2).rule->name, "web");
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.section = 1; });
    publish();
    EXPECT_EQ(out(3).rule->name, "earlier");
}

TEST_F(DecideTest, ReplyFirstAfterLostRecordFindsTheSamePath) {  // DP-20, scenario 20
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.direction = Direction::in_out; });
    for (std::uint16_t port = 4000; port < 4050; ++port) {
        const Decided first = out(port);
        host().flows.erase(*flow_);
        const Decided lost = taken_up(port, 80, net::tcp_ack);
        EXPECT_EQ(lost.what, Decision::redirect);
        EXPECT_EQ(lost.path, first.path);
    }
}

TEST_F(DecideTest, ASynAckWithoutRecordIsTheReverseSide) {  // DP-11
    const Decided decided = taken_up(4000, 80, net::tcp_syn | net::tcp_ack);
    EXPECT_EQ(decided.what, Decision::redirect);
    EXPECT_TRUE(decided.reverse);
    EXPECT_TRUE(record().flags & flow::insertion_midflow);
    EXPECT_FALSE(out(4000, net::tcp_ack).reverse);
    // It stays so when the rules change.
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.priority = 5; });
    publish();
    EXPECT_TRUE(reply(4000).reverse);
}

TEST_F(DecideTest, MidflowWhereOnlyTheReplyFormMatchesIsAReply) {  // DP-11
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.ports = {{8080, 8080}}; });
    const auto frame = test::tcp_reply(4000, 8080, net::tcp_ack);
    EXPECT_TRUE(decide("g1", CallPoint::ingress, frame).reverse);
    EXPECT_FALSE(decide("g1", CallPoint::egress, test::tcp(4000, 8080, net::tcp_ack)).reverse);
}

// Whoever made the record has seen or found out who began.
TEST_F(DecideTest, MidflowWhereTheRecordKnowsItsInitiatorDoesNotAskThePorts) {
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) {
        r.direction = Direction::in_out;
        r.destinations.clear();
        r.ports.clear();
    });
    for (const std::uint16_t responder : {std::uint16_t{80}, std::uint16_t{8080}}) {
        EXPECT_FALSE(
            decide("g1", CallPoint::egress, test::tcp(4000, responder, net::tcp_ack)).reverse);
        EXPECT_TRUE(record().flags & flow::insertion_midflow);
        host().flows.erase(*flow_);
        EXPECT_TRUE(taken_up(4000, responder, net::tcp_ack).reverse);
        host().flows.erase(*flow_);
    }
}

TEST_F(DecideTest, AKnownInitiatorWithoutServicesHasNoneMidflow) {
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) {
        r.direction = Direction::in;
        r.ports = {{4000, 4000}};
        r.destinations.clear();
    });
    EXPECT_EQ(taken_up(4000, 80, net::tcp_syn | net::tcp_ack).what, Decision::pass);
    host().flows.erase(*flow_);
    EXPECT_EQ(taken_up(4000, 8080, net::tcp_ack).what, Decision::pass);
    host().flows.erase(*flow_);
    EXPECT_EQ(taken_up(4000, 80, net::tcp_ack).what, Decision::redirect)
        << "its port alone says so";
}

// Their records begin as they are seen.
TEST_F(DecideTest, MidflowWithoutTcpWhereBothFormsMatchTakesTheLowerPortForTheResponder) {
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) {
        r.protocol = Protocol::udp;
        r.direction = Direction::in_out;
        r.destinations.clear();
        r.ports.clear();
    });
    state_lost = true;
    const auto frame = [](std::uint16_t src, std::uint16_t dst) {
        return net::FrameBuilder()
            .eth(test::mac(12), test::mac(11))
            .ip("192.168.10.11", "192.168.10.12")
            .udp(src, dst);
    };
    EXPECT_FALSE(decide("g1", CallPoint::egress, frame(4000, 53)).reverse);
    EXPECT_TRUE(decide("g1", CallPoint::egress, frame(53, 4001)).reverse);
}

TEST_F(DecideTest, WeightsAndNewNodesDoNotMoveFlows) {  // PS-7, scenario 18
    const Decided first = out(4000);
    const std::uint32_t spi = first.path->spi;
    const std::uint32_t revision = record().revision;
    for (const char* node : {"n1", "n2", "n3", "n6"})
        test::edit<ServiceNode>(
            intent, node, [](ServiceNode& n) { n.weight = static_cast<std::uint16_t>(n.id * 50); });
    publish();
    EXPECT_EQ(host().inserts->revision(host().port("g1")), revision) << "weights concern no flow";
    test::add_node(intent, 9, "h2", "fw", NodeMode::aware);
    publish();
    const Decided later = out(4000, net::tcp_ack);
    EXPECT_EQ(later.path->spi, spi);
    EXPECT_FALSE(later.new_on_path);
}

TEST_F(DecideTest, MaintenanceMovesNoFlowButNewOnesAvoidIt) {
    const Decided first = out(4000);
    const std::uint32_t node = first.path->hops[0][0].node_id;
    test::edit<ServiceNode>(intent, "n" + std::to_string(node),
                            [](ServiceNode& n) { n.maintenance = true; });
    const std::uint32_t spi = first.path->spi;
    publish();
    EXPECT_EQ(out(4000, net::tcp_ack).path->spi, spi);
    for (std::uint16_t port = 5000; port < 5050; ++port)
        EXPECT_NE(out(port).path->hops[0][0].node_id, node);
}

TEST_F(DecideTest, AFailedNodeMovesItsFlowsAndNoOthers) {  // scenario 21
    std::map<std::uint16_t, std::uint32_t> before;
    for (std::uint16_t port = 4000; port < 4100; ++port) before[port] = out(port).path->spi;
    host().set_node(2, false);
    for (const auto& [port, spi] : before) {
        const bool had_n2 = host().chain(1).path(spi)->hops[0][1].node_id == 2;
        const Decided after = out(port, net::tcp_ack);
        EXPECT_EQ(after.what, Decision::redirect);
        EXPECT_EQ(after.path->hops[0][1].node_id, 6u);
        EXPECT_EQ(after.left_spi, had_n2 ? spi : 0u);
        EXPECT_EQ(record().previous_spi_valid, had_n2);
        const Decided again = out(port, net::tcp_ack);
        EXPECT_FALSE(again.new_on_path);
        EXPECT_EQ(again.left_spi, 0u);
    }
}

TEST_F(DecideTest, FlowsStayWhereTheyWentWhenTheNodeComesBack) {
    const Decided first = out(4000);
    const std::uint32_t node = first.path->hops[0][1].node_id;
    host().set_node(node, false);
    const std::uint32_t spi = out(4000, net::tcp_ack).path->spi;
    host().set_node(node, true);
    EXPECT_EQ(out(4000, net::tcp_ack).path->spi, spi);
}

TEST_F(DecideTest, ARemovedPathMovesItsFlows) {
    const Decided first = out(4000);
    const std::uint32_t spi = first.path->spi;
    intent.erase<ServiceNode>(first.path->hops[0][0].node);
    publish();
    const Decided after = out(4000, net::tcp_ack);
    EXPECT_EQ(after.what, Decision::redirect);
    EXPECT_EQ(after.left_spi, spi);
}

TEST_F(DecideTest, AnotherChainClearsWhatNodesHadSet) {  // DP-9a
    out(4000);
    edit_record([](flow::InsertionDecision& d) {
        d.skip[0] = 1;
        d.flow_tag = 99;
    });
    intent.put(test::make_chain("c2", 2, {"fw-default"}));
    test::edit<ServiceRule>(intent, "web",
                            [](ServiceRule& r) { r.chain = model::Ref<ServiceChain>("c2"); });
    publish();
    const Decided after = out(4000, net::tcp_ack);
    EXPECT_EQ(after.chain->name, "c2");
    EXPECT_EQ(record().skip[0], 0);
    EXPECT_EQ(record().flow_tag, 0u);
}

TEST_F(DecideTest, TheSameChainByAnotherRuleKeepsWhatNodesHadSet) {
    const Decided first = out(4000);
    edit_record([](flow::InsertionDecision& d) { d.flow_tag = 99; });
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.id = 77; });
    const std::uint32_t spi = first.path->spi;
    publish();
    const Decided after = out(4000, net::tcp_ack);
    EXPECT_EQ(after.path->spi, spi);
    EXPECT_EQ(record().flow_tag, 99u);
    EXPECT_EQ(record().rule_id, 77u);
}

// The failure matrix of §5.5, row by row.
struct FailureRow {
    const char* name;
    FailurePolicy policy;
    bool reselect, existing, alternative;
    Decision expected;
};

class FailureMatrix : public DecideTest, public ::testing::WithParamInterface<FailureRow> {};

TEST_P(FailureMatrix, Holds) {
    const FailureRow& row = GetParam();
    chain([&](ServiceChain& c) {
        c.failure_policy = row.policy;
        c.reselect_midflow = row.reselect;
    });
    std::uint32_t spi = 0;
    if (row.existing) spi = out(4000).path->spi;
    const std::uint32_t fail = row.existing ? host().chain(1).path(spi)->hops[0][1].node_id : 2;
    host().set_node(fail, false);
    if (!row.alternative) host().set_node(fail == 2 ? 6 : 2, false);
    const Decided decided = out(4000, row.existing ? net::tcp_ack : net::tcp_syn);
    EXPECT_EQ(decided.what, row.expected);
    EXPECT_EQ(decided.failed,
              row.expected == Decision::bypass || row.expected == Decision::cut_off);
    if (row.expected == Decision::cut_off) {
        // A connection that was reset stays so; one that never was leaves nothing behind.
        EXPECT_EQ(record().verdict[1], row.existing ? ServiceVerdict::reset : ServiceVerdict::none);
        host().set_node(fail, true);
        const Decided later = out(4000, net::tcp_ack);
        EXPECT_EQ(later.what, row.existing ? Decision::cut_off : Decision::redirect);
        EXPECT_FALSE(later.failed);
    }
    if (row.expected == Decision::bypass) {
        EXPECT_EQ(record().verdict[1], ServiceVerdict::bypass_fail);
    }
    if (row.expected == Decision::no_active_path) {
        // Nothing is remembered against the flow: it goes on where it was once the node is back.
        host().set_node(fail, true);
        const Decided later = out(4000, net::tcp_ack);
        EXPECT_EQ(later.what, Decision::redirect);
        if (row.existing) {
            EXPECT_EQ(later.path->spi, spi);
        }
    }
}

constexpr FailurePolicy block = FailurePolicy::block, allow = FailurePolicy::allow,
                        reset = FailurePolicy::reset;
INSTANTIATE_TEST_SUITE_P(
    Spec, FailureMatrix,
    ::testing::Values(
        FailureRow{"NewBlocked", block, true, false, false, Decision::no_active_path},
        FailureRow{"NewAllowed", allow, true, false, false, Decision::bypass},
        FailureRow{"NewWithAlternative", block, true, false, true, Decision::redirect},
        FailureRow{"ExistingReselectsBlock", block, true, true, true, Decision::redirect},
        FailureRow{"ExistingReselectsAllow", allow, true, true, true, Decision::redirect},
        FailureRow{"ExistingWithoutCandidateBlock", block, true, true, false,
                   Decision::no_active_path},
        FailureRow{"ExistingWithoutCandidateAllow", allow, true, true, false, Decision::bypass},
        FailureRow{"ReselectForbiddenBlock", block, false, true, true, Decision::no_active_path},
        FailureRow{"ReselectForbiddenAllow", allow, false, true, true, Decision::bypass},
        FailureRow{"NewReset", reset, true, false, false, Decision::cut_off},
        FailureRow{"ExistingReselectsReset", reset, true, true, true, Decision::redirect},
        FailureRow{"ExistingWithoutCandidateReset", reset, true, true, false, Decision::cut_off},
        FailureRow{"ReselectForbiddenReset", reset, false, true, true, Decision::cut_off}),
    [](const ::testing::TestParamInfo<FailureRow>& row) { return row.param.name; });

TEST_F(DecideTest, BypassedFlowsStaySoWhenServicesRecover) {  // scenario 22
    chain([](ServiceChain& c) { c.failure_policy = FailurePolicy::allow; });
    host().set_node(2, false);
    host().set_node(6, false);
    EXPECT_EQ(out(4000).what, Decision::bypass);
    host().set_node(2, true);
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::bypass);
    EXPECT_EQ(out(4001).what, Decision::redirect);
}

TEST_F(DecideTest, BypassedFlowsAreTakenBackWhereTheChainSaysSo) {
    chain([](ServiceChain& c) {
        c.failure_policy = FailurePolicy::allow;
        c.repull_bypassed = true;
    });
    host().set_node(2, false);
    host().set_node(6, false);
    out(4000);
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::bypass);
    host().set_node(6, true);
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::redirect);
}

TEST_F(DecideTest, APolicyThatTurnsToBlockStopsBypassedFlows) {
    chain([](ServiceChain& c) { c.failure_policy = FailurePolicy::allow; });
    host().set_node(2, false);
    host().set_node(6, false);
    out(4000);
    chain([](ServiceChain& c) { c.failure_policy = FailurePolicy::block; });
    publish();
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::no_active_path);
}

TEST_F(DecideTest, APolicyThatTurnsToAllowReleasesBlockedFlows) {  // scenario 22
    out(4000);
    host().set_node(2, false);
    host().set_node(6, false);
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::no_active_path);
    chain([](ServiceChain& c) { c.failure_policy = FailurePolicy::allow; });
    publish();
    EXPECT_EQ(out(4000, net::tcp_ack).what, Decision::bypass);
}

TEST_F(DecideTest, AFlowThatMayWaitKeepsItsRecordAsItWas) {
    chain([](ServiceChain& c) {
        c.failure_policy = FailurePolicy::allow;
        c.hold_packets = 4;
        c.hold_ms = 100;
    });
    Outages open;
    outages = &open;
    const Decided first = out(4000);
    const flow::InsertionDecision before = record();
    host().set_node(2, false);
    host().set_node(6, false);
    const Decided waiting = out(4000, net::tcp_ack);
    EXPECT_EQ(waiting.what, Decision::wait);
    EXPECT_EQ(waiting.outage, Outages::key(1, 0));
    EXPECT_EQ(record(), before);
    EXPECT_EQ(out(4001).what, Decision::wait) << "a new one, too";
    host().emit.now_ns += 100'000'000;
    EXPECT_EQ(out(4001).what, Decision::bypass) << "the time is over for all of the chain";
    outages = nullptr;
    EXPECT_EQ(out(4002).what, Decision::bypass) << "nowhere to wait";
    EXPECT_EQ(first.path->spi, before.spi);
}

TEST_F(DecideTest, AFlowThatMayNotChangeItsPathWaitsForThatOne) {
    chain([](ServiceChain& c) {
        c.reselect_midflow = false;
        c.hold_packets = 4;
        c.hold_ms = 100;
    });
    Outages open;
    outages = &open;
    const Path& path = *out(4000).path;
    host().set_node(path.hops[0][1].node_id, false);
    const Decided waiting = out(4000, net::tcp_ack);
    EXPECT_EQ(waiting.what, Decision::wait);
    EXPECT_EQ(waiting.outage, Outages::key(1, path.spi));
    EXPECT_EQ(out(4001).what, Decision::redirect) << "others have the other path";
}

class FarEnd : public DecideTest {
protected:
    FarEnd() {
        test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) {
            r.direction = Direction::in;
            r.destinations.clear();
        });
    }
    Decided arriving(std::uint16_t port, std::uint32_t sci, std::uint8_t flags) {
        const auto frame = net::FrameBuilder()
                               .eth(test::mac(11), test::mac(12))
                               .ip("192.168.10.12", "192.168.10.11")
                               .tcp(port, 80, net::tcp_syn);
        dataplane::Packet& p = host().tracked("g1", CallPoint::ingress, frame);
        p.hand.serviced_sci = sci;
        p.hand.serviced_flags = flags;
        flow_ = p.flow;
        return decide(p, "g1", CallPoint::ingress);
    }
};

TEST_F(FarEnd, AnchorsFlowsTowardsTheGuest) {  // scenario 14
    const Decided first = arriving(4000, 0, 0);
    EXPECT_EQ(first.what, Decision::redirect);
    EXPECT_FALSE(first.reverse);
    const auto answer = net::FrameBuilder()
                            .eth(test::mac(12), test::mac(11))
                            .ip("192.168.10.11", "192.168.10.12")
                            .tcp(80, 4000, net::tcp_syn | net::tcp_ack);
    EXPECT_TRUE(decide("g1", CallPoint::egress, answer).reverse);
}

TEST_F(FarEnd, LeavesFlowsAloneThatHadTheChainAtTheirSource) {  // DP-28
    EXPECT_EQ(arriving(4000, 1, net::serviced_flag).what, Decision::foreign);
    EXPECT_EQ(record().verdict[1], ServiceVerdict::foreign);
    EXPECT_EQ(arriving(4000, 0, 0).what, Decision::foreign) << "it is remembered";
    EXPECT_EQ(arriving(4001, 1, net::exempted_flag).what, Decision::foreign);
    EXPECT_EQ(arriving(4002, 9, net::serviced_flag).what, Decision::redirect) << "another chain";
    chain([](ServiceChain& c) { c.duplicate_policy = DuplicatePolicy::twice; });
    publish();
    EXPECT_EQ(arriving(4003, 1, net::serviced_flag).what, Decision::redirect);
}

}  // namespace
}  // namespace weir::chain
