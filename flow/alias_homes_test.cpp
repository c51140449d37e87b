#include "flow/alias_homes.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace weir::flow {
namespace {

TEST(AliasHomes, FindsWhatWasSetLast) {
    auto homes = std::make_unique<AliasHomes>();
    const std::uint64_t key = AliasHomes::key_of(3, 5001, 0x12345678);
    EXPECT_EQ(homes->find(key), AliasHomes::nowhere);
    homes->set(key, 0);
    EXPECT_EQ(homes->find(key), 0u);
    homes->set(key, 5);
    EXPECT_EQ(homes->find(key), 5u);
    EXPECT_EQ(homes->find(AliasHomes::key_of(4, 5001, 0x12345678)), AliasHomes::nowhere);
    EXPECT_EQ(homes->find(AliasHomes::key_of(3, 5002, 0x12345678)), AliasHomes::nowhere);
    EXPECT_EQ(homes->find(AliasHomes::key_of(3, 5001, 0x12345679)), AliasHomes::nowhere);
}

TEST(AliasHomes, KeepsThousandsAndForgetsTheOldest) {
    auto homes = std::make_unique<AliasHomes>();
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < 4000; ++i) homes->set(AliasHomes::key_of(1, 1, i * 7919), i % 8);
    for (std::uint32_t i = 0; i < 4000; ++i)
        kept += homes->find(AliasHomes::key_of(1, 1, i * 7919)) == i % 8;
    EXPECT_GT(kept, 3900u);
    for (std::uint32_t i = 0; i < 100'000; ++i) homes->set(AliasHomes::key_of(2, 1, i), 1);
    EXPECT_EQ(homes->find(AliasHomes::key_of(2, 1, 99'999)), 1u);
}

}  // namespace
}  // namespace weir::flow
