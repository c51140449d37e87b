#include "features/overlay/auth_windows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "features/overlay/auth_tables.hpp"

namespace weir::overlay {
namespace {

struct Windows {
    std::unique_ptr<AuthWindows> all = std::make_unique<AuthWindows>();
    AuthWindows::Window& of(std::uint32_t svni, std::uint32_t peer) {
        return (*all)[all->find_or_add(svni, peer)];
    }
};

TEST(AuthWindows, TakesEachNumberOnceAndNoneThatIsOlderThanTheWindow) {
    Windows windows;
    auto& window = windows.of(9001, 2);
    EXPECT_FALSE(window.take(0));
    EXPECT_TRUE(window.take(5000));
    EXPECT_FALSE(window.take(5000));
    EXPECT_TRUE(window.take(5001));
    EXPECT_TRUE(window.take(5001 - 1023));
    EXPECT_FALSE(window.take(5001 - 1024));
    EXPECT_TRUE(window.take(1'000'000));
    EXPECT_FALSE(window.take(5002));
}

TEST(AuthWindows, GoesOnAroundTheEndOfTheNumbers) {
    Windows windows;
    auto& window = windows.of(9001, 2);
    const std::uint64_t last = net::auth_sequence_mask;
    EXPECT_TRUE(window.take(last - 1));
    EXPECT_TRUE(window.take(last));
    EXPECT_TRUE(window.take(1));
    EXPECT_TRUE(window.take(2));
    EXPECT_FALSE(window.take(last));
    EXPECT_FALSE(window.take(1));
    EXPECT_TRUE(window.take(last - 5));
}

// The same as a set of everything that was taken.
TEST(AuthWindows, IsWhatANaiveListWouldSay) {
    std::mt19937 engine(3);
    Windows windows;
    auto& window = windows.of(9001, 2);
    std::set<std::uint64_t> taken;
    std::uint64_t newest = 0;
    for (int i = 0; i < 200'000; ++i) {
        const std::uint64_t around = 10'000 + static_cast<std::uint64_t>(i) / 4;
        const std::uint64_t number = around + engine() % 1400;
        const bool wanted = !taken.contains(number) && number + 1024 > newest;
        ASSERT_EQ(window.take(number), wanted) << number << " with " << newest;
        if (wanted) taken.insert(number);
        if (wanted) newest = std::max(newest, number);
    }
}

TEST(AuthWindows, SegmentsAndHostsHaveTheirOwn) {
    Windows windows;
    EXPECT_TRUE(windows.of(9001, 2).take(7));
    EXPECT_TRUE(windows.of(9001, 3).take(7));
    EXPECT_TRUE(windows.of(9002, 2).take(7));
    EXPECT_FALSE(windows.of(9001, 2).take(7));
    windows.of(9001, 2).refuse(AuthFault::replay);
    EXPECT_EQ(windows.of(9001, 2).refused(AuthFault::replay), 1u);
    EXPECT_EQ(windows.of(9001, 3).refused(AuthFault::replay), 0u);
}

TEST(AuthWindows, FullMeansNoPlace) {
    Windows windows;
    for (std::uint32_t i = 0; i < AuthWindows::capacity; ++i)
        ASSERT_NE(windows.all->find_or_add(9001, i + 1), AuthWindows::capacity);
    EXPECT_EQ(windows.all->find_or_add(9002, 1), AuthWindows::capacity);
    EXPECT_NE(windows.all->find_or_add(9001, 1), AuthWindows::capacity);
}

TEST(AuthWindows, WorkersTakeEachNumberOnceTogether) {
    Windows windows;
    auto& window = windows.of(9001, 2);
    constexpr std::uint64_t numbers = 1000;
    std::atomic<std::uint64_t> taken{0};
    const auto worker = [&] {
        for (std::uint64_t n = 1; n <= numbers; ++n) taken += window.take(n);
    };
    std::thread other(worker);
    worker();
    other.join();
    EXPECT_EQ(taken.load(), numbers);
}

TEST(AuthNumbers, WorkersGiveDifferentNumbersThatStayInsideTheWindow) {
    Windows windows;
    const std::size_t at = windows.all->find_or_add(9001, 2);
    const auto busy = std::make_unique<AuthNumbers>(), slow = std::make_unique<AuthNumbers>();
    std::set<std::uint64_t> given;
    std::uint64_t newest = 0;
    for (int i = 0; i < 100'000; ++i) {
        AuthNumbers& from = i % 977 == 0 ? *slow : *busy;
        const std::uint64_t number = from.next(at, *windows.all, 500);
        EXPECT_TRUE(given.insert(number).second) << number;
        EXPECT_GT(number + AuthWindows::window, newest);
        newest = std::max(newest, number);
    }
    EXPECT_EQ(*given.begin(), 500u);
}

TEST(AuthNumbers, ZeroIsNobodys) {
    Windows windows;
    AuthNumbers numbers;
    const std::size_t at = windows.all->find_or_add(9001, 2);
    for (int i = 0; i < 100; ++i)
        EXPECT_NE(numbers.next(at, *windows.all, net::auth_sequence_mask - 10), 0u);
}

// A host that has forgotten its numbers starts with the time; another has no reason to doubt it.
TEST(AuthNumbers, AFreshMemoryStartsAheadOfWhatTheHostSentBefore) {
    SharedWindows before, after;
    dataplane::OpenInput input;
    auto memory = std::make_unique<AuthWindows>();
    input.pool = [&](std::string_view, std::size_t, std::uint32_t, bool& fresh) -> void* {
        fresh = true;
        return memory.get();
    };
    before.open(input);
    AuthNumbers numbers;
    const std::size_t at = memory->find_or_add(9001, 2);
    const std::uint64_t last = numbers.next(at, *memory, before.first);
    after.open(input);
    EXPECT_TRUE(after.first == last || net::auth_newer(after.first, last));
}

}  // namespace
}  // namespace weir::overlay
