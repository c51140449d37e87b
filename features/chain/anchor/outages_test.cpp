#include "features/chain/anchor/outages.hpp"

#include <gtest/gtest.h>

namespace weir::chain {
namespace {

TEST(Outages, open_with_the_first_packet_and_end_for_all_at_once) {
    Outages outages;
    const std::uint64_t one = Outages::key(7, 0), other = Outages::key(7, 9);
    EXPECT_EQ(Outages::sci_of(other), 7u);
    EXPECT_EQ(Outages::spi_of(other), 9u);
    EXPECT_TRUE(outages.may_wait(one, 100, 1000));
    EXPECT_TRUE(outages.may_wait(one, 100, 1099)) << "the window does not move";
    EXPECT_FALSE(outages.over(one, 1099));
    EXPECT_FALSE(outages.may_wait(one, 100, 1100));
    EXPECT_TRUE(outages.over(one, 1100));
    EXPECT_TRUE(outages.may_wait(other, 100, 1100)) << "another one";
    EXPECT_FALSE(outages.may_wait(one, 100, 5000)) << "as long as it lasts";
    outages.heal([&](std::uint64_t key) { return key == one; });
    EXPECT_FALSE(outages.knows(one));
    EXPECT_TRUE(outages.knows(other));
    EXPECT_TRUE(outages.may_wait(one, 100, 5000)) << "the next outage";
}

TEST(Outages, nobody_waits_where_there_are_too_many) {
    Outages outages;
    std::uint32_t sci = 1;
    while (outages.may_wait(Outages::key(sci, 0), 100, 1)) ++sci;
    EXPECT_EQ(outages.size(), 64u);
    EXPECT_TRUE(outages.over(Outages::key(sci, 0), 1));
    outages.heal([](std::uint64_t) { return true; });
    EXPECT_EQ(outages.size(), 0u);
    EXPECT_TRUE(outages.may_wait(Outages::key(sci, 0), 100, 1));
}

}  // namespace
}  // namespace weir::chain
