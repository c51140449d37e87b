#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/hop/resolve_step.hpp"
#include "features/chain/testing/test_host.hpp"
#include "model/value.hpp"
#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"

// Insert, Resolve and Arrive, stage by stage on hosts of the test topology.
namespace weir::chain {
namespace {

using dataplane::Context;
using dataplane::Packet;
using test::bytes_of;
using test::count;
using test::remote_path;
using test::TestHost;

const dataplane::StageBits insertion_bit = 2;

// Chain of n3@h1 alone.
model::Snapshot local_path() {
    model::Snapshot intent = test::two_services();
    intent.erase<ServiceNode>("n1");
    test::edit<ServiceChain>(intent, "c1", [](ServiceChain& c) { c.forward.resize(1); });
    return intent;
}

void set_chain(model::Snapshot& intent, FailurePolicy policy) {
    test::edit<ServiceChain>(intent, "c1", [&](ServiceChain& c) { c.failure_policy = policy; });
}

// The packet as the node's proxy on this host gives it back: hand-over of the port, index counted
// down.
void pass_node(TestHost& host, Packet& p, const std::string& vnic) {
    p.hand = {};
    p.hand.port = host.port(vnic);
    p.source_port = p.destination_port = p.tunnel_peer = net::no_port;
    p.flow = nullptr;
    p.program = nullptr;
    --p.smd.si;
}

TEST(Insert, FillsTheMetadataAndEntersTheServicePlane) {
    TestHost host(remote_path());
    Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(4000, 80));
    flow::FlowPair* const flow = p.flow;
    host.insert(p);
    ASSERT_EQ(host.in_service(), &p);
    const Path& path = host.chain(1).paths.front();
    EXPECT_EQ(p.smd.sci, 1u);
    EXPECT_EQ(p.smd.spi, path.spi);
    EXPECT_EQ(p.smd.path_epoch, path.epoch);
    EXPECT_EQ(p.smd.initial_si, 2);
    EXPECT_EQ(p.smd.si, 2);
    EXPECT_EQ(p.smd.ttl, 63);
    EXPECT_FALSE(p.smd.reverse || p.smd.at_ingress || p.smd.returning || p.smd.copy || p.smd.trace);
    EXPECT_EQ(p.smd.tenant_vni, 5001u);
    EXPECT_EQ(p.smd.anchor_host, 1u);
    EXPECT_EQ(p.smd.anchor_port, host.entry("g1").anchor_id());
    EXPECT_EQ(host.flows.at_handle(p.smd.flow_handle), flow);
    EXPECT_EQ(p.smd.original_dst, test::mac(12));
    EXPECT_EQ(p.smd.original_src, test::mac(11));
    EXPECT_EQ(p.vni, 9001u);
    EXPECT_EQ(p.pending, host.emit.stages->service_from_anchor);
    EXPECT_EQ(p.hand.call_points_done, 1);
    EXPECT_NE(p.program->act_before & insertion_bit, 0u);
}

TEST(Insert, RepliesEnterAtTheOtherCallPointInReverse) {  // DP-19
    TestHost host(remote_path());
    host.insert(host.tracked("g1", CallPoint::egress, test::tcp(4000, 80)));
    host.in_service();
    Packet& p = host.tracked("g1", CallPoint::ingress, test::tcp_reply(4000, 80));
    host.insert(p);
    ASSERT_EQ(host.in_service(), &p);
    EXPECT_TRUE(p.smd.reverse);
    EXPECT_TRUE(p.smd.at_ingress);
    EXPECT_EQ(p.smd.si, 2);
    EXPECT_EQ(p.destination_port, net::no_port);
    EXPECT_EQ(p.hand.call_points_done, 2);
    EXPECT_EQ(host.insert_state.rules.at(host.flows.insertion(*p.flow).rule_id).packets, 2u);
}

TEST(Insert, TakesItselfOffFlowsWithoutServices) {
    TestHost host(remote_path());
    Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(4000, 22));
    host.insert(p);
    EXPECT_EQ(host.in_service(), nullptr);
    EXPECT_EQ(p.exit, net::no_exit);
    EXPECT_EQ(p.program->act_before & insertion_bit, 0u);
    EXPECT_EQ(p.hand.call_points_done, 1);
    host.insert(p);  // DP-13: only once
    const auto& counters = host.insert_state.ports[2 * host.port("g1")];
    EXPECT_EQ(counters.packets, 1u);
    EXPECT_EQ(counters.no_service, 1u);
    EXPECT_EQ(counters.rule_lookup, 1u);
}

TEST(Insert, LetsPacketsWithoutAFlowPass) {  // DP-5
    TestHost host(remote_path());
    Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(4000, 80));
    p.flow = nullptr;
    p.data[0] |= 1;  // to many
    host.insert(p);
    EXPECT_EQ(host.in_service(), nullptr);
    EXPECT_EQ(host.insert_state.ports[2 * host.port("g1")].bypass_l2, 1u);
}

TEST(Insert, BlocksNewFlowsWithoutAPathAndForgetsThem) {
    TestHost host(remote_path());
    host.set_node(1, false);
    Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(4000, 80));
    host.insert(p);
    EXPECT_EQ(p.exit, static_cast<std::uint8_t>(Insert::Exit::no_active_path));
    EXPECT_EQ(count(host.insert_exits, Insert::Exit::no_active_path), 1u);
    EXPECT_EQ(host.flows.size(), 1u);
    host.end_burst();
    EXPECT_EQ(host.flows.size(), 0u);
    EXPECT_EQ(host.insert_state.chains.at(1).blocked, 1u);
}

TEST(Insert, BlocksEstablishedFlowsButRemembersThem) {
    TestHost host(remote_path());
    host.insert(host.tracked("g1", CallPoint::egress, test::tcp(4000, 80)));
    host.in_service();
    host.set_node(2, false);
    Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(4000, 80, net::tcp_ack));
    host.insert(p);
    EXPECT_EQ(p.exit, static_cast<std::uint8_t>(Insert::Exit::no_active_path));
    EXPECT_NE(p.program->act_before & insertion_bit, 0u);
    host.end_burst();
    EXPECT_EQ(host.flows.size(), 1u);
    host.set_node(2, true);
    Packet& later = host.tracked("g1", CallPoint::egress, test::tcp(4000, 80, net::tcp_ack));
    host.insert(later);
    EXPECT_EQ(host.in_service(), &later);
}

TEST(Insert, LetsFlowsPassUnservicedWhereTheChainAllows) {
    model::Snapshot intent = remote_path();
    set_chain(intent, FailurePolicy::allow);
    TestHost host(intent);
    host.set_node(1, false);
    for (int i = 0; i < 3; ++i) {
        Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(4000, 80));
        host.insert(p);
        EXPECT_EQ(p.exit, net::no_exit);
        EXPECT_EQ(p.hand.serviced_flags, 0);  // DP-27
    }
    EXPECT_EQ(host.insert_state.ports[2 * host.port("g1")].bypass_fail, 3u);
    EXPECT_EQ(host.insert_state.chains.at(1).bypass_engaged, 1u);
}

TEST(Insert, CountsPathSwitchesOncePerFlow) {  // scenario 21
    model::Snapshot intent = test::two_services();
    TestHost host(intent);
    std::uint64_t on_n2 = 0;
    for (std::uint16_t port = 4000; port < 4200; ++port) {
        Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(port, 80));
        host.insert(p);
        host.in_service();
        on_n2 += host.chain(1).path(p.smd.spi)->hops[0][1].node_id == 2;
    }
    EXPECT_GT(on_n2, 50u);
    host.set_node(2, false);
    for (int round = 0; round < 3; ++round) {
        for (std::uint16_t port = 4000; port < 4200; ++port) {
            host.insert(host.tracked("g1", CallPoint::egress, test::tcp(port, 80, net::tcp_ack)));
            host.in_service();
        }
    }
    EXPECT_EQ(host.insert_state.chains.at(1).path_switch, on_n2);
    EXPECT_EQ(host.insert_state.chains.at(1).flows, 200u);
}

TEST(Insert, ReportsLoggedRulesWithinBounds) {
    model::Snapshot intent = remote_path();
    test::edit<ServiceRule>(intent, "web", [](ServiceRule& r) { r.logged = true; });
    TestHost host(intent);
    for (std::uint16_t port = 4000; port < 4200; ++port) {
        host.insert(host.tracked("g1", CallPoint::egress, test::tcp(port, 80)));
        host.in_service();
    }
    EXPECT_EQ(host.events.size(), 100u);
    EXPECT_THAT(host.events.front(),
                ::testing::HasSubstr("\"rule\":\"web\",\"port\":\"g1\",\"chain\":\"c1\""));
}

TEST(Insert, ShowsRulesChainsAndPaths) {
    TestHost host(remote_path());
    host.set_node(2, false);
    model::Value rules, chains, paths, other;
    EXPECT_TRUE(Insert::query("rules", *host.inserts, host.insert_state, host.emit, rules));
    EXPECT_TRUE(Insert::query("chains", *host.inserts, host.insert_state, host.emit, chains));
    EXPECT_TRUE(Insert::query("paths", *host.inserts, host.insert_state, host.emit, paths));
    EXPECT_FALSE(Insert::query("fish", *host.inserts, host.insert_state, host.emit, other));
    EXPECT_EQ(rules.items().at(0)["chain"].as_text(), "c1");
    EXPECT_EQ(chains.items().at(0)["usable_paths"].as_uint(), 0u);
    EXPECT_EQ(paths.items().at(0)["forward"].items().at(1)["state"].as_text(), "down");
}

TEST(Insert, CompilesEqualInputToTheSameTables) {
    TestHost host(remote_path());
    const auto inserts = host.inserts;
    const auto resolves = host.resolves;
    const auto returns = host.returns;
    host.apply(remote_path());
    EXPECT_EQ(host.inserts, inserts);
    EXPECT_EQ(host.resolves, resolves);
    EXPECT_EQ(host.returns, returns);
    model::Snapshot intent = remote_path();
    set_chain(intent, FailurePolicy::allow);
    const std::uint32_t g1 = inserts->revision(host.port("g1")),
                        g3 = inserts->revision(host.port("g3"));
    host.apply(intent);
    EXPECT_NE(host.inserts, inserts);
    EXPECT_NE(host.inserts->revision(host.port("g1")), g1);
    EXPECT_EQ(host.inserts->revision(host.port("g3")), g3) << "nothing of that port changed";
}

TEST(Resolve, AddressesTheFirstLegFromTheAnchor) {  // scenario 2
    TestHost host(remote_path());
    Packet& p = host.first_leg(host.tracked("g1", CallPoint::egress, test::tcp(4000, 80)));
    EXPECT_EQ(net::source_mac(p), net::service_plane_mac(1));
    EXPECT_EQ(net::destination_mac(p), node_mac(1));
    EXPECT_EQ(p.tunnel_peer, 3u);
    EXPECT_EQ(p.destination_port, net::no_port);
    EXPECT_EQ(p.smd.ttl, 62);
    EXPECT_EQ(host.resolve_state.legs_remote, 1u);
}

TEST(Resolve, LeavesPacketsAloneThatHaveAWay) {
    TestHost host(remote_path());
    Packet& p = host.first_leg(host.tracked("g1", CallPoint::egress, test::tcp(4000, 80)));
    host.resolve(p);
    EXPECT_EQ(p.smd.ttl, 62);
}

TEST(Resolve, KeepsEverythingLocalOnOneHost) {  // scenario 9
    TestHost host(local_path());
    Packet& p = host.first_leg(host.tracked("g1", CallPoint::egress, test::tcp(4000, 80)));
    EXPECT_EQ(p.destination_port, host.port("n3"));
    EXPECT_EQ(p.tunnel_peer, net::no_port);
    EXPECT_EQ(p.smd.ttl, 62);

    pass_node(host, p, "n3");
    host.resolve(p);
    EXPECT_EQ(net::source_mac(p), node_mac(3));
    EXPECT_EQ(net::destination_mac(p), net::service_plane_mac(1));
    EXPECT_TRUE(p.smd.returning);
    EXPECT_EQ(p.smd.ttl, 61);

    host.give_back(p);
    ASSERT_EQ(host.entered(Context::source), &p);
    EXPECT_EQ(bytes_of(p), test::tcp(4000, 80).build()) << "byte-identical, MACs included";
}

TEST(Resolve, TellsWhyPacketsCannotGoOn) {
    TestHost host(remote_path());
    const auto leg = [&](std::uint16_t port, auto&& change) {
        Packet& p = host.tracked("g1", CallPoint::egress, test::tcp(port, 80));
        host.insert(p);
        host.in_service();
        change(p);
        host.resolve(p);
        return p.exit;
    };
    using Exit = Resolve::Exit;
    const auto is = [](Exit why) { return static_cast<std::uint8_t>(why); };
    EXPECT_EQ(leg(1, [](Packet& p) { p.smd.ttl = 1; }), is(Exit::ttl_expired));
    EXPECT_EQ(leg(2, [](Packet& p) { p.smd.spi ^= 1; }), is(Exit::no_next_hop));
    EXPECT_EQ(leg(3, [](Packet& p) { ++p.smd.path_epoch; }), is(Exit::bad_epoch));
    EXPECT_EQ(leg(4, [&](Packet&) { host.set_node(1, false); }), is(Exit::hop_down));
}

TEST(Resolve, SendsCopiesBesideTheOriginal) {  // scenario 31
    model::Snapshot intent = remote_path();
    test::edit<ServiceProfile>(intent, "fw-default",
                               [](ServiceProfile& p) { p.action = HopAction::copy; });
    TestHost host(intent);
    Packet& p = host.first_leg(host.tracked("g1", CallPoint::egress, test::tcp(4000, 80)));
    EXPECT_EQ(p.tunnel_peer, 4u) << "the original goes to n2 at once";
    EXPECT_EQ(p.smd.si, 1);
    EXPECT_EQ(p.smd.ttl, 62);
    Packet* copy = host.in_service();
    ASSERT_NE(copy, nullptr);
    EXPECT_EQ(copy->tunnel_peer, 3u);
    EXPECT_TRUE(copy->smd.copy);
    EXPECT_EQ(copy->smd.si, 2);
    EXPECT_EQ(copy->smd.ttl, 62);
    EXPECT_EQ(net::destination_mac(*copy), node_mac(1));
    EXPECT_EQ(copy->length, p.length);
    EXPECT_EQ(host.resolve_state.copies, 1u);

    host.resolve(*copy);  // clones are never cloned
    EXPECT_EQ(host.in_service(), nullptr);
}

TEST(Resolve, CutsSuperFramesBeforeATunnel) {  // DP-25
    TestHost host(remote_path());
    Packet& p =
        host.tracked("g1", CallPoint::egress, test::tcp(4000, 80, net::tcp_ack).payload(3000));
    p.flags |= net::packet_super_frame | net::packet_partial_checksum;
    p.segment_bytes = 1400;
    ASSERT_TRUE(host.flows.set_insertion(*p.flow, {}));
    host.insert(p);
    host.in_service();
    host.resolve(p);
    std::uint32_t payload = 0;
    int pieces = 0;
    while (Packet* piece = host.in_service()) {
        EXPECT_EQ(piece->tunnel_peer, 3u);
        EXPECT_EQ(piece->smd.ttl, 62);
        EXPECT_FALSE(piece->flags & net::packet_super_frame);
        payload += piece->headers.l3_end - piece->headers.payload;
        ++pieces;
    }
    EXPECT_EQ(pieces, 3);
    EXPECT_EQ(payload, 3000u);
    host.end_burst();
    EXPECT_THAT(host.released, ::testing::Contains(&p));
}

// n1's host, with packets as the tunnel brings them from g1's.
class ArriveTest : public ::testing::Test {
protected:
    Packet& leg(std::uint16_t src_port = 4000) {
        Packet& sent =
            anchor.first_leg(anchor.tracked("g1", CallPoint::egress, test::tcp(src_port, 80)));
        Packet& p = host.packet(bytes_of(sent));
        EXPECT_EQ(net::parse(p), net::ParseError::none);
        p.context = static_cast<std::uint8_t>(Context::service);
        p.smd = sent.smd;
        p.vni = 9001;
        p.tunnel_peer = 1;
        p.destination_port = p.source_port = net::no_port;
        p.oam = false;
        p.ctrl_count = 0;
        return p;
    }
    Arrive::Exit arrive(Packet& p) {
        host.arrive(p);
        return static_cast<Arrive::Exit>(p.exit);
    }

    model::Snapshot intent = remote_path();
    TestHost anchor{intent, "h1"};
    TestHost host{intent, "h3"};
    static constexpr auto passed = static_cast<Arrive::Exit>(net::no_exit);
};

TEST_F(ArriveTest, FindsTheNodeOfTheIndex) {
    Packet& p = leg();
    EXPECT_EQ(arrive(p), passed);
    EXPECT_EQ(p.destination_port, host.port("n1"));
    EXPECT_EQ(p.tunnel_peer, net::no_port);
    host.resolve(p);
    EXPECT_EQ(p.smd.ttl, 62) << "what has arrived is not resolved again";
}

TEST_F(ArriveTest, DoesNotBelieveFlagsOfLivenessBetweenHosts) {  // §4.2
    Packet& p = leg();
    p.smd.live_query = p.smd.live_ack = true;
    EXPECT_EQ(arrive(p), passed);
    EXPECT_FALSE(p.smd.live_query || p.smd.live_ack);
}

TEST_F(ArriveTest, RefusesWhatTheMetadataMayNotSay) {  // §10.2, scenario 37
    using Exit = Arrive::Exit;
    const auto with = [&](auto&& change) {
        Packet& p = leg();
        change(p);
        const Exit why = arrive(p);
        EXPECT_EQ(p.destination_port, net::no_port);
        return why;
    };
    EXPECT_EQ(with([](Packet& p) { p.smd.ttl = 0; }), Exit::ttl_expired);
    EXPECT_EQ(with([](Packet& p) { p.smd.si = 3; }), Exit::bad_si);
    EXPECT_EQ(with([](Packet& p) { p.smd.initial_si = 9; }), Exit::bad_si);
    EXPECT_EQ(with([](Packet& p) { p.smd.returning = true; }), Exit::bad_smd);
    EXPECT_EQ(with([](Packet& p) { p.smd.si = 0; }), Exit::bad_smd);
    EXPECT_EQ(with([](Packet& p) { p.smd.si = 0, p.smd.returning = p.smd.copy = true; }),
              Exit::bad_smd);
    EXPECT_EQ(with([](Packet& p) { p.data[0] |= 1; }), Exit::bad_smd);
    EXPECT_EQ(with([](Packet& p) { p.trim_to(13); }), Exit::bad_smd);
    EXPECT_EQ(with([](Packet& p) { p.smd.copy = true; }), Exit::bad_smd);
    EXPECT_EQ(with([](Packet& p) { p.smd.spi ^= 1; }), Exit::no_next_hop);
    EXPECT_EQ(with([](Packet& p) { p.vni = 9002; }), Exit::unknown_tep);
    EXPECT_EQ(with([](Packet& p) { ++p.smd.path_epoch; }), Exit::bad_epoch);
    EXPECT_EQ(with([](Packet& p) { p.smd.si = 1; }), Exit::wrong_node) << "n2 is elsewhere";
    EXPECT_EQ(with([](Packet& p) { node_mac(2).store(p.data); }), Exit::wrong_node);
}

TEST_F(ArriveTest, RefusesHostsOutsideTheSpan) {
    test::edit<model::ServiceSegment>(intent, "plane", [](model::ServiceSegment& s) {
        s.hosts = {"h3", "h4"};
    });
    Packet& p = leg();
    host.apply(intent);
    EXPECT_EQ(arrive(p), Arrive::Exit::unknown_tep);
}

TEST_F(ArriveTest, PassesControlPacketsForThisHostOnly) {
    using Exit = Arrive::Exit;
    const auto control = [&](auto&& change) {
        Packet& p = leg();
        p.oam = p.smd.oam = p.smd.returning = true;
        p.smd.si = 0;
        p.smd.anchor_host = 3;
        p.ctrl_count = 1;
        change(p);
        return arrive(p);
    };
    EXPECT_EQ(control([](Packet&) {}), passed);
    EXPECT_EQ(control([](Packet& p) { p.smd.anchor_host = 1; }), Exit::not_anchor);
    EXPECT_EQ(control([](Packet& p) { p.ctrl_count = 0; }), Exit::bad_smd);
    EXPECT_EQ(control([](Packet& p) { p.oam = false; }), Exit::bad_smd);
    EXPECT_EQ(control([](Packet& p) { p.smd.returning = false, p.smd.si = 2; }), Exit::bad_smd);
}

TEST_F(ArriveTest, LeavesPacketsOfThisHostAlone) {
    Packet& p = leg();
    p.tunnel_peer = net::no_port;
    p.smd.ttl = 0;
    EXPECT_EQ(arrive(p), passed);
}

}  // namespace
}  // namespace weir::chain
