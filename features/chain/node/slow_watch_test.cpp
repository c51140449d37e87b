#include "features/chain/node/slow_watch.hpp"

#include <gtest/gtest.h>

#include "features/chain/resources.hpp"

namespace weir::chain {
namespace {

using Change = SlowWatch::Change;

struct Node {
    SlowWatch watch;
    SlowWatch::Counts counts{};
    std::uint64_t now_ns = 1;

    // A window with so many packets of so many microseconds.
    Change window(std::uint64_t packets, std::uint64_t us, std::uint32_t limit_us = 1000,
                  std::uint64_t few = 0, std::uint64_t few_us = 0) {
        watch.look(counts, limit_us, now_ns);
        counts[latency_bucket(us * 1000)] += packets;
        counts[latency_bucket(few_us * 1000)] += few;
        now_ns += SlowWatch::window_ns;
        return watch.look(counts, limit_us, now_ns);
    }
};

TEST(SlowWatch, BucketsEndAtPowersOfTwo) {
    EXPECT_EQ(latency_bucket(0), 0u);
    EXPECT_EQ(latency_bucket(999), 0u);
    EXPECT_EQ(latency_bucket(1000), 1u);
    EXPECT_EQ(latency_bucket(1'023'999), 10u);
    EXPECT_EQ(latency_bucket(1'024'000), 11u);
    EXPECT_EQ(latency_bucket(~0ull), latency_buckets - 1);
}

TEST(SlowWatch, TwoWindowsAboveTheLimitAreSlowAndTwoBelowAreNot) {
    Node node;
    EXPECT_EQ(node.window(100, 10), Change::none);
    EXPECT_EQ(node.window(100, 5000), Change::none);
    EXPECT_EQ(node.window(100, 5000), Change::slow);
    EXPECT_TRUE(node.watch.slow());
    EXPECT_EQ(node.watch.p99_us(), 8192u);
    EXPECT_EQ(node.window(100, 5000), Change::none);
    EXPECT_EQ(node.window(100, 10), Change::none);
    EXPECT_EQ(node.window(100, 10), Change::fast);
    EXPECT_FALSE(node.watch.slow());
}

TEST(SlowWatch, TheLargestLimitIsMissedByWhatIsStillTimed) {
    Node node;
    EXPECT_EQ(node.window(100, 999'999, max_latency_limit_us), Change::none);
    EXPECT_EQ(node.window(100, 999'999, max_latency_limit_us), Change::slow);
}

TEST(SlowWatch, OneBadWindowIsNone) {
    Node node;
    for (int i = 0; i < 20; ++i) EXPECT_EQ(node.window(100, i % 2 ? 10 : 5000), Change::none);
}

TEST(SlowWatch, OneInAHundredDoesNotCountAndTwoDo) {
    Node node;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(node.window(99, 10, 1000, 1, 5000), Change::none);
    EXPECT_EQ(node.window(98, 10, 1000, 2, 5000), Change::none);
    EXPECT_EQ(node.window(98, 10, 1000, 2, 5000), Change::slow);
}

TEST(SlowWatch, FewPacketsSayNothing) {
    Node node;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(node.window(SlowWatch::least - 1, 5000), Change::none);
    EXPECT_FALSE(node.watch.slow());
}

// One packet at a time is timed: there are few of a node that keeps each for 400 ms.
TEST(SlowWatch, FewPacketsThatTookLongSayEnough) {
    Node node;
    EXPECT_EQ(node.window(12, 400'000), Change::none);
    EXPECT_EQ(node.window(12, 400'000), Change::slow);
    EXPECT_EQ(node.window(12, 400'000), Change::none);
    Node hardly_used;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(hardly_used.window(2, 400'000), Change::none);
    EXPECT_FALSE(hardly_used.watch.slow());
}

TEST(SlowWatch, ASlowNodeThatGetsNothingAnyMoreIsGivenAnotherChance) {
    Node node;
    node.window(100, 5000);
    EXPECT_EQ(node.window(100, 5000), Change::slow);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(node.window(0, 0), Change::none) << i;
    EXPECT_EQ(node.window(0, 0), Change::fast);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(node.window(0, 0), Change::none);
}

TEST(SlowWatch, WithoutALimitNobodyIsSlow) {
    Node node;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(node.window(100, 5000, 0), Change::none);
    node.window(100, 5000);
    EXPECT_EQ(node.window(100, 5000), Change::slow);
    EXPECT_EQ(node.watch.look(node.counts, 0, node.now_ns), Change::fast);
}

}  // namespace
}  // namespace weir::chain
