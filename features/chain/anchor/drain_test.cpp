#include "features/chain/anchor/drain.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

class DrainsTest : public ::testing::Test {
protected:
    // One chain whose paths are in maintenance, with a deadline.
    void fill(std::uint32_t paths, std::uint32_t drain_s) {
        Chain chain;
        chain.svni = 9001;
        for (std::uint32_t spi = 1; spi <= paths; ++spi) {
            Path path;
            path.svni = 9001;
            path.spi = spi;
            path.maintenance = true;
            path.drain_s = drain_s;
            chain.paths.push_back(path);
        }
        plane.chains.push_back(chain);
    }
    void look_at(std::uint64_t seconds) { drains.look(plane, *health, seconds * second); }
    std::size_t failed() const { return health->failed_paths().size(); }

    Plane plane;
    Drains drains;
    std::unique_ptr<dataplane::HealthBoard> health = std::make_unique<dataplane::HealthBoard>();
};

TEST_F(DrainsTest, RememberEveryDeadline) {
    constexpr std::uint32_t paths = 600;
    fill(paths, 5);
    look_at(1);
    look_at(5);
    EXPECT_EQ(failed(), 0u);
    look_at(6);
    EXPECT_EQ(failed(), paths);
    EXPECT_EQ(drains.refused, 0u);
}

TEST_F(DrainsTest, CountWhatFindsNoRoom) {
    constexpr std::uint32_t paths = 2 * dataplane::FailedPaths::capacity;
    fill(paths, 5);
    look_at(1);
    look_at(6);
    EXPECT_EQ(failed() + drains.refused, paths);
}

TEST_F(DrainsTest, BeginAnewAfterTheMaintenance) {
    fill(1, 5);
    look_at(1);
    drains.look(Plane{}, *health, 3 * second);
    EXPECT_TRUE(drains.ones.empty());
    look_at(5);
    look_at(9);
    EXPECT_EQ(failed(), 0u);
    look_at(10);
    EXPECT_EQ(failed(), 1u);
}

// Another engine takes over, with a memory of its own.
TEST_F(DrainsTest, WhatPassedForTheLastEngineHasPassed) {
    fill(1, 5);
    look_at(1);
    look_at(6);
    EXPECT_EQ(failed(), 1u);
    drains = {};
    drains.look(plane, *health, 6 * second + second / 2);
    health->expire_paths(7 * second + second / 4);
    EXPECT_EQ(failed(), 1u) << "nobody gets its flows back for another five seconds";
}

}  // namespace
}  // namespace weir::chain
