#include "features/chain/node/loss_watch.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
using Change = LossWatch::Change;

// Windows of a thousand packets each.
struct Play {
    LossWatch watch;
    std::uint64_t in = 0, out = 0, now = second;
    Play() { watch.look(0, 0, 10, now); }
    Change window(std::uint64_t lost, std::uint64_t packets = 1000, std::uint32_t limit = 10) {
        in += packets;
        out += packets - lost;
        now += LossWatch::window_ns;
        return watch.look(in, out, limit, now);
    }
};

TEST(LossWatch, TwoWindowsAboveTheLimitAndTwoBelow) {
    Play play;
    EXPECT_EQ(play.window(0), Change::none);
    EXPECT_EQ(play.window(11), Change::none);
    EXPECT_EQ(play.window(10), Change::none) << "the limit is kept";
    EXPECT_EQ(play.window(11), Change::none);
    EXPECT_EQ(play.window(500), Change::lossy);
    EXPECT_EQ(play.watch.loss(), 500u);
    EXPECT_EQ(play.window(0), Change::none);
    EXPECT_EQ(play.window(11), Change::none);
    EXPECT_EQ(play.window(0), Change::none);
    EXPECT_EQ(play.window(0), Change::whole);
}

TEST(LossWatch, FewPacketsSayNothingButAreAnotherChance) {
    Play play;
    play.window(100);
    EXPECT_EQ(play.window(100), Change::lossy);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(play.window(40, 40), Change::none);
    EXPECT_EQ(play.window(0, 0), Change::whole);
    EXPECT_EQ(std::accumulate(play.watch.windows().begin(), play.watch.windows().end(), 0ull), 2u);
}

TEST(LossWatch, CountsWindowsByTheirLossWithoutALimitToo) {
    Play play;
    EXPECT_EQ(play.window(0, 1000, 0), Change::none);
    EXPECT_EQ(play.window(1000, 1000, 0), Change::none);
    EXPECT_EQ(play.window(1000, 1000, 0), Change::none);
    play.out += 100;  // what was inside when the window began comes out as well
    EXPECT_EQ(play.window(0, 1000, 0), Change::none);
    EXPECT_EQ(play.watch.windows().front(), 2u);
    EXPECT_EQ(play.watch.windows().back(), 2u);
}

TEST(LossWatch, WhatIsCountedAnewIsNoLoss) {
    Play play;
    play.window(0);
    play.in = play.out = 0;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(play.window(0), Change::none);
    EXPECT_FALSE(play.watch.lossy());
    EXPECT_EQ(play.watch.loss(), 0u);
}

}  // namespace
}  // namespace weir::chain
