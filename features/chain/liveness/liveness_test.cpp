#include "features/chain/liveness/liveness.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "features/chain/liveness/heartbeat.hpp"
#include "features/chain/orders/ctrl.hpp"
#include "features/chain/testing/test_nodes.hpp"
#include "model/value.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

using namespace test;
using State = dataplane::HealthBoard::State;

// A world with nodes that answer, in steps of a millisecond.
struct Living : World {
    using World::World;
    bool aware_hung = false, aware_drops = false;
    bool left_to_right = true, right_to_left = true;
    std::vector<std::uint64_t> alone, heartbeats;  // when queries of their own and heartbeats came

    void step() {
        engine.now_ns += ms;
        engine.tick();
        std::vector<Sent> sent;
        std::swap(sent, machine.sent);
        for (const Sent& s : sent) node_sees(s);
    }
    void run(std::uint64_t milliseconds) {
        for (std::uint64_t i = 0; i < milliseconds; ++i) step();
    }
    // Milliseconds until the board says `state`; 0: not within `limit`.
    std::uint64_t until(std::uint32_t node, State state, std::uint64_t limit = 200'000) {
        for (std::uint64_t i = 1; i <= limit; ++i) {
            step();
            if (machine.health.get(node) == state) return i;
        }
        return 0;
    }
    void node_sees(const Sent& s) {
        if (s.port == aware_port) {
            const net::NshView view = nsh_of(s.frame);
            if (view.nsh.smd.oam) {
                alone.push_back(engine.now_ns);
                EXPECT_TRUE(view.inner.empty());
                EXPECT_TRUE(view.nsh.smd.live_query);
            }
            if (!aware_hung) answer(s.frame, view);
            return;
        }
        if (net::load16(s.frame.data() + 12) != 0x88b5) return;
        heartbeats.push_back(engine.now_ns);
        if (s.port == left_port && left_to_right) give_back(s.frame, right_port);
        if (s.port == right_port && right_to_left) give_back(s.frame, left_port);
    }
    void answer(const Frame& frame, const net::NshView& view) {
        if (!view.nsh.smd.live_query) return;
        const bool alone_back = view.nsh.smd.oam || aware_drops;
        Frame back = with_nsh(echoed(frame), [&](net::Nsh& nsh) {
            nsh.smd.live_ack = true;
            nsh.smd.oam = alone_back;
        });
        if (alone_back) back.resize(58);
        give_back(back, aware_port);
        forget();
    }
    std::size_t events(const char* name) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(machine.events, [&](const std::string& e) {
                return e.find('"' + std::string(name) + '"') != std::string::npos;
            }));
    }
    // Messages that entered the service context; they are freed.
    std::vector<net::Smd> messages(std::vector<Ctrl>* ctrls = nullptr) {
        std::vector<net::Smd> out;
        while (Packet* p = engine.entered()) {
            out.push_back(p->smd);
            Ctrl ctrl;
            EXPECT_EQ(p->ctrl_count, 1);
            EXPECT_TRUE(p->oam);
            EXPECT_EQ(p->vni, 9001u);
            EXPECT_EQ(p->tunnel_peer, p->smd.anchor_host);
            EXPECT_EQ(p->smd.ttl, 62);
            EXPECT_EQ(decode(p->ctrl[0], ctrl), CtrlError::none);
            EXPECT_EQ(net::check_inner_frame(p->bytes()), net::SmdError::none);
            if (ctrls) ctrls->push_back(ctrl);
            machine.free(*p);
        }
        return out;
    }
};

TEST(Liveness, NodesThatAnswerAreUp) {
    Living w;
    w.run(2000);
    EXPECT_EQ(w.machine.health.get(aware_node), State::up);
    EXPECT_EQ(w.machine.health.get(l2_node), State::up);
    EXPECT_EQ(w.events("node-up"), 2u);
    EXPECT_EQ(w.events("node-down"), 0u);
    w.run(10'000);
    EXPECT_EQ(w.machine.events.size(), 2u);
    w.run(20'000);
    EXPECT_EQ(w.events("node-up"), 4u);  // said again, in case the controller was away
    EXPECT_TRUE(std::ranges::all_of(w.machine.events.begin() + 2, w.machine.events.end(),
                                    [](const std::string& e) {
                                        return e.find(R"("again":true)") != std::string::npos;
                                    }));
    EXPECT_EQ(w.machine.in_use, 0u);
    EXPECT_EQ(w.machine.events[0].substr(0, 30), R"({"event":"node-up","node":"n1")");
}

TEST(Liveness, IdleNodesAreAskedEachIntervalAndNoMore) {
    Living w;
    w.run(10'001);
    EXPECT_EQ(w.heartbeats.size(), 2 * 41u);  // one each way, every 250 ms (LV-4)
    EXPECT_EQ(w.alone.size(), 40u);
    for (std::size_t i = 1; i < w.alone.size(); ++i)
        EXPECT_EQ(w.alone[i] - w.alone[i - 1], 250 * ms);
}

// LV-2: with traffic no packet of its own is needed.
TEST(Liveness, QueriesRideOnTraffic) {
    Living w;
    for (int i = 0; i < 10'000; ++i) {
        w.step();
        Packet& p = w.service_packet(guest_frame(1), smd_of(1), aware_port);
        ASSERT_EQ(w.engine.to_node(p), taken);
        for (const Sent& s : std::exchange(w.machine.sent, {})) w.node_sees(s);
    }
    EXPECT_LE(w.alone.size(), 3u);  // the grace ends now and then between two packets
    EXPECT_EQ(w.machine.health.get(aware_node), State::up);
    const NodeSlot& slot = w.engine.workers[0]->live.binding.slot(0);
    EXPECT_GE(slot.judge.answered(), 38u);
    EXPECT_EQ(slot.judge.missed(), 0u);
    w.forget();
}

// A node must answer even for packets that it drops.
TEST(Liveness, NodesThatDropEverythingButAnswerAreUp) {
    Living w;
    w.aware_drops = true;
    for (int i = 0; i < 5000; ++i) {
        w.step();
        Packet& p = w.service_packet(guest_frame(1), smd_of(1), aware_port);
        ASSERT_EQ(w.engine.to_node(p), taken);
        for (const Sent& s : std::exchange(w.machine.sent, {})) w.node_sees(s);
    }
    EXPECT_EQ(w.machine.health.get(aware_node), State::up);
    EXPECT_EQ(w.engine.workers[0]->live.binding.slot(0).judge.missed(), 0u);
    EXPECT_EQ(w.engine.workers[0]->live.binding.slot(0).unreturned.load(), 3000u);
}

// LV-2, LV-10: at most a second from the hang to the verdict, at any moment, idle or busy.
TEST(Liveness, AHungAwareNodeIsDownWithinASecond) {
    for (const bool busy : {false, true}) {
        std::uint64_t longest = 0, shortest = ~0ull;
        for (std::uint64_t phase = 0; phase < 250; phase += 7) {
            Living w;
            w.run(2000 + phase);
            w.aware_hung = true;
            std::uint64_t took = 1;
            for (; took < 5000; ++took) {
                w.step();
                if (w.machine.health.get(aware_node) == State::down) break;
                if (!busy) continue;
                Packet& p = w.service_packet(guest_frame(1), smd_of(1), aware_port);
                ASSERT_EQ(w.engine.to_node(p), taken);
                w.machine.sent.clear();
            }
            longest = std::max(longest, took);
            shortest = std::min(shortest, took);
            EXPECT_EQ(w.events("node-down"), 1u);
            (void)w.messages();
        }
        EXPECT_LE(longest, 1000u) << busy;
        EXPECT_GE(shortest, 730u) << busy;
    }
}

TEST(Liveness, AnL2NodeIsUpOnlyIfBothDirectionsPass) {
    for (const bool left_to_right : {false, true}) {
        for (const bool right_to_left : {false, true}) {
            Living w;
            w.run(2000);
            w.left_to_right = left_to_right;
            w.right_to_left = right_to_left;
            const std::uint64_t took = w.until(l2_node, State::down, 5000);
            if (left_to_right && right_to_left) {
                EXPECT_EQ(took, 0u);
            } else {
                EXPECT_GE(took, 750u);
                EXPECT_LE(took, 1000u);
            }
            (void)w.messages();
        }
    }
}

TEST(Liveness, RecoveryTakesThreeAnswersAndTheHoldUp) {
    Living w;
    w.run(2000);
    w.left_to_right = false;
    ASSERT_NE(w.until(l2_node, State::down), 0u);
    w.left_to_right = true;
    EXPECT_EQ(w.until(l2_node, State::up), 250u + 750u + 2000u);
    w.left_to_right = false;
    ASSERT_NE(w.until(l2_node, State::down), 0u);
    w.left_to_right = true;
    EXPECT_EQ(w.until(l2_node, State::up), 250u + 750u + 4000u);  // damping (LV-6)
    EXPECT_EQ(w.events("node-up"), 4u);                           // with those of the start
    EXPECT_EQ(w.events("node-down"), 2u);
    (void)w.messages();
}

// LV-7: the hosts of the segment hear of it in the data plane, within 100 ms.
TEST(Liveness, DownIsToldToTheHostsOfTheSegment) {
    Living w;
    w.run(2000);
    EXPECT_TRUE(w.messages().empty());
    w.aware_hung = true;
    ASSERT_NE(w.until(aware_node, State::down), 0u);
    std::vector<Ctrl> ctrls;
    const std::vector<net::Smd> sent = w.messages(&ctrls);
    std::set<std::uint32_t> hosts;
    for (const net::Smd& smd : sent) {
        hosts.insert(smd.anchor_host);
        EXPECT_TRUE(smd.oam && smd.returning);
        EXPECT_EQ(smd.si, 0);
        EXPECT_EQ(smd.initial_si, 0);
        EXPECT_EQ(smd.spi, 0u);
        EXPECT_EQ(net::check_smd(smd), net::SmdError::none);
    }
    EXPECT_EQ(hosts, (std::set<std::uint32_t>{1, 2, 4}));
    EXPECT_EQ(sent.size(), 3u);
    for (const Ctrl& ctrl : ctrls) {
        EXPECT_EQ(ctrl.op, static_cast<std::uint8_t>(CtrlOp::node_down));
        EXPECT_EQ(ctrl.issuer, aware_node);
        EXPECT_EQ(ctrl.scope, ctrl_node_scope);
    }
    w.aware_hung = false;
    ASSERT_NE(w.until(aware_node, State::up), 0u);
    EXPECT_TRUE(w.messages().empty());  // up is the controller's to say
    EXPECT_EQ(w.machine.in_use, 0u);
}

TEST(Liveness, ManyHostsAreToldWithin100Milliseconds) {
    model::Snapshot intent = node_intent();
    for (std::uint32_t id = 100; id < 100 + 4093; ++id) {
        model::Host host;
        host.name = "x" + std::to_string(id);
        host.id = id;
        intent.put(host);
    }
    Living w(1, intent);
    w.run(2000);
    w.aware_hung = true;
    ASSERT_NE(w.until(aware_node, State::down), 0u);
    std::size_t told = w.messages().size();
    EXPECT_LE(told, 64u);
    unsigned milliseconds = 0;
    for (; told < 4096 && milliseconds < 1000; ++milliseconds) {
        w.step();
        told += w.messages().size();
    }
    EXPECT_EQ(told, 4096u);
    EXPECT_LT(milliseconds, 100u);
    w.run(1000);
    EXPECT_TRUE(w.messages().empty());
}

TEST(Liveness, WithoutPacketBuffersNobodyIsBlamed) {
    Living w;
    w.run(2000);
    w.machine.most_packets = 0;
    w.run(5000);
    EXPECT_EQ(w.machine.health.get(aware_node), State::up);
    EXPECT_EQ(w.machine.health.get(l2_node), State::up);
    w.machine.most_packets = 1;  // one heartbeat of two
    w.run(5000);
    EXPECT_EQ(w.machine.health.get(l2_node), State::up);
    EXPECT_EQ(w.machine.in_use, 0u);
}

TEST(Liveness, NodesThatPromiseNothingAreNotAsked) {
    Living w(1, two_services());
    w.run(5000);
    EXPECT_TRUE(w.alone.empty());
    EXPECT_EQ(w.machine.health.get(aware_node), State::unknown);
    EXPECT_EQ(w.machine.health.get(l2_node), State::up);  // heartbeats need no promise
}

TEST(Liveness, SwitchedOffItForgetsWhoWasDown) {
    Living w;
    w.run(2000);
    w.aware_hung = true;
    ASSERT_NE(w.until(aware_node, State::down, 2000), 0u);
    w.engine.publish(two_services());
    w.run(10);
    EXPECT_EQ(w.machine.health.get(aware_node), State::up);
    w.run(40'000);
    EXPECT_EQ(w.machine.health.get(aware_node), State::up);
    EXPECT_EQ(w.events("node-down"), 1u);
    w.engine.publish(node_intent());
    w.run(10);
    EXPECT_EQ(w.machine.health.get(aware_node), State::up) << "until it is known not to be";
    const std::uint64_t again = w.until(aware_node, State::down, 2000);
    EXPECT_GT(again, 500u);
    EXPECT_LE(again, 1000u);
    w.aware_hung = false;
    EXPECT_NE(w.until(aware_node, State::up, 5000), 0u) << "the first hold-up again";
}

TEST(Liveness, NodesWithoutOpenPortsAreNotJudged) {
    const model::Snapshot intent = node_intent();
    Machine machine;
    dataplane::Topology ports = node_ports(intent);
    ports.ports[right_port].role = dataplane::PortRole::none;
    ports.ports[aware_port].foreign = true;  // another engine judges it
    Engine engine(machine, intent, ports);
    for (int i = 0; i < 5000; ++i) {
        engine.now_ns += ms;
        engine.tick();
    }
    EXPECT_TRUE(machine.sent.empty());
    EXPECT_EQ(machine.health.get(aware_node), State::unknown);
    EXPECT_EQ(machine.health.get(l2_node), State::unknown);
}

TEST(Liveness, OneWorkerJudges) {
    const model::Snapshot intent = node_intent();
    Machine machine(4);
    dataplane::Topology ports = node_ports(intent);
    ports.ports[left_port].polling_worker = 2;
    Engine engine(machine, intent, ports);
    for (int i = 0; i < 1000; ++i) {
        engine.now_ns += ms;
        engine.tick();
    }
    std::size_t heartbeats = 0;
    for (const Sent& s : machine.sent) heartbeats += s.port != aware_port;
    EXPECT_EQ(heartbeats, 2 * 4u);
    model::Value rows = model::Value::array();
    for (auto& w : engine.workers)
        Liveness::query("nodes", *engine.live_tables, w->live, w->emit, rows);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows.items()[1]["node"].as_text(), "n6");
    EXPECT_EQ(rows.items()[1]["questions"].as_uint(), 4u);
}

// The judgement is the host's, not the engine's: another engine goes on where the first stood.
TEST(Liveness, AnotherEngineGoesOnJudging) {
    Living w;
    w.run(2000);
    w.aware_hung = true;
    w.run(600);
    ASSERT_EQ(w.machine.health.get(aware_node), State::up);
    Engine next(w.machine, w.intent, node_ports(w.intent));
    next.now_ns = w.engine.now_ns;
    std::uint64_t took = 600;
    while (took < 5000 && w.machine.health.get(aware_node) != State::down) {
        next.now_ns += ms;
        next.tick();
        ++took;
    }
    EXPECT_LE(took, 1000u);
    while (Packet* p = next.entered()) w.machine.free(*p);
}

TEST(Liveness, ShowsHowNodesFare) {
    Living w;
    w.run(2001);
    w.aware_hung = true;
    ASSERT_NE(w.until(aware_node, State::down), 0u);
    auto& worker = *w.engine.workers[0];
    Collected counters;
    Liveness::counters(*w.engine.live_tables, worker.live, counters);
    EXPECT_EQ(counters.values["weir_service_node_up node=n1"], 0u);
    EXPECT_EQ(counters.values["weir_service_node_up node=n6"], 1u);
    EXPECT_EQ(counters.values["weir_service_node_flaps_total node=n1"], 1u);
    EXPECT_EQ(counters.values["weir_service_node_missed_total node=n1"], 3u);
    EXPECT_EQ(counters.values["weir_service_node_down_messages_total way=sent"], 3u);
    model::Value rows = model::Value::array();
    EXPECT_TRUE(Liveness::query("nodes", *w.engine.live_tables, worker.live, worker.emit, rows));
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows.items()[0]["state"].as_text(), "down");
    EXPECT_EQ(rows.items()[0]["hold_up_ms"].as_uint(), 2000u);
    EXPECT_EQ(rows.items()[1]["state"].as_text(), "up");
    EXPECT_FALSE(
        Liveness::query("contexts", *w.engine.live_tables, worker.live, worker.emit, rows));
    (void)w.messages();
}

}  // namespace
}  // namespace weir::chain
