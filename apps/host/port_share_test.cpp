#include "apps/host/port_share.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "apps/host/queries.hpp"
#include "apps/host/testing/rig.hpp"

namespace weir::host {
namespace {

constexpr std::int64_t quantum = PortShare::quantum_ns;

// Bursts of `packets` that each take `each` nanoseconds, until the port has no credit.
int bursts_until_out(PortShare& share, std::uint32_t packets, std::uint64_t each,
                     std::uint32_t refused = 0) {
    int bursts = 0;
    while (share.has_credit() && bursts < 1000) {
        if (share.look()) share.learn(each * packets, packets);
        share.charge(packets, refused, 0);
        ++bursts;
    }
    return bursts;
}

TEST(PortShare, AQuantumLastsByTimeNotByPackets) {
    PortShare cheap, dear;
    EXPECT_EQ(bursts_until_out(cheap, 32, 50), 7);  // 1.6 µs each
    EXPECT_EQ(bursts_until_out(dear, 32, 100), 4);  // 3.2 µs each
    EXPECT_EQ(bursts_until_out(dear, 32, 100), 0);
    EXPECT_EQ(cheap.used_ns.get(), 7u * 32 * 50);
}

TEST(PortShare, WhatIsRefusedWeighsSixteenfold) {
    PortShare share;
    EXPECT_EQ(bursts_until_out(share, 32, 100, 32), 1);
    EXPECT_EQ(share.credit_ns(), quantum - 16 * 32 * 100);
    EXPECT_EQ(share.used_ns.get(), 32u * 100) << "it is no more time for that";
}

TEST(PortShare, NobodySavesUp) {
    PortShare share;
    share.grant(50 * quantum, 0);
    EXPECT_EQ(share.credit_ns(), quantum);
    share.rest();
    EXPECT_EQ(share.credit_ns(), quantum);
}

TEST(PortShare, TimeWithoutCreditIsCounted) {
    PortShare share;
    share.charge(32, 32, 1000);
    share.grant(1, 5000);
    EXPECT_EQ(share.waited_ns.get(), 0u) << "it still waits";
    share.grant(10 * quantum, 9000);
    EXPECT_TRUE(share.has_credit());
    EXPECT_EQ(share.waited_ns.get(), 8000u);
    share.grant(1, 20'000);
    EXPECT_EQ(share.waited_ns.get(), 8000u);
}

TEST(PortShare, BeginsAnewWithAnotherPort) {
    PortShare share;
    share.charge(32, 32, 1000);
    share.grant(10 * quantum, 9000);
    share.begin_anew();
    EXPECT_EQ(share.used_ns.get(), 0u);
    EXPECT_EQ(share.waited_ns.get(), 0u);
    EXPECT_EQ(share.credit_ns(), quantum);
}

TEST(PortShare, OneOutlierIsNotBelieved) {
    PortShare share;
    share.learn(32 * 50, 32);
    share.learn(10'000'000, 32);  // the core was somebody else's
    share.charge(1, 0, 0);
    EXPECT_EQ(share.credit_ns(), quantum - 116);
    share.learn(32 * 50, 32);
    share.charge(1, 0, 0);
    EXPECT_EQ(share.credit_ns(), quantum - 116 - 50);
}

// Time passes as the test's engine is asked to spend it: 100 ns a packet.
std::uint64_t clock_now = 0;
std::uint64_t test_clock() {
    return clock_now += 1600;  // half a burst of 32: read before and behind it
}

// Port pairs (0, 1), (2, 3), …: the engine carries what one receives to the other.
class PortShares : public ::testing::Test {
protected:
    void start(std::vector<std::string> names) {
        rig_.options.workers.clock = &test_clock;
        rig_.start();
        std::vector<PortSpec> ports;
        for (const std::string& name : names) ports.push_back(testing::Rig::port(name));
        ASSERT_TRUE(rig_.shell->apply(testing::Rig::config(1, std::move(ports))).ok());
    }
    std::uint64_t received(const std::string& name) { return rig_.device(name).stats().rx_packets; }
    // Keeps so many frames waiting at a port.
    void fill(const std::string& name, std::uint8_t kind, std::uint16_t flags = 0) {
        auto frame = testing::frame(1);
        frame[14] = kind;
        for (int i = 0; i < 64; ++i) rig_.device(name).inject(frame, flags);
    }
    void turn() {
        rig_.shell->workers().turn_all(now_ += 10'000);
        for (const auto& [name, device] : rig_.devices)
            while (device->collect()) {
            }
    }
    // Port c sends nothing else, as much as is asked for.
    void expect_to_be_contained(std::uint8_t kind);

    testing::Rig rig_{1, false};
    std::uint64_t now_ = 1;
    static constexpr std::uint8_t forwarded = 0, refused = 0xdd, in_vain = 0xee;
};

TEST_F(PortShares, APortWhosePacketsAreRefusedLeavesTheOthersTheirRate) {
    expect_to_be_contained(refused);
}

// Handshakes that drive out handshakes: they are sent on, and came to nothing all the same.
TEST_F(PortShares, APortWhosePacketsAreInVainLeavesTheOthersTheirRate) {
    expect_to_be_contained(in_vain);
}

void PortShares::expect_to_be_contained(std::uint8_t kind) {
    start({"a", "b", "c", "d"});
    for (int i = 0; i < 2000; ++i) {
        fill("a", forwarded);
        fill("b", forwarded);
        fill("c", kind);
        turn();
    }
    const double good = static_cast<double>(received("a") + received("b"));
    const double bad = static_cast<double>(received("c"));
    EXPECT_LT(bad, good * 0.05);
    EXPECT_GT(bad, good * 0.01) << "it is not cut off";
    EXPECT_NEAR(static_cast<double>(received("a")), static_cast<double>(received("b")),
                good * 0.02);
    const HostPort& c = *rig_.shell->ports().find("c");
    EXPECT_GT(rig_.shell->workers().worker(0).share(c.index).waited_ns.get(), now_ / 2);
}

TEST_F(PortShares, AloneItHasTheWholeWorker) {
    start({"a", "b"});
    for (int i = 0; i < 100; ++i) {
        fill("a", refused);
        const std::uint64_t before = received("a");
        turn();
        ASSERT_EQ(received("a") - before, 32u) << "turn " << i;
    }
}

// Many ports that have a little to do all the time do not keep one from its work that has much.
TEST_F(PortShares, ManyLightPortsDoNotStarveABusyOne) {
    std::vector<std::string> names;
    for (char name = 'a'; name < 'u'; ++name) names.emplace_back(1, name);
    start(names);
    for (int i = 0; i < 2000; ++i) {
        fill("a", forwarded);
        rig_.device(names[1 + static_cast<std::size_t>(i) % 19]).inject(testing::frame(1));
        turn();
    }
    EXPECT_GT(received("a"), 2000u * 32 * 9 / 10);
}

// Ports that are never done, and take turns in being so, leave others a part.
TEST_F(PortShares, PortsThatTakeTurnsDoNotStarveAnother) {
    start({"a", "b", "c", "d"});
    for (int i = 0; i < 3000; ++i) {
        fill("a", forwarded);
        if (i % 3 != 0) fill("b", forwarded);
        if (i % 3 != 1) fill("c", forwarded);
        if (i % 3 != 2) fill("d", forwarded);
        turn();
    }
    EXPECT_GT(received("a"), received("b") / 20);
}

// The engine gives a super-frame back when it has sent its pieces.
TEST_F(PortShares, SuperFramesAreNotTakenForRefused) {
    start({"a", "b", "c", "d"});
    for (int i = 0; i < 500; ++i) {
        fill("a", forwarded);
        fill("c", refused, net::packet_super_frame);
        turn();
    }
    EXPECT_GT(received("c"), received("a") * 9 / 10);
}

// Operators see who had the worker: dataplane/queries.md, "counters".
TEST_F(PortShares, CountersTellWhatPortsHad) {
    start({"a", "b", "c", "d"});
    for (int i = 0; i < 200; ++i) {
        fill("a", forwarded);
        fill("b", forwarded);
        fill("c", refused);
        turn();
    }
    std::map<std::string, std::uint64_t> used, waited;
    const model::Value counters = all_counters(*rig_.shell);
    for (const model::Value& row : counters["rows"].items()) {
        const std::string& port = row["labels"]["port"].as_text();
        if (row["metric"].as_text() == "weir_port_worker_ns_total")
            used[port] = row["value"].as_uint();
        if (row["metric"].as_text() == "weir_port_waited_ns_total")
            waited[port] = row["value"].as_uint();
    }
    EXPECT_EQ(used.size(), 4u);
    EXPECT_GT(used["a"], 5 * used["c"]);
    EXPECT_GT(waited["c"], waited["a"]);
    EXPECT_EQ(used["d"], 0u);
}

// Everybody's packets come from the underlay and from service nodes.
TEST_F(PortShares, WhatIsRefusedOfASharedPortWeighsNoMore) {
    start({"a", "b", "underlay", "d"});
    for (int i = 0; i < 500; ++i) {
        fill("a", forwarded);
        fill("underlay", refused);
        turn();
    }
    EXPECT_GT(received("underlay"), received("a") * 9 / 10);
}

TEST_F(PortShares, WhoIsQuietIsServedAtOnce) {
    start({"a", "b", "c", "d"});
    for (int i = 0; i < 200; ++i) {
        fill("a", forwarded);
        fill("c", refused);
        turn();
    }
    rig_.device("b").inject(testing::frame(1));
    const std::uint64_t before = received("b");
    turn();
    turn();
    EXPECT_EQ(received("b"), before + 1);
}

}  // namespace
}  // namespace weir::host
