#include "features/chain/anchor/drain.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

// One chain whose paths are in maintenance, with a deadline.
void fill(Plane& plane, std::uint32_t paths, std::uint32_t drain_s) {
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

TEST(Drains, RememberEveryDeadline) {
    constexpr std::uint32_t paths = 600;
    const auto health = std::make_unique<dataplane::HealthBoard>();
    Plane plane;
    fill(plane, paths, 5);
    Drains drains;
    drains.look(plane, *health, second);
    drains.look(plane, *health, 5 * second);
    EXPECT_EQ(health->failed_paths().size(), 0u);
    drains.look(plane, *health, 6 * second);
    EXPECT_EQ(health->failed_paths().size(), paths);
    EXPECT_EQ(drains.refused, 0u);
}

TEST(Drains, CountWhatFindsNoRoom) {
    constexpr std::uint32_t paths = 2 * dataplane::FailedPaths::capacity;
    const auto health = std::make_unique<dataplane::HealthBoard>();
    Plane plane;
    fill(plane, paths, 5);
    Drains drains;
    drains.look(plane, *health, second);
    drains.look(plane, *health, 6 * second);
    EXPECT_EQ(health->failed_paths().size() + drains.refused, paths);
}

TEST(Drains, BeginAnewAfterTheMaintenance) {
    const auto health = std::make_unique<dataplane::HealthBoard>();
    Plane plane, whole;
    fill(plane, 1, 5);
    Drains drains;
    drains.look(plane, *health, second);
    drains.look(whole, *health, 3 * second);
    EXPECT_TRUE(drains.ones.empty());
    drains.look(plane, *health, 5 * second);
    drains.look(plane, *health, 9 * second);
    EXPECT_EQ(health->failed_paths().size(), 0u);
    drains.look(plane, *health, 10 * second);
    EXPECT_EQ(health->failed_paths().size(), 1u);
}

}  // namespace
}  // namespace weir::chain
