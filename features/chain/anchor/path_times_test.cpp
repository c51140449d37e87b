#include "features/chain/anchor/path_times.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <numeric>
#include <thread>

namespace weir::chain {
namespace {

constexpr std::uint64_t us = 1000, second = 1'000'000'000;
constexpr WatchedPacket there{100, false}, back{100, true};

struct PathTimesTest : ::testing::Test {
    PathTimesTest() {
        dataplane::OpenInput input;
        input.pool = [&](std::string_view, std::size_t, std::uint32_t, bool&) {
            return static_cast<void*>(memory.get());
        };
        sender.open(input);
        receiver.open(input);
        input.worker = 1;
        elsewhere.open(input);
    }
    std::unique_ptr<PathTimesMemory> memory = std::make_unique<PathTimesMemory>();
    PathTimes sender, receiver;  // as two stages see them
    PathTimes elsewhere;         // another worker's
    std::uint64_t now = second;
};

TEST_F(PathTimesTest, MeasureFromLeavingToComingBack) {
    sender.sent(7, there, second);
    sender.sent(7, back, second);
    receiver.returned(7, back, 0, second + 3 * us);
    receiver.returned(7, there, 0, second + 100 * us);
    const std::optional<PathTime> time = sender.find(7);
    ASSERT_TRUE(time);
    EXPECT_EQ(time->sent, 2u);
    EXPECT_EQ(time->returned, 2u);
    EXPECT_EQ(time->timed, 2u);
    EXPECT_EQ(time->sum_ns, 103 * us);
    EXPECT_EQ(time->count[2], 1u);
    EXPECT_EQ(time->count[7], 1u);
    EXPECT_FALSE(sender.find(8));
}

TEST_F(PathTimesTest, OnePacketOfAFlowsDirectionAtATimeAndNoneThatIsLost) {
    sender.sent(7, there, second);
    sender.sent(7, there, second + us);
    receiver.returned(7, there, 0, second + 5 * us);
    receiver.returned(7, there, 0, second + 6 * us);
    EXPECT_EQ(sender.find(7)->timed, 1u);
    sender.sent(7, there, 10 * second);  // never comes back
    receiver.returned(7, there, 0, 12 * second);
    EXPECT_EQ(sender.find(7)->timed, 1u);
    EXPECT_EQ(sender.find(7)->sent, 3u);
}

TEST_F(PathTimesTest, WhatComesBackElsewhereCountsWhereItWasSent) {
    sender.sent(7, there, second);
    elsewhere.returned(7, there, 0, second + 3 * us);
    EXPECT_EQ(sender.find(7)->returned, 1u);
    EXPECT_EQ(sender.find(7)->timed, 1u);
    EXPECT_FALSE(elsewhere.find(7));
    elsewhere.returned(7, there, limits::max_workers, second);  // a handle of nobody's
    EXPECT_EQ(sender.find(7)->returned, 1u);
}

// Two workers give back at once what a third one sent: nothing is counted twice or not at all.
TEST_F(PathTimesTest, AnyWorkersMayCountAtOnce) {
    constexpr std::uint32_t packets = 100'000;
    const auto give_back = [&](PathTimes& who) {
        for (std::uint32_t i = 0; i < packets; ++i) who.returned(7, {i % 64}, 0, second + i);
    };
    std::thread one(give_back, std::ref(receiver)), other(give_back, std::ref(elsewhere));
    for (std::uint32_t i = 0; i < packets; ++i) sender.sent(7, {i % 64}, second + i);
    one.join();
    other.join();
    const PathTime time = *sender.find(7);
    EXPECT_EQ(time.sent, packets);
    EXPECT_EQ(time.returned, 2 * packets);
    EXPECT_LE(time.timed, packets);
    EXPECT_EQ(std::accumulate(time.count.begin(), time.count.end(), 0ull), time.timed);
}

TEST_F(PathTimesTest, PathsThatAreGoneMakeRoomForOthers) {
    const auto none = [](std::uint64_t) { return false; };
    const auto all = [](std::uint64_t) { return true; };
    const auto seconds = [&](int n, auto&& knows) {
        for (int i = 0; i < n; ++i) sender.forget(now += second, knows);
    };
    for (std::uint64_t path = 1; path <= 10 * PathTimesMemory::paths; ++path)
        sender.sent(path, there, now);
    std::uint64_t missed = 1;
    while (sender.find(missed)) ++missed;
    sender.sent(missed, there, now);
    EXPECT_FALSE(sender.find(missed)) << "no room";
    seconds(300, all);
    EXPECT_TRUE(sender.find(1));
    seconds(50, none);
    EXPECT_TRUE(sender.find(1)) << "packets may be on their way";
    receiver.returned(1, there, 0, now);
    seconds(30, none);
    EXPECT_TRUE(sender.find(1));
    EXPECT_FALSE(sender.find(2));
    sender.sent(missed, there, now);
    ASSERT_TRUE(sender.find(missed));
    EXPECT_EQ(sender.find(missed)->sent, 1u);
    seconds(100, none);
    sender.sent(1, there, now);
    EXPECT_EQ(sender.find(1)->sent, 1u) << "counted anew";
}

TEST(PathWatch, PathsThatAreGoneMakeRoomForOthers) {
    PathWatch watch;
    for (std::uint64_t path = 1; path <= 10 * PathTimesMemory::paths; ++path) watch.at(path);
    std::uint64_t missed = 1;
    while (watch.at(missed)) ++missed;
    watch.forget([](std::uint64_t path) { return path == 1; });
    EXPECT_NE(watch.at(missed), nullptr);
    PathWatch::One* one = watch.at(1);
    watch.forget([](std::uint64_t) { return true; });
    EXPECT_EQ(watch.at(1), one);
}

TEST_F(PathTimesTest, ThePacketThatComesBackIsTheOneThatWent) {
    const auto marked = [](std::uint16_t mark) { return WatchedPacket{100, false, 1, mark}; };
    for (std::uint16_t i = 1; i <= 200; ++i) {  // a packet each 10 us, 50 of them on the way
        sender.sent(7, marked(i), second + i * 10 * us);
        if (i > 50)
            receiver.returned(7, marked(static_cast<std::uint16_t>(i - 50)), 0,
                              second + i * 10 * us + us);
    }
    EXPECT_EQ(sender.find(7)->timed, 3u);
    EXPECT_EQ(sender.find(7)->sum_ns, 3 * 501 * us);
}

TEST(WatchedPacket, CountsPiecesOfSuperFramesAndOneOfADatagram) {
    net::Packet p;
    p.smd.flow_handle = 5;
    p.smd.reverse = true;
    EXPECT_EQ(watched(p).flow_handle, 5u);
    EXPECT_TRUE(watched(p).reverse);
    EXPECT_EQ(watched(p).segments, 1u);
    p.headers.payload = 54;
    p.headers.l3_end = 54 + 2001;
    p.segment_bytes = 1000;
    EXPECT_EQ(watched(p).segments, 1u);
    p.flags |= net::packet_super_frame;
    EXPECT_EQ(watched(p).segments, 3u);
    p.flags = 0;
    p.headers.fragment = net::Fragment::first;
    EXPECT_EQ(watched(p).segments, 1u);
    p.headers.fragment = net::Fragment::later;
    EXPECT_EQ(watched(p).segments, 0u);
}

TEST(PathTimesAlone, WithoutMemoryNothingIsMeasured) {
    PathTimes times;
    times.sent(7, there, second);
    times.returned(7, there, 0, second);
    EXPECT_FALSE(times.find(7));
}

}  // namespace
}  // namespace weir::chain
