#include "features/first.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "apps/engine/engine.hpp"
#include "apps/engine/testing/host_snapshot.hpp"
#include "apps/engine/testing/memory_shell.hpp"
#include "apps/engine/testing/two_guests.hpp"
#include "net/builder.hpp"
#include "net/wire.hpp"

// Connections between two guests of one host: how many of their packets the stages have to look at.
namespace weir::engine {
namespace {

using Frame = MemoryShell::Frame;

const std::string intent = two_guests + R"(---
{kind: firewall-rule, name: all, id: 1, protocol: tcp, action: allow}
---
{kind: firewall-rule, name: datagrams, id: 2, protocol: udp, action: allow}
---
{kind: port, name: g3, host: h1, segment: web, mac: "02:00:00:00:0c:01", addresses: [10.1.0.3],
 device: {type: memory}, labels: {limited: "yes"}}
---
{kind: group, name: limited, labels: {limited: "yes"}}
---
{kind: flow-limits, name: limited, applied_to: [limited], new_flows_per_second: 10, burst: 1}
)";

class First : public testing::Test {
protected:
    void SetUp() override {
        engine_ = Engine::create(shell_.vtable, "h1", 1).value();
        ASSERT_TRUE(engine_->publish(host_snapshot(intent, "h1"), 1).ok());
        const char* const names[] = {"g1", "g2", "g3"};
        for (const std::uint32_t i : {0u, 1u, 2u})
            ASSERT_TRUE(engine_->attach(MemoryShell::port(i, names[i])).ok());
    }
    // Side 0 is g1, the client.
    void send(std::uint32_t side, std::uint16_t client, std::uint8_t flags, std::uint32_t sequence,
              std::uint32_t acknowledgement) {
        const net::Mac macs[2] = {{{2, 0, 0, 0, 0x0a, 1}}, {{2, 0, 0, 0, 0x0b, 1}}};
        const char* const ips[2] = {"10.1.0.1", "10.1.0.2"};
        net::FrameBuilder frame;
        frame.eth(macs[side ^ 1], macs[side]).ip(ips[side], ips[side ^ 1]);
        if (side == 0) frame.tcp(client, 80, flags, sequence, acknowledgement);
        else frame.tcp(80, client, flags, sequence, acknowledgement);
        Frame bytes = frame.build();
        bytes.resize(std::max<std::size_t>(bytes.size(), 60));
        net::Packet* p = shell_.pool.make(0, bytes.data(), bytes.size());
        p->hand.port = side;
        given_up_ += engine_->run(0, &p, 1, now_ns_ += 1000);
    }
    void connect(std::uint16_t client) {
        send(0, client, net::tcp_syn, 1000, 0);
        send(1, client, net::tcp_syn | net::tcp_ack, 5000, 1001);
        send(0, client, net::tcp_ack, 1001, 5001);
        send(0, client, net::tcp_fin | net::tcp_ack, 1001, 5001);
        send(1, client, net::tcp_fin | net::tcp_ack, 5001, 1002);
        send(0, client, net::tcp_ack, 1002, 5002);
    }
    // One burst of g3 to g2, a packet from each of these ports.
    void send_datagrams(std::initializer_list<std::uint16_t> clients) {
        std::vector<net::Packet*> burst;
        for (const std::uint16_t client : clients) {
            net::FrameBuilder frame;
            frame.eth({{2, 0, 0, 0, 0x0b, 1}}, {{2, 0, 0, 0, 0x0c, 1}}).ip("10.1.0.3", "10.1.0.2");
            Frame bytes = frame.udp(client, 53).build();
            bytes.resize(std::max<std::size_t>(bytes.size(), 60));
            burst.push_back(shell_.pool.make(0, bytes.data(), bytes.size()));
            burst.back()->hand.port = 2;
        }
        engine_->run(0, burst.data(), static_cast<std::uint32_t>(burst.size()), now_ns_ += 1000);
    }
    // From g1 to g2.
    void send_datagram(std::uint16_t client, std::uint16_t service) {
        net::FrameBuilder frame;
        frame.eth({{2, 0, 0, 0, 0x0b, 1}}, {{2, 0, 0, 0, 0x0a, 1}}).ip("10.1.0.1", "10.1.0.2");
        Frame bytes = frame.udp(client, service).build();
        bytes.resize(std::max<std::size_t>(bytes.size(), 60));
        net::Packet* p = shell_.pool.make(0, bytes.data(), bytes.size());
        p->hand.port = 0;
        engine_->run(0, &p, 1, now_ns_ += 1000);
    }
    std::uint64_t counter(const char* name) {
        model::Value request = model::Value::object();
        request.set("what", "counters");
        const model::Value answer = engine_->worker_query(0, request, now_ns_);
        std::uint64_t sum = 0;
        for (const model::Value& row : answer["rows"].items())
            if (row["metric"].as_text() == name) sum += row["value"].as_uint();
        return sum;
    }

    MemoryShell shell_;
    std::unique_ptr<Engine> engine_;
    std::uint64_t now_ns_ = 1'000'000'000;
    std::uint64_t given_up_ = 0;  // handshakes, as the shell is told
};

// The ways of both guests, out and in, are remembered beside each other, whatever their MACs are.
TEST_F(First, OnlyTheFirstConnectionMeetsTheStages) {
    connect(4000);
    connect(4001);
    const std::uint64_t records = counter("weir_express_flows_total");
    const std::uint64_t passes = counter("weir_express_packets_total");
    for (std::uint16_t i = 0; i < 20; ++i) connect(static_cast<std::uint16_t>(5000 + i));
    EXPECT_EQ(shell_.sent.size(), 22u * 6);
    EXPECT_EQ(counter("weir_flows_inserted_total"), 22u * 2);
    EXPECT_EQ(counter("weir_express_flows_total") - records, 20u * 2);
    EXPECT_EQ(counter("weir_express_packets_total") - passes, 20u * 6 * 2);
}

// Behind its first packet a connection passes both guests with one look-up, to its last one.
TEST_F(First, AConnectionBeginsFused) {
    connect(4000);
    connect(4001);
    const std::uint64_t fused = counter("weir_express_fused_packets_total");
    for (std::uint16_t i = 0; i < 20; ++i) connect(static_cast<std::uint16_t>(5000 + i));
    EXPECT_EQ(counter("weir_express_fused_packets_total") - fused, 20u * 5);
}

// The packet that begins a flow may use the port's rate up; what follows it in its burst had no
// record when it was looked for, and is none that begins too much all the same.
TEST_F(First, ALimitSparesTheFlowThatBeganInTheSameBurst) {
    send_datagrams({4000});
    send_datagrams({4001});
    now_ns_ += 10'000'000'000;
    shell_.sent.clear();
    const std::uint64_t records = counter("weir_express_flows_total");
    send_datagrams({5000});
    send_datagrams({5001, 5001, 5001, 5002, 5001});
    EXPECT_EQ(shell_.sent.size(), 5u) << "all but 5002";
    EXPECT_EQ(counter("weir_flows_refused_total"), 1u);
    EXPECT_EQ(counter("weir_express_flows_total") - records, 2u * 2) << "not the stages";
}

// The flow is made behind the others of its burst; what follows it there finds it all the same.
TEST_F(First, AFlowThatBeginsIsKnownToTheRestOfItsBurst) {
    send_datagrams({4000});
    now_ns_ += 10'000'000'000;
    send_datagrams({4001});
    now_ns_ += 10'000'000'000;
    shell_.sent.clear();
    const std::uint64_t fused = counter("weir_express_fused_packets_total");
    const std::uint64_t records = counter("weir_express_flows_total");
    send_datagrams({5000, 5000, 5000});
    EXPECT_EQ(shell_.sent.size(), 3u);
    EXPECT_EQ(counter("weir_express_flows_total") - records, 2u);
    EXPECT_EQ(counter("weir_express_fused_packets_total") - fused, 2u);
}

// How one of them goes on under new rules is remembered for others of its program, but not for
// those that a rule which changed may name.
TEST_F(First, ARuleThatChangesStopsTheFusedFlowsItNames) {
    constexpr std::uint16_t denied = 53, same_remainder = 53 + 64, other = 54;
    for (const std::uint16_t client : {std::uint16_t{3999}, std::uint16_t{4000}})
        send_datagram(client, other);
    for (const std::uint16_t service : {other, denied, same_remainder})
        send_datagram(4001, service);
    shell_.sent.clear();
    const std::string rule =
        "---\n{kind: firewall-rule, name: denied, id: 3, priority: 0, "
        "protocol: udp, ports: [53], action: drop}\n";
    ASSERT_TRUE(engine_->publish(host_snapshot(intent + rule, "h1"), 2).ok());
    const std::uint64_t fused = counter("weir_express_fused_packets_total");
    const std::uint64_t renewed = counter("weir_flows_renewed_total");
    for (const std::uint16_t service : {other, denied, same_remainder, denied})
        send_datagram(4001, service);
    EXPECT_EQ(shell_.sent.size(), 2u);
    EXPECT_EQ(counter("weir_express_fused_packets_total") - fused, 2u);
    EXPECT_EQ(counter("weir_flows_renewed_total") - renewed, 2u);
}

// A flood of handshakes in a full table drives out its own: the shell hears of each.
TEST_F(First, SaysHowManyHandshakesItGaveUp) {
    for (std::uint16_t i = 0; i < 1000; ++i)
        send(0, static_cast<std::uint16_t>(4000 + i), net::tcp_syn, 1000, 0);
    EXPECT_EQ(given_up_, 0u);
    for (std::uint16_t i = 0; i < 6000; ++i)
        send(0, static_cast<std::uint16_t>(5000 + i), net::tcp_syn, 1000, 0);
    EXPECT_GT(given_up_, 6000u);
    EXPECT_EQ(given_up_, counter("weir_flows_evicted_total"));
    const std::uint64_t before = given_up_;
    connect(20000);
    EXPECT_LE(given_up_ - before, 2u) << "what does not begin a flow gives up none";
}

}  // namespace
}  // namespace weir::engine
