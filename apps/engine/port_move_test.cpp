#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "apps/engine/engine.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "flow/save_slices.hpp"
#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/wire.hpp"

// A port moves from an engine with one worker to one with three, on another host.
namespace weir::engine {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

constexpr const char* intent_of[2] = {R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1}
---
{kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2}
---
{kind: segment, name: web, vni: 5001}
---
{kind: port, name: g2, host: h1, segment: web, mac: "02:00:00:00:0b:01", addresses: [10.1.0.2],
 device: {type: memory}}
---
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:0a:01", addresses: [10.1.0.1],
 device: {type: memory}}
---
{kind: firewall-rule, name: all, id: 1, protocol: tcp, action: allow}
---
{kind: firewall-settings, name: default, default_action: drop}
)",
                                      R"(
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1}
---
{kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2}
---
{kind: segment, name: web, vni: 5001}
---
{kind: port, name: g2, host: h2, segment: web, mac: "02:00:00:00:0b:01", addresses: [10.1.0.2],
 device: {type: memory}}
---
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:0a:01", addresses: [10.1.0.1],
 device: {type: memory}}
---
{kind: firewall-rule, name: all, id: 1, protocol: tcp, action: allow}
---
{kind: firewall-settings, name: default, default_action: drop}
)"};

// A host with g2 beside whom g1 is or arrives, so that packets need no tunnel.
struct Site {
    Site(std::uint32_t workers, const char* name, const char* intent, std::uint64_t clock)
        : shell(workers), now_ns(clock) {
        engine = Engine::create(shell.vtable, name, 1).value();
        std::string text = intent;
        // The plan of the destination has the rules of a port that arrives.
        if (std::string_view(name) == "h2")
            text.replace(text.find("name: g1, host: h1"), 18, "name: g1, host: h2");
        EXPECT_TRUE(engine->publish(host_snapshot(text, name), 1).ok());
    }
    void attach(std::uint32_t index, const char* name, std::uint32_t place = 0) {
        weir_port_info info = MemoryShell::port(index, name);
        info.place = place;
        info.from_host = 1;
        const auto ticket =
            place == weir_port_arriving ? engine->introduce(info) : engine->attach(info);
        ASSERT_TRUE(ticket.ok()) << ticket.error().text();
    }
    // What one side of client → server sends; packets handed to other workers go there.
    void send(std::uint32_t port, bool from_g1, std::uint16_t client, std::uint8_t flags,
              std::uint32_t sequence, std::uint32_t acknowledgement) {
        const net::Mac g1{{2, 0, 0, 0, 0x0a, 1}}, g2{{2, 0, 0, 0, 0x0b, 1}};
        net::FrameBuilder frame;
        if (from_g1)
            frame.eth(g2, g1).ip("10.1.0.1", "10.1.0.2").tcp(client, 80, flags, sequence,
                                                            acknowledgement);
        else
            frame.eth(g1, g2).ip("10.1.0.2", "10.1.0.1").tcp(80, client, flags, sequence,
                                                            acknowledgement);
        auto bytes = frame.build();
        bytes.resize(std::max<std::size_t>(bytes.size(), 60));
        net::Packet* p = shell.pool.make(0, bytes.data(), bytes.size());
        p->hand.port = port;
        engine->run(0, &p, 1, now_ns += 1000);
        while (!shell.handed.empty()) {
            auto [to, packet] = shell.handed.back();
            shell.handed.pop_back();
            engine->run(to, &packet, 1, now_ns);
        }
    }
    std::uint64_t counter(const std::string& name, const std::string& label = {}) {
        model::Value request = model::Value::object();
        request.set("what", "counters");
        std::uint64_t sum = 0;
        for (std::uint32_t w = 0; w < shell.vtable.workers; ++w) {
            const model::Value answer = engine->worker_query(w, request, now_ns);
            for (const model::Value& row : answer["rows"].items())
                if (row["metric"].as_text() == name &&
                    (label.empty() || row["labels"]["reason"].as_text() == label))
                    sum += row["value"].as_uint();
        }
        return sum;
    }
    // One pass of the port's blobs.
    std::vector<std::string> save(std::uint32_t port, bool delta) {
        std::vector<std::string> blobs;
        const Status begun = engine->save(port, false, delta, {});
        EXPECT_TRUE(begun.ok()) << begun.error().text();
        for (std::uint32_t w = 0; w < shell.vtable.workers; ++w)
            for (bool more = true; more;) {
                Bytes bytes;
                const auto next = engine->save_slice(w, port, now_ns, bytes);
                EXPECT_TRUE(next.ok()) << next.error().text();
                more = next.ok() && *next;
                if (!bytes.empty()) blobs.emplace_back(bytes.begin(), bytes.end());
            }
        return blobs;
    }
    Bytes restore(std::uint32_t port, const std::vector<std::string>& blobs) {
        Bytes handles;
        for (const std::string& blob : blobs) {
            const Status good = engine->restore(port, false, blob);
            EXPECT_TRUE(good.ok()) << good.error().text();
            for (std::uint32_t w = 0; w < shell.vtable.workers; ++w) {
                const Status taken = engine->restore_slice(w, port, blob, now_ns, handles);
                EXPECT_TRUE(taken.ok()) << taken.error().text();
            }
        }
        return handles;
    }

    MemoryShell shell;
    std::unique_ptr<Engine> engine;
    std::uint64_t now_ns;
};

constexpr std::uint32_t home_g1 = 0, home_g2 = 1, away_g2 = 4, away_g1 = 7;

struct PortMove : testing::Test {
    PortMove() {
        home.attach(home_g1, "g1");
        home.attach(home_g2, "g2");
        away.attach(away_g2, "g2");
        away.attach(away_g1, "g1", weir_port_arriving);
    }
    void open(std::uint16_t client) {
        home.send(home_g1, true, client, net::tcp_syn, 1000, 0);
        home.send(home_g2, false, client, net::tcp_syn | net::tcp_ack, 5000, 1001);
        home.send(home_g1, true, client, net::tcp_ack, 1001, 5001);
    }
    Site home{1, "h1", intent_of[0], 5'000'000'000};
    Site away{3, "h2", intent_of[1], 77'000'000'000'000};  // another clock
};

TEST_F(PortMove, ConnectionsGoOnAtAnotherHostAndNothingIsDecidedAnew) {
    for (std::uint16_t client = 4000; client < 4300; ++client) open(client);
    Bytes handles = away.restore(away_g1, home.save(home_g1, false));
    for (std::uint16_t client = 4300; client < 4400; ++client) open(client);
    ASSERT_TRUE(home.engine->quiesce(home_g1) != 0);
    const Bytes more = away.restore(away_g1, home.save(home_g1, true));
    EXPECT_GE(more.size(), 100u * 8);
    handles.insert(handles.end(), more.begin(), more.end());

    std::set<std::uint32_t> here, there;
    for (std::size_t i = 0; i < handles.size(); i += 8) {
        here.insert(net::load32(handles.data() + i));
        there.insert(net::load32(handles.data() + i + 4));
    }
    EXPECT_EQ(here.size(), 400u);
    EXPECT_EQ(there.size(), 400u);

    // Still elsewhere: packets for it do not stay here.
    const std::size_t before = away.shell.sent.size();
    away.attach(away_g1, "g1", weir_port_arrived);
    const std::uint64_t decided = away.counter("weir_firewall_decisions_total");
    const std::uint64_t inserted = away.counter("weir_flows_inserted_total");
    for (std::uint16_t client = 4000; client < 4400; ++client)
        away.send(away_g1, true, client, net::tcp_ack, 1001, 5001);
    // g1's own records let the packets out; g2's side does not know the connection and says so.
    EXPECT_EQ(away.counter("weir_drops_total", "flow.out_of_state"), 400u);
    EXPECT_EQ(away.counter("weir_firewall_decisions_total"), decided);
    EXPECT_EQ(away.counter("weir_flows_inserted_total"), inserted);
    EXPECT_EQ(away.shell.sent.size(), before);
}

TEST_F(PortMove, WithoutTheBlobTheyDoNot) {
    open(4000);
    away.attach(away_g1, "g1", weir_port_arrived);
    away.send(away_g1, true, 4000, net::tcp_ack, 1001, 5001);
    EXPECT_EQ(away.counter("weir_drops_total", "flow.out_of_state"), 1u);
    model::Value request = model::Value::object();
    request.set("what", "flows");
    for (std::uint32_t w = 0; w < 3; ++w)
        EXPECT_EQ(away.engine->worker_query(w, request, away.now_ns)["rows"].size(), 0u);
}

TEST_F(PortMove, WhatIsNotThePortsIsRefusedBeforeAnythingChanges) {
    open(4000);
    const std::string blob = home.save(home_g1, false).at(0);
    const auto why = [&](const std::string& bytes, std::uint32_t port = away_g1) {
        const Status status = away.engine->restore(port, false, bytes);
        return status ? std::string() : status.error().text();
    };
    EXPECT_EQ(why(blob), "");
    std::string broken = blob;
    broken[blob.size() / 2] = static_cast<char>(broken[blob.size() / 2] ^ 1);
    EXPECT_THAT(why(broken), HasSubstr("the checksum does not fit"));
    EXPECT_THAT(why(blob, away_g2), HasSubstr("\"g1\" is not g2"));
    EXPECT_THAT(why(blob, 9), HasSubstr("no such port"));
    EXPECT_THAT(why(""), HasSubstr("no port's state"));
    Bytes handles;
    EXPECT_FALSE(home.engine->save_slice(0, home_g2, home.now_ns, handles).ok());
    EXPECT_FALSE(home.engine->save(home_g2, false, true, {}).ok());
    EXPECT_FALSE(home.engine->save(9, false, false, {}).ok());
}

TEST_F(PortMove, APortThatLeftIsForgottenHereAndComesBack) {
    open(4000);
    weir_port_move move{home_g1, 2, 1u << 24 | away_g1, home.now_ns + 30'000'000'000};
    EXPECT_FALSE(home.engine->forward(move, "odd").ok());
    ASSERT_TRUE(home.engine->forward(move, "").ok());
    EXPECT_FALSE(home.engine->forward(move, "").ok());
    // The snapshot still says that it is here; its neighbour's packets already go to the tunnel.
    home.send(home_g2, false, 4001, net::tcp_syn, 1, 0);
    EXPECT_EQ(home.counter("weir_drops_total", "encap.no_underlay"), 1u);
    home.attach(home_g1, "g1");
    home.send(home_g2, false, 4002, net::tcp_syn, 1, 0);
    EXPECT_EQ(home.counter("weir_drops_total", "encap.no_underlay"), 1u);
}

}  // namespace
}  // namespace weir::engine
