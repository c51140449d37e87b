#include "features/overlay/neighbour_cache.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace weir::overlay {
namespace {

net::Ip ip(std::uint32_t number) {
    return net::Ip::from4(0x0a000000u + number);
}
net::Mac mac(std::uint32_t number) {
    return net::Mac{{2, 0, static_cast<std::uint8_t>(number >> 24),
                     static_cast<std::uint8_t>(number >> 16),
                     static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
}

TEST(NeighbourCache, FindsTheNewestOfWhatItLearned) {
    const auto cache = std::make_unique<NeighbourCache>();
    EXPECT_FALSE(cache->find(ip(1)).known);
    cache->learn(ip(1), mac(1), 100);
    cache->learn(ip(2), mac(2), 200);
    cache->learn(ip(1), mac(7), 300);
    EXPECT_EQ(cache->find(ip(1)).mac, mac(7));
    EXPECT_EQ(cache->find(ip(1)).learned_ns, 300u);
    EXPECT_EQ(cache->find(ip(2)).mac, mac(2));
    EXPECT_FALSE(cache->find(ip(3)).known);
}

TEST(NeighbourCache, CountsAnswersThatMayDiffer) {
    const auto cache = std::make_unique<NeighbourCache>();
    cache->learn(ip(1), mac(1), 100);
    const std::uint32_t before = cache->changes();
    cache->learn(ip(1), mac(1), 200);
    EXPECT_EQ(cache->changes(), before) << "only heard again";
    cache->learn(ip(1), mac(2), 300);
    EXPECT_EQ(cache->changes(), before + 1);
    cache->learn(ip(2), mac(2), 400);
    EXPECT_EQ(cache->changes(), before + 2);
}

TEST(NeighbourCache, MoreThanItHoldsPushOthersOutAndMixNothingUp) {
    const auto cache = std::make_unique<NeighbourCache>();
    std::uint32_t known = 0;
    for (std::uint32_t i = 0; i < 5000; ++i) cache->learn(ip(i), mac(i), i + 1);
    for (std::uint32_t i = 0; i < 5000; ++i) {
        const auto found = cache->find(ip(i));
        if (!found.known) continue;
        EXPECT_EQ(found.mac, mac(i)) << i;
        ++known;
    }
    EXPECT_LE(known, NeighbourCache::capacity);
    EXPECT_TRUE(cache->find(ip(4999)).known);
}

// A writer that was killed in the middle leaves its entry unknown, not its readers waiting.
TEST(NeighbourCache, AHalfWrittenEntryIsUnknownUntilItIsWrittenAgain) {
    const auto cache = std::make_unique<NeighbourCache>();
    cache->learn(ip(1), mac(1), 100);
    auto* numbers = reinterpret_cast<std::uint32_t*>(cache.get());
    std::size_t at = 0;
    while (numbers[at] == 0) ++at;  // the sequence number stands first in its entry
    ASSERT_EQ(numbers[at], 2u);
    numbers[at] = 3;
    EXPECT_FALSE(cache->find(ip(1)).known);
    cache->learn(ip(1), mac(2), 200);
    EXPECT_EQ(cache->find(ip(1)).mac, mac(2));
    EXPECT_EQ(numbers[at], 4u);
}

TEST(NeighbourCache, ReadersNeverSeeHalfOfAnEntry) {
    const auto cache = std::make_unique<NeighbourCache>();
    constexpr std::uint32_t rounds = 20'000;
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (std::uint32_t i = 1; i <= rounds; ++i) cache->learn(ip(1), mac(i), i);
        done.store(true);
    });
    std::uint64_t seen = 0;
    for (bool last = false; !last;) {
        last = done.load();
        const auto found = cache->find(ip(1));
        if (!found.known) continue;
        EXPECT_EQ(found.mac, mac(static_cast<std::uint32_t>(found.learned_ns)));
        EXPECT_GE(found.learned_ns, seen);
        seen = found.learned_ns;
    }
    writer.join();
    EXPECT_EQ(seen, rounds);
}

}  // namespace
}  // namespace weir::overlay
