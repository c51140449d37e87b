#include "features/chain/node/to_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "features/chain/testing/test_nodes.hpp"
#include "model/value.hpp"
#include "net/checksum.hpp"

namespace weir::chain {
namespace {

using namespace test;

// Scenario 2: the node sees the guest's frame, MACs included, behind the service header.
TEST(ToNode, AwareNodeGetsTheGuestsFrameBehindNsh) {
    World w;
    const Frame seen = w.deliver(7, aware_port);
    EXPECT_EQ(w.at_port, aware_port);
    EXPECT_EQ(net::Mac::from(seen.data()), w.intent.find<model::Port>("n1")->mac);
    EXPECT_EQ(net::Mac::from(seen.data() + 6), (net::Mac{{0x02, 0x5a, 0, 0, 0, 3}}));
    EXPECT_EQ(net::load16(seen.data() + 12), 0x894f);
    const net::NshView view = nsh_of(seen);
    EXPECT_EQ(Frame(view.inner.begin(), view.inner.end()), guest_frame(7));
    net::Smd expected = smd_of(7);
    expected.original_dst = expected.original_src = {};
    net::Smd smd = view.nsh.smd;
    smd.live_query = false;
    EXPECT_EQ(smd, expected);
    EXPECT_NE(view.nsh.cookie, 0u);
    EXPECT_EQ(w.machine.in_use, 0u);
}

TEST(ToNode, LeavesPacketsOfOthersAlone) {
    World w;
    for (const std::uint32_t port : {net::no_port, guest_port, 77u}) {
        Packet& p = w.service_packet(guest_frame(1), smd_of(1), port);
        const Frame before(p.data, p.data + p.length);
        EXPECT_EQ(w.engine.to_node(p), goes_on);
        EXPECT_EQ(Frame(p.data, p.data + p.length), before);
        w.machine.free(p);
    }
}

TEST(ToNode, L2NodeGetsATaggedFrameOnTheSideOfItsDirection) {
    World w;
    const Frame forward = w.deliver(7, left_port);
    EXPECT_EQ(w.at_port, left_port);
    const Frame reverse = w.deliver(7, right_port, true);
    EXPECT_EQ(w.at_port, right_port);
    for (const auto& [seen, sent] :
         {std::pair(forward, guest_frame(7)), std::pair(reverse, guest_frame(7, true))}) {
        EXPECT_EQ(net::load16(seen.data() + 12), 0x8100);
        EXPECT_EQ(seen[14] >> 4, 0);
        Frame untagged = seen;
        untagged.erase(untagged.begin() + 12, untagged.begin() + 16);
        EXPECT_EQ(untagged, sent);
    }
    EXPECT_NE(vlan_of(forward), vlan_of(reverse));
    EXPECT_EQ(vlan_of(w.deliver(7, left_port)), vlan_of(forward));
    w.deliver(8, right_port);  // whichever port was resolved
    EXPECT_EQ(w.at_port, left_port);
}

TEST(ToNode, MtuCountsWhatIsPutInFront) {
    World w;
    const auto frame = [](std::size_t ip_bytes) {
        return net::FrameBuilder()
            .eth(peer_mac, guest_mac)
            .ip("192.168.10.11", "192.168.10.12")
            .tcp(1, 80, 0x10)
            .payload(ip_bytes - 40)
            .build();
    };
    w.deliver(frame(1500), smd_of(1), left_port);
    EXPECT_EQ(w.fate, taken);
    w.deliver(frame(1501), smd_of(1), left_port);
    EXPECT_EQ(w.fate, "MTU");
    // NSH and the inner Ethernet header count for an aware node (DP-24).
    w.deliver(frame(1700 - 44 - 14), smd_of(1), aware_port);
    EXPECT_EQ(w.fate, taken);
    w.deliver(frame(1700 - 44 - 14 + 1), smd_of(1), aware_port);
    EXPECT_EQ(w.fate, "MTU");
    EXPECT_EQ(w.engine.to_exits.count[static_cast<std::size_t>(ToNode::Exit::mtu)], 2u);
}

TEST(ToNode, WithoutRoomInFrontThePacketIsDropped) {
    World w;
    for (const std::uint32_t port : {aware_port, left_port}) {
        Packet& p = w.service_packet(guest_frame(1), smd_of(1), port);
        p.headroom = 3;
        EXPECT_EQ(w.engine.to_node(p), "to_node.bad_frame");
        w.machine.free(p);
    }
}

TEST(ToNode, HalfAnL2NodeIsNoHop) {
    const model::Snapshot intent = node_intent();
    dataplane::Topology ports = node_ports(intent);
    ports.ports[right_port].role = dataplane::PortRole::none;
    Machine machine;
    Engine engine(machine, intent, ports);
    World w;  // to make packets
    Packet& p = w.service_packet(guest_frame(1, true), smd_of(1, true), left_port);
    EXPECT_EQ(engine.to_node(p), "CTX_FULL");
    w.machine.free(p);
}

TEST(ToNode, PartialChecksumsAreResolved) {
    World w;
    for (const std::uint32_t port : {aware_port, left_port}) {
        Packet& p = w.service_packet(guest_frame(1), smd_of(1), port);
        ASSERT_TRUE(net::make_partial_checksum(p));
        EXPECT_EQ(w.engine.to_node(p), taken);
        Frame seen = w.machine.sent.back().frame;
        if (port == left_port) {
            seen.erase(seen.begin() + 12, seen.begin() + 16);
        } else {
            const net::NshView view = nsh_of(seen);
            seen = {view.inner.begin(), view.inner.end()};
        }
        EXPECT_EQ(seen, guest_frame(1));
    }
    Packet& p = w.service_packet(net::FrameBuilder().ethertype(0x1234).payload(64).build(),
                                 smd_of(1), left_port);
    p.flags |= net::packet_partial_checksum;
    EXPECT_EQ(w.engine.to_node(p), "to_node.bad_frame");
    w.machine.free(p);
    w.deliver(Frame(13), smd_of(1), left_port);
    EXPECT_EQ(w.fate, "to_node.bad_frame");
}

TEST(ToNode, SuperFramesAreCut) {
    World w;
    const Frame big = net::FrameBuilder()
                          .eth(peer_mac, guest_mac)
                          .ip("192.168.10.11", "192.168.10.12")
                          .tcp(1, 80, 0x10)
                          .payload(4000)
                          .build();
    for (const std::uint32_t port : {aware_port, left_port}) {
        Packet& p = w.service_packet(big, smd_of(1), port);
        p.flags |= net::packet_super_frame | net::packet_partial_checksum;
        p.segment_bytes = 1400;
        EXPECT_EQ(w.engine.to_node(p), taken);
        ASSERT_EQ(w.machine.sent.size(), 3u);
        if (port == left_port) {
            std::set<std::uint16_t> vlans;
            for (const Sent& s : w.machine.sent) vlans.insert(vlan_of(s.frame));
            EXPECT_EQ(vlans.size(), 1u);
        }
        w.machine.sent.clear();
    }
    Packet& p = w.service_packet(guest_frame(1), smd_of(1), left_port);
    p.flags |= net::packet_super_frame;
    p.segment_bytes = 0;
    EXPECT_EQ(w.engine.to_node(p), "to_node.bad_frame");
    w.machine.free(p);
    EXPECT_EQ(w.machine.in_use, 0u);
}

// LV-2: the query rides on a data packet, once per interval.
TEST(ToNode, QueriesRideOnDataPacketsAtMostEvery250Milliseconds) {
    World w;
    std::vector<std::uint64_t> queries;
    for (int i = 0; i < 5000; ++i) {
        w.engine.now_ns += ms;
        w.engine.tick();
        w.machine.sent.clear();
        if (nsh_of(w.deliver(1, aware_port)).nsh.smd.live_query) queries.push_back(w.engine.now_ns);
        w.engine.workers[0]->emit.flush();
    }
    EXPECT_GE(queries.size(), 18u);
    for (std::size_t i = 1; i < queries.size(); ++i)
        EXPECT_GE(queries[i] - queries[i - 1], 250 * ms);

    World silent(1, two_services());
    for (int i = 0; i < 1000; ++i) {
        silent.engine.now_ns += ms;
        silent.engine.tick();
        ASSERT_FALSE(nsh_of(silent.deliver(1, aware_port)).nsh.smd.live_query);
    }
}

void fill(World& w) {
    for (std::uint32_t i = 0; i < max_contexts; ++i) ASSERT_NE(w.deliver(i, left_port).size(), 0u);
}

TEST(ToNode, WithoutAContextABlockingChainDrops) {
    World w;
    fill(w);
    w.deliver(max_contexts, left_port);
    EXPECT_EQ(w.fate, "CTX_FULL");
    w.deliver(3, left_port);
    EXPECT_EQ(w.fate, taken);  // flows that have one go on
}

TEST(ToNode, WithoutAContextAnAllowingChainSkipsTheHop) {
    model::Snapshot intent = node_intent();
    edit<ServiceChain>(intent, "c1",
                       [](ServiceChain& c) { c.failure_policy = FailurePolicy::allow; });
    World w(1, intent);
    fill(w);
    Packet& p = w.service_packet(guest_frame(9999), smd_of(9999), left_port);
    EXPECT_EQ(w.engine.to_node(p), taken);
    ASSERT_EQ(w.engine.entered(), &p);
    EXPECT_EQ(p.smd.si, 1);
    EXPECT_EQ(p.destination_port, net::no_port);
    EXPECT_EQ(p.pending, w.engine.stages.service_from_anchor);
    EXPECT_TRUE(w.machine.sent.empty());
    w.machine.free(p);

    net::Smd copy = smd_of(9999);
    copy.copy = true;  // must die at its tap, whatever the policy
    w.deliver(guest_frame(9999), copy, left_port);
    EXPECT_EQ(w.fate, "CTX_FULL");
    Collected counters;
    ToNode::counters(*w.engine.to_tables, w.engine.workers[0]->to, counters);
    EXPECT_EQ(counters.values["weir_service_hops_skipped_total reason=no_context"], 1u);
    EXPECT_EQ(counters.values["weir_service_node_contexts node=n6"], max_contexts);
    EXPECT_EQ(counters.values["weir_service_node_packets_total node=n6 direction=forward way=to"],
              max_contexts);
}

TEST(ToNode, ContextsOfUnusedFlowsAreGivenAway) {
    World w;
    fill(w);
    w.engine.now_ns += 5 * 3600 * second;
    for (int i = 0; i < 100; ++i) w.engine.tick();
    EXPECT_EQ(w.engine.workers[0]->to.binding.contexts(1).size(), 0u);
}

TEST(ToNode, WithoutMemoryNothingIsDelivered) {
    Machine machine;
    machine.no_memory = true;
    const model::Snapshot intent = node_intent();
    Engine engine(machine, intent, node_ports(intent));
    Packet* p = machine.make();
    p->destination_port = left_port;
    p->hand.port = left_port;
    EXPECT_EQ(engine.to_node(*p), "CTX_FULL");
    EXPECT_EQ(engine.from_node(*p), "NO_CONTEXT");
    engine.tick();
    Collected counters;
    Liveness::counters(*engine.live_tables, engine.workers[0]->live, counters);
    EXPECT_EQ(counters.values["weir_service_node_memory_missing"], 1u);
    machine.free(*p);
}

TEST(ToNode, EqualInputCompilesToTheSameTables) {
    World w;
    const auto to = w.engine.to_tables;
    const auto from = w.engine.from_tables;
    const auto live = w.engine.live_tables;
    w.engine.publish(node_intent());
    EXPECT_EQ(w.engine.to_tables, to);
    EXPECT_EQ(w.engine.from_tables, from);
    EXPECT_EQ(w.engine.live_tables, live);
    w.engine.publish(two_services());
    EXPECT_NE(w.engine.to_tables, to);
    EXPECT_NE(w.engine.live_tables, live);
}

TEST(ToNode, ShowsItsContexts) {
    World w;
    w.deliver(5, left_port);
    w.deliver(5, right_port, true);
    model::Value rows = model::Value::array();
    auto& worker = *w.engine.workers[0];
    bool more = false;
    const auto ask = [&](std::string_view what) {
        rows = model::Value::array();
        return ToNode::query(what, *w.engine.to_tables, worker.to, worker.emit, rows, more);
    };
    EXPECT_TRUE(ask("contexts"));
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows.items()[0]["node"].as_text(), "n6");
    EXPECT_EQ(rows.items()[1]["direction"].as_text(), "reverse");
    EXPECT_TRUE(ask("contexts.n6"));
    EXPECT_EQ(rows.size(), 2u);
    EXPECT_TRUE(ask("contexts.n1"));
    EXPECT_EQ(rows.size(), 0u);
    EXPECT_FALSE(ask("nodes"));
    EXPECT_FALSE(more);
}

TEST(ToNode, ShowsSomeContextsOfEachNodeAndMoreOfOne) {
    World w;
    for (std::uint32_t flow = 1; flow <= 40; ++flow) w.deliver(100 + flow, left_port);
    auto& worker = *w.engine.workers[0];
    const auto ask = [&](std::string_view what, bool& more) {
        model::Value rows = model::Value::array();
        ToNode::query(what, *w.engine.to_tables, worker.to, worker.emit, rows, more);
        return rows.size();
    };
    bool more = false;
    EXPECT_EQ(ask("contexts.n6", more), 40u);
    EXPECT_FALSE(more);
    EXPECT_EQ(ask("contexts", more), 32u);
    EXPECT_TRUE(more) << "and says so";
}

}  // namespace
}  // namespace weir::chain
