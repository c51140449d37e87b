#include "features/chain/load.hpp"

#include <gtest/gtest.h>

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

TEST(NodeLoad, FactorIsWhatIsLeftAndNeverNothing) {
    EXPECT_EQ(load_factor(0), 1000u);
    EXPECT_EQ(load_factor(250), 750u);
    EXPECT_EQ(load_factor(949), 51u);
    EXPECT_EQ(load_factor(950), 50u);
    EXPECT_EQ(load_factor(1000), 50u);
}

TEST(NodeLoad, AverageFollowsWithinSecondsAndForgetsAPeak) {
    NodeLoad load;
    load.sample(1);
    EXPECT_EQ(load.load(), 300u);
    for (int i = 0; i < 10; ++i) load.sample(1);
    EXPECT_GE(load.load(), 970u);
    for (int i = 0; i < 20; ++i) load.sample(0);
    EXPECT_LE(load.load(), 10u);
    for (int i = 0; i < 20; ++i) load.sample(17);
    EXPECT_EQ(load.load(), 1000u);
}

TEST(NodeLoad, IsToldSeldomAndOnlyWhenItMatters) {
    NodeLoad load;
    std::uint64_t now = 100 * second;
    EXPECT_FALSE(load.tell(now));
    load.sample(0.3);  // 90 of a thousand: factor 0.91
    EXPECT_FALSE(load.tell(now));
    load.sample(0.3);
    ASSERT_EQ(load.tell(now), std::optional(load.load()));
    int told = 0;
    for (int i = 0; i < 60; ++i) {
        load.sample(i % 20 < 10 ? 1.0 : 0.0);
        now += second;
        told += load.tell(now).has_value();
    }
    EXPECT_GE(told, 4);
    EXPECT_LE(told, 12);
    for (int i = 0; i < 60; ++i) {
        load.sample(0.5);
        now += second;
        load.tell(now);
    }
    for (int i = 0; i < 60; ++i) {
        load.sample(0.52);
        now += second;
        EXPECT_FALSE(load.tell(now)) << i;
    }
}

}  // namespace
}  // namespace weir::chain
