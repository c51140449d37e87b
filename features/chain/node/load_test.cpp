#include "features/chain/node/load.hpp"

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

TEST(Utilisation, IsThatOfTheFullestPart) {
    NodeUse use;
    use.packets = 500;
    use.bytes = 125'000;  // a megabit
    use.contexts = 300;
    use.p99_us = 200;
    EXPECT_EQ(utilisation(use), 0.0) << "of no time";
    use.seconds = 1;
    EXPECT_EQ(utilisation(use), 0.0) << "nothing is said of what it can take";
    use.capacity_pps = 5000;
    EXPECT_DOUBLE_EQ(utilisation(use), 0.1);
    use.capacity_mbps = 5;
    EXPECT_DOUBLE_EQ(utilisation(use), 0.2);
    use.capacity_contexts = 1000;
    EXPECT_DOUBLE_EQ(utilisation(use), 0.3);
    use.limit_us = 500;
    EXPECT_DOUBLE_EQ(utilisation(use), 0.4);
    use.seconds = 0.1;
    EXPECT_DOUBLE_EQ(utilisation(use), 2.0) << "rates are of the time";
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
