#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/chain/testing/test_return.hpp"
#include "net/rss.hpp"

// Return, on the host of the anchor.
namespace weir::chain {
namespace {

using dataplane::Context;
using dataplane::Packet;
using test::bytes_of;
using test::remote_path;
using test::ReturnTest;
using test::TestHost;
using test::two_planes;

TEST_F(ReturnTest, ForwardPacketsGoOnBehindTheInsertionPoint) {
    Packet& p = returning(CallPoint::egress);
    EXPECT_EQ(give_back(p), passed);
    ASSERT_EQ(host.entered(Context::source), &p);
    EXPECT_EQ(bytes_of(p), test::tcp(4000, 80).build());
    EXPECT_EQ(p.pending, host.emit.stages->behind_insertion[0]);
    EXPECT_EQ(p.source_port, host.port("g1"));
    EXPECT_EQ(p.destination_port, net::no_port);
    EXPECT_EQ(p.vni, 5001u);
    EXPECT_EQ(p.hand.vni, 5001u);
    EXPECT_EQ(p.hand.call_points_done, 1);
    EXPECT_EQ(p.hand.serviced_sci, 1u);
    EXPECT_EQ(p.hand.serviced_anchor, 1u);
    EXPECT_EQ(p.hand.serviced_flags, net::serviced_flag);
    EXPECT_EQ(p.direction, 0);
    ASSERT_NE(p.flow, nullptr);
    EXPECT_NE(p.program, nullptr);
    EXPECT_EQ(host.return_state.ttl[60], 1u);
    host.insert(p);
    EXPECT_EQ(host.in_service(), nullptr) << "not inserted a second time";
}

TEST_F(ReturnTest, RepliesGoOnTowardsTheGuest) {
    Packet& p = returning(CallPoint::ingress);
    EXPECT_EQ(give_back(p), passed);
    ASSERT_EQ(host.entered(Context::destination), &p);
    EXPECT_EQ(bytes_of(p), test::tcp_reply(4000, 80).build());
    EXPECT_EQ(p.destination_port, host.port("g1"));
    EXPECT_EQ(p.source_port, net::no_port);
    EXPECT_EQ(p.direction, 1);
    EXPECT_EQ(p.hand.call_points_done, 2);
    EXPECT_EQ(p.hand.serviced_flags, 0);
    EXPECT_EQ(host.return_state.ports[2 * host.port("g1") + 1].returned, 1u);
}

TEST_F(ReturnTest, RefusesWhatIsNotOurs) {  // R1
    const auto with = [&](auto&& change) {
        Packet& p = returning(CallPoint::egress);
        change(p);
        return give_back(p);
    };
    EXPECT_EQ(with([](Packet& p) { p.smd.anchor_host = 2; }), Return::Exit::not_anchor);
    EXPECT_EQ(with([](Packet& p) { net::service_plane_mac(2).store(p.data); }),
              Return::Exit::not_anchor);
}

TEST_F(ReturnTest, RefusesOtherPlanes) {
    host.apply(two_planes());
    Packet& p = returning(CallPoint::egress);
    p.vni = 9002;
    EXPECT_EQ(give_back(p), Return::Exit::not_anchor);
}

// Neither is a chain that nobody knows here, on whatever segment and with whatever flow (SEC-5).
TEST_F(ReturnTest, RefusesUnknownChains) {
    host.apply(two_planes());
    for (const std::uint32_t svni : {9001u, 9002u}) {
        Packet& p = returning(CallPoint::egress);
        p.vni = svni;
        p.smd.sci = 77;
        EXPECT_EQ(give_back(p), Return::Exit::not_anchor) << svni;
    }
}

// Of a chain that is gone here the paths stand until the last packet has come back; they let in
// what belongs to a flow of this host.
TEST_F(ReturnTest, TakesBackWhatIsOnItsWayWhenTheChainGoes) {
    host.apply(two_planes());
    Packet& p = returning(CallPoint::egress);
    Packet& elsewhere = returning(CallPoint::egress, 4001);
    Packet& unknown = returning(CallPoint::egress, 4002);
    model::Snapshot before, after = two_planes();
    plan(after, "h1", before);
    after.erase<ServiceRule>("web");
    host.apply(after, before);
    ASSERT_EQ(host.returns->plane->chain(1), nullptr);
    EXPECT_EQ(give_back(p), passed);
    ASSERT_EQ(host.entered(Context::source), &p);
    elsewhere.vni = 9002;
    EXPECT_EQ(give_back(elsewhere), Return::Exit::not_anchor);
    host.flows.erase(*host.flows.at_handle(unknown.smd.flow_handle));
    EXPECT_EQ(give_back(unknown), Return::Exit::not_anchor);
}

TEST_F(ReturnTest, RefusesPortsThatAreGone) {  // R2
    const auto with = [&](auto&& change) {
        Packet& p = returning(CallPoint::egress);
        change(p);
        return give_back(p);
    };
    EXPECT_EQ(with([](Packet& p) { p.smd.anchor_port += 1u << 24; }), Return::Exit::stale_anchor);
    EXPECT_EQ(with([](Packet& p) { p.smd.anchor_port |= 0xfff; }), Return::Exit::stale_anchor);
    EXPECT_EQ(with([](Packet& p) { p.smd.tenant_vni = 5002; }), Return::Exit::stale_anchor);
}

TEST_F(ReturnTest, RefusesChangedAddresses) {  // R4
    const auto with = [&](const net::FrameBuilder& frame) {
        Packet& p = returning(CallPoint::egress);
        Packet& changed = host.packet(frame.build());
        std::copy(p.data, p.data + 12, changed.data);
        changed.smd = p.smd;
        changed.vni = p.vni;
        changed.tunnel_peer = p.tunnel_peer;
        changed.destination_port = net::no_port;
        return give_back(changed);
    };
    EXPECT_EQ(with(test::tcp(4000, 81)), Return::Exit::tuple_changed);
    EXPECT_EQ(with(test::tcp(4001, 80)), Return::Exit::tuple_changed);
    EXPECT_EQ(with(net::FrameBuilder().ip("192.168.10.99", "192.168.10.12").tcp(4000, 80, 0)),
              Return::Exit::tuple_changed);
    EXPECT_EQ(with(net::FrameBuilder().ip("192.168.10.11", "192.168.10.12").proto(6)),
              Return::Exit::tuple_changed);
    EXPECT_EQ(with(test::tcp(4000, 80, net::tcp_ack)), passed);
}

TEST_F(ReturnTest, ResumesWithoutARecord) {  // R6
    Packet& p = returning(CallPoint::egress);
    host.flows.erase(*host.flows.at_handle(p.smd.flow_handle));
    EXPECT_EQ(give_back(p), passed);
    ASSERT_EQ(host.entered(Context::source), &p);
    EXPECT_EQ(p.flow, nullptr);
    EXPECT_NE(p.program, nullptr);
    EXPECT_EQ(host.return_state.ports[2 * host.port("g1")].no_record, 1u);
}

TEST_F(ReturnTest, ASlotThatAnotherFlowGotIsNoRecord) {
    Packet& p = returning(CallPoint::egress);
    p.smd.flow_handle ^= 0x01000000;  // another nonce
    EXPECT_EQ(give_back(p), passed);
    EXPECT_EQ(p.flow, nullptr);
}

TEST_F(ReturnTest, CarriesLaterFragmentsByTheirAddresses) {
    Packet& p = returning(CallPoint::egress);
    Packet& fragment = host.packet(net::FrameBuilder()
                                       .ip("192.168.10.11", "192.168.10.12")
                                       .fragment(7, 1480, false)
                                       .proto(6)
                                       .payload(100)
                                       .build());
    std::copy(p.data, p.data + 12, fragment.data);
    fragment.smd = p.smd;
    fragment.vni = p.vni;
    fragment.tunnel_peer = p.tunnel_peer;
    fragment.destination_port = net::no_port;
    EXPECT_EQ(give_back(fragment), passed);
    EXPECT_NE(fragment.flow, nullptr);
}

// A flow whose record is current: both directions went through Track and Settle under the port's
// epoch.
class ReturnOfEstablishedFlow : public ReturnTest {
protected:
    Packet& resumed(CallPoint point) {
        Packet& p = returning(point);
        flow::FlowPair& pair = *host.flows.at_handle(p.smd.flow_handle);
        if (pair.hot[0].engine == 0) settle(pair);
        EXPECT_EQ(give_back(p), passed);
        EXPECT_EQ(host.entered(point == CallPoint::egress ? Context::source : Context::destination),
                  &p);
        return p;
    }
    void settle(flow::FlowPair& pair) {
        for (flow::Hot& hot : pair.hot) {
            hot.epoch = host.entry("g1").epoch;
            hot.engine = host.emit.engine;
        }
    }
    // What Egress leaves behind.
    void compile(Packet& p, std::uint32_t peer) {
        dataplane::ActionProgram& program = *p.program;
        program.act_behind = acting;
        program.egress = dataplane::Egress::tunnel;
        program.peer = peer;
        program.behind_epoch = host.entry("g1").epoch;
        program.behind_engine = host.emit.engine;
        host.emit.store_program(p);
    }
    const Return::Resumed& counts() const { return host.return_state.resumed; }

    static constexpr dataplane::StageBits acting = 0x40;
};

TEST_F(ReturnOfEstablishedFlow, CompilesPartTwoOnceADirection) {
    Packet& first = resumed(CallPoint::egress);
    EXPECT_EQ(first.pending, host.emit.stages->behind_insertion[0]);
    EXPECT_EQ(first.program->egress, dataplane::Egress::none);
    compile(first, 2);
    for (int i = 0; i < 3; ++i) {
        Packet& p = resumed(CallPoint::egress);
        EXPECT_EQ(p.pending, acting);
        EXPECT_EQ(*p.program, *first.program);
        EXPECT_EQ(p.program->peer, 2u);
    }
    EXPECT_EQ(counts().compiled, 1u);
    EXPECT_EQ(counts().replayed, 3u);

    Packet& reply = resumed(CallPoint::ingress);
    EXPECT_EQ(reply.pending, host.emit.stages->behind_insertion[1]);
    compile(reply, 0);
    EXPECT_EQ(resumed(CallPoint::ingress).pending, acting);
    EXPECT_EQ(counts().compiled, 2u);
    EXPECT_EQ(counts().replayed, 4u);
}

TEST_F(ReturnOfEstablishedFlow, CompilesAgainAfterAChangeOfThePort) {
    Packet& before = resumed(CallPoint::egress);
    compile(before, 2);
    model::Snapshot changed = remote_path();
    test::edit<ServiceRule>(changed, "web", [](ServiceRule& r) { r.source_ports = {{1, 9999}}; });
    const std::uint32_t epoch = host.entry("g1").epoch;
    host.apply(changed);
    ASSERT_NE(host.entry("g1").epoch, epoch);

    Packet& p = resumed(CallPoint::egress);  // inserted under the old program
    EXPECT_EQ(p.pending, host.emit.stages->behind_insertion[0]);
    EXPECT_EQ(p.program->egress, dataplane::Egress::none) << "nothing of the old way is left";
    compile(p, 4);
    EXPECT_EQ(resumed(CallPoint::egress).pending, host.emit.stages->behind_insertion[0])
        << "its next packet will start the program afresh, under our feet";
    compile(p, 4);
    settle(*p.flow);
    EXPECT_EQ(resumed(CallPoint::egress).program->peer, 4u);
    EXPECT_EQ(counts().compiled, 3u);
    EXPECT_EQ(counts().replayed, 1u);
}

TEST_F(ReturnOfEstablishedFlow, AnotherEnginesProgramIsNoProgram) {
    Packet& before = resumed(CallPoint::egress);
    compile(before, 2);
    before.program->behind_engine = host.emit.engine + 1;
    host.emit.store_program(before);
    EXPECT_EQ(resumed(CallPoint::egress).pending, host.emit.stages->behind_insertion[0]);
    before.flow->hot[0].engine = host.emit.engine + 1;
    compile(before, 2);
    EXPECT_EQ(resumed(CallPoint::egress).pending, host.emit.stages->behind_insertion[0]);
    EXPECT_EQ(counts().replayed, 0u);
}

TEST_F(ReturnOfEstablishedFlow, ThePortsOtherFlowsHaveTheirOwn) {
    compile(resumed(CallPoint::egress), 2);
    Packet& other = returning(CallPoint::egress, 4001);
    settle(*host.flows.at_handle(other.smd.flow_handle));
    EXPECT_EQ(give_back(other), passed);
    EXPECT_EQ(other.pending, host.emit.stages->behind_insertion[0]);
}

class ReturnOfTwoWorkers : public ReturnTest {
protected:
    ReturnOfTwoWorkers() : ReturnTest(2) {}
};

TEST_F(ReturnOfTwoWorkers, HandsPacketsToTheWorkerOfTheFlow) {
    // Worker 1 has the flows whose tuple it owns.
    std::uint16_t number = 4000;
    while (net::flow_owner(host.tracked("g1", CallPoint::egress, test::tcp(number, 80)).tuple, 2) ==
           0)
        ++number;
    Packet& p = returning(CallPoint::ingress, number);
    p.smd.flow_handle |= 1u << host.flows.slot_bits();
    EXPECT_EQ(give_back(p), passed);
    host.end_burst();
    EXPECT_THAT(host.to_workers, ::testing::ElementsAre(&p));
    EXPECT_EQ(host.last_worker, 1u);
    EXPECT_EQ(p.hand.dispatched, 2);
    EXPECT_EQ(p.hand.entry, net::Entry::deliver);
    EXPECT_EQ(p.hand.port, host.port("g1"));
    EXPECT_EQ(p.hand.call_points_done, 2);
    EXPECT_EQ(bytes_of(p), test::tcp_reply(number, 80).build());
    EXPECT_EQ(host.return_state.handed_on, 1u);
}

// The tuple is another worker's than the flow: a node changed it.
TEST_F(ReturnOfTwoWorkers, TranslatedPacketsGoThereIfTheirPathMayTranslate) {
    std::uint16_t number = 4000;
    while (net::flow_owner(host.tracked("g1", CallPoint::egress, test::tcp(number, 80)).tuple, 2) !=
           0)
        ++number;
    Packet& refused = returning(CallPoint::egress, number);
    refused.smd.flow_handle |= 1u << host.flows.slot_bits();
    EXPECT_NE(give_back(refused), passed);
    EXPECT_EQ(test::count(host.return_exits, Return::Exit::tuple_changed), 1u);
    model::Snapshot intent = remote_path();
    test::edit<Service>(intent, "ids",
                        [](Service& s) { s.privileges = {Privilege::rewrite_headers}; });
    host.apply(intent);
    Packet& p = returning(CallPoint::egress, number);
    const std::uint32_t handle = p.smd.flow_handle |= 1u << host.flows.slot_bits();
    EXPECT_EQ(give_back(p), passed);
    host.end_burst();
    EXPECT_EQ(host.last_worker, 1u);
    EXPECT_EQ(p.hand.dispatched, flow::brings_alias);
    EXPECT_EQ(p.hand.trace_collector, handle);
}

// What goes into a path and comes out of it again, of flows that are watched.
class ReturnOfWatchedFlows : public ::testing::Test {
protected:
    // One packet of each of some hundred flows, put on their path on one worker; `change` is what
    // the way makes of it before it comes back on the other.
    template <class Change>
    void play(std::uint32_t goes_in, std::uint32_t comes_back, Change&& change) {
        model::Snapshot intent = remote_path();
        test::edit<Service>(intent, "ids",
                            [](Service& s) { s.privileges = {Privilege::rewrite_headers}; });
        TestHost from(intent, "h1", 2, goes_in), to(intent, "h1", 2, comes_back);
        open(from);
        open(to);
        TestHost& at = goes_in == comes_back ? from : to;
        for (std::uint16_t port = 4000; port < 4400; ++port) {
            from.insert(from.tracked("g1", CallPoint::egress, test::tcp(port, 80)));
            const Packet* sent = from.in_service();
            ASSERT_NE(sent, nullptr);
            path = std::uint64_t{9001} << 24 | sent->smd.spi;
            Packet& p = at.packet(change(*sent, port));
            p.smd = sent->smd;
            p.smd.si = 0;
            p.smd.returning = true;
            net::set_macs(p, net::service_plane_mac(1), node_mac(2));
            p.vni = 9001;
            p.destination_port = p.source_port = p.tunnel_peer = net::no_port;
            at.give_back(p);
            EXPECT_EQ(p.exit, net::no_exit);
        }
        insert_times = from.insert_state.times;
    }
    void open(TestHost& host) {
        dataplane::OpenInput input;
        input.worker = host.emit.worker;
        input.workers = 2;
        input.pool = [this](std::string_view, std::size_t, std::uint32_t, bool&) {
            return static_cast<void*>(memory.get());
        };
        host.insert_state.times.open(input);
        host.return_state.times.open(input);
    }
    std::unique_ptr<PathTimesMemory> memory = std::make_unique<PathTimesMemory>();
    PathTimes insert_times;
    std::uint64_t path = 0;
};

TEST_F(ReturnOfWatchedFlows, CountWhereTheyWereSentWhateverWorkerTheyComeBackTo) {
    play(1, 0, [](const Packet& sent, std::uint16_t) { return bytes_of(sent); });
    const auto time = insert_times.find(path);
    ASSERT_TRUE(time);
    EXPECT_GE(time->sent, 3u);
    EXPECT_EQ(time->returned, time->sent);
    EXPECT_EQ(time->timed, time->sent);
}

TEST_F(ReturnOfWatchedFlows, AreTheSameWhenANodeChangedTheirAddresses) {
    play(0, 0, [](const Packet&, std::uint16_t port) {
        return test::tcp(static_cast<std::uint16_t>(port + 10'000), 80).build();
    });
    const auto time = insert_times.find(path);
    ASSERT_TRUE(time);
    EXPECT_GE(time->sent, 3u);
    EXPECT_EQ(time->returned, time->sent);
}

// A node that ends connections answers before the server has: tracking hears of it here.
TEST_F(ReturnTest, AnswersThatANodeMadeCountForTheFlowsStateWhereItMayRewrite) {
    for (const bool may : {false, true}) {
        model::Snapshot intent = remote_path();
        if (may)
            test::edit<Service>(intent, "ids",
                                [](Service& s) { s.privileges = {Privilege::rewrite_headers}; });
        host.apply(intent);
        const auto port = static_cast<std::uint16_t>(may ? 4001 : 4000);
        Packet& sent = returning(CallPoint::egress, port);
        flow::FlowPair* record = host.flows.at_handle(sent.smd.flow_handle);
        ASSERT_NE(record, nullptr);
        record->tcp = flow::TcpState::syn_sent;  // as tracking would have left it
        net::Smd smd = sent.smd;
        smd.reverse = smd.at_ingress = true;
        std::swap(smd.original_dst, smd.original_src);
        Packet& answer = host.packet(test::tcp_reply(port, 80, 0x12).build());
        answer.smd = smd;
        answer.context = sent.context;
        answer.vni = sent.vni;
        answer.tunnel_peer = sent.tunnel_peer;
        answer.destination_port = answer.source_port = net::no_port;
        net::set_macs(answer, net::service_plane_mac(1), node_mac(2));
        EXPECT_EQ(give_back(answer), passed);
        EXPECT_EQ(record->tcp, may ? flow::TcpState::syn_received : flow::TcpState::syn_sent);
    }
}

}  // namespace
}  // namespace weir::chain
