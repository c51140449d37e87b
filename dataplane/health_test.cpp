#include "dataplane/health.hpp"

#include <gtest/gtest.h>

#include <barrier>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace weir::dataplane {
namespace {

using State = HealthBoard::State;

TEST(HealthBoard, nodes_and_hosts_are_apart_and_unknown_counts_as_up) {
    auto board = std::make_unique<HealthBoard>();
    EXPECT_TRUE(board->is_up(7));
    EXPECT_TRUE(board->host_is_up(7));
    const std::uint32_t before = board->generation;
    EXPECT_TRUE(board->set(7, State::down, 5));
    EXPECT_FALSE(board->set(7, State::down, 6));
    EXPECT_EQ(board->generation, before + 1);
    EXPECT_FALSE(board->is_up(7));
    EXPECT_TRUE(board->host_is_up(7));
    EXPECT_EQ(board->changed_ns(7), 5u);
    EXPECT_TRUE(board->set_host(7, HealthBoard::Hosts::State::down, 9));
    EXPECT_FALSE(board->host_is_up(7));
    EXPECT_EQ(board->generation, before + 2);
}

TEST(HealthBoard, a_full_board_refuses) {
    auto board = std::make_unique<HealthBoard>();
    for (std::uint32_t id = 1; id <= HealthBoard::capacity; ++id)
        ASSERT_TRUE(board->set(id, State::down, 1));
    EXPECT_FALSE(board->set(100'000, State::down, 1));
    EXPECT_TRUE(board->is_up(100'000));
}

TEST(Overloads, last_as_long_as_they_are_told_and_grow_back_evenly) {
    auto board = std::make_unique<HealthBoard>();
    Overloads& overloads = board->overloads();
    constexpr std::uint64_t second = 1'000'000'000;
    const std::uint32_t before = board->generation;
    EXPECT_EQ(overloads.share(7), 1000u);
    EXPECT_TRUE(overloads.set(7, 200, 5 * second, second));
    EXPECT_EQ(overloads.share(7), 200u);
    EXPECT_EQ(overloads.share(8), 1000u);
    overloads.recover(5 * second - 1);
    EXPECT_EQ(overloads.share(7), 200u);
    overloads.recover(10 * second);
    EXPECT_EQ(overloads.share(7), 600u);
    overloads.recover(15 * second);
    EXPECT_EQ(overloads.share(7), 1000u);
    EXPECT_EQ(board->generation, before) << "flows that have a path do not care";
}

TEST(Overloads, end_early_and_leave_a_node_something) {
    auto board = std::make_unique<HealthBoard>();
    Overloads& overloads = board->overloads();
    constexpr std::uint64_t second = 1'000'000'000;
    EXPECT_TRUE(overloads.set(7, 0, 100 * second, second));
    EXPECT_EQ(overloads.share(7), 50u);
    EXPECT_TRUE(overloads.set(7, 1000, 0, 2 * second));
    overloads.recover(7 * second);
    EXPECT_EQ(overloads.share(7), 525u);
    EXPECT_TRUE(overloads.set(9, 1000, 0, 2 * second)) << "there is nothing to end";
    EXPECT_EQ(overloads.share(9), 1000u);
    for (std::uint32_t id = 100; id < 100 + Overloads::capacity - 1; ++id)
        EXPECT_TRUE(overloads.set(id, 500, 9 * second, second));
    EXPECT_FALSE(overloads.set(99, 500, 9 * second, second));
    EXPECT_EQ(overloads.share(99), 1000u);
}

// Whatever workers say of one node at the same time: it has one place, with the time it was told,
// and that is over some day.
TEST(Overloads, have_one_place_whoever_was_first) {
    auto board = std::make_unique<HealthBoard>();
    Overloads& overloads = board->overloads();
    constexpr std::uint64_t second = 1'000'000'000;
    constexpr int rounds = 3000;
    constexpr unsigned workers = 3;
    std::barrier start(workers + 1), end(workers + 1);
    std::vector<std::thread> threads;
    for (unsigned w = 0; w < workers; ++w)
        threads.emplace_back([&] {
            for (int i = 0; i < rounds; ++i) {
                start.arrive_and_wait();
                EXPECT_TRUE(overloads.set(7, 50, 60 * second, second));
                end.arrive_and_wait();
            }
        });
    for (int i = 0; i < rounds; ++i) {
        start.arrive_and_wait();
        end.arrive_and_wait();
        int places = 0;
        overloads.for_each([&](std::uint32_t id, std::uint32_t share, std::uint64_t until) {
            ++places;
            EXPECT_EQ(id, 7u);
            EXPECT_EQ(share, 50u);
            EXPECT_EQ(until, 60 * second);
        });
        EXPECT_EQ(places, 1);
        EXPECT_EQ(overloads.share(7), 50u);
        overloads.recover(80 * second);
        EXPECT_EQ(overloads.share(7), 1000u);
        EXPECT_FALSE(overloads.any());
    }
    for (std::thread& thread : threads) thread.join();
}

// One worker lets shares grow back while others give orders: none is lost.
TEST(Overloads, are_not_lost_to_one_that_ends) {
    auto board = std::make_unique<HealthBoard>();
    Overloads& overloads = board->overloads();
    constexpr std::uint64_t second = 1'000'000'000;
    constexpr std::uint64_t rounds = 3000;
    std::barrier start(2), end(2);
    std::thread other([&] {
        for (std::uint64_t i = 1; i <= rounds; ++i) {
            start.arrive_and_wait();
            EXPECT_TRUE(overloads.set(7, 500, (i + 1) * 100 * second, i * 100 * second));
            end.arrive_and_wait();
        }
    });
    for (std::uint64_t i = 1; i <= rounds; ++i) {
        start.arrive_and_wait();
        overloads.recover(i * 100 * second + 50 * second);  // what was before is over
        end.arrive_and_wait();
        EXPECT_EQ(overloads.share(7), 500u) << i;
        overloads.recover(i * 100 * second + 50 * second);
        EXPECT_EQ(overloads.share(7), 500u) << i;
    }
    other.join();
}

TEST(Overloads, are_those_of_a_plain_list) {
    auto board = std::make_unique<HealthBoard>();
    Overloads& overloads = board->overloads();
    constexpr std::uint64_t second = 1'000'000'000;
    struct One {
        std::uint32_t share;
        std::uint64_t until_ns;
    };
    std::map<std::uint32_t, One> twin;
    std::mt19937 numbers(3);
    const auto draw = [&](std::uint32_t below) {
        return static_cast<std::uint32_t>(numbers() % below);
    };
    std::uint64_t now = second;
    for (int i = 0; i < 20'000; ++i) {
        const std::uint32_t id = 1 + draw(200);
        if (draw(3) == 0 && twin.size() < 100) {
            const std::uint32_t share = 50 + draw(900);
            twin[id] = {share, now + (1 + draw(20)) * second};
            EXPECT_TRUE(overloads.set(id, share, twin[id].until_ns, now));
        }
        now += static_cast<std::uint64_t>(draw(1000)) * (second / 1000);
        overloads.recover(now);
        std::erase_if(twin, [&](const auto& one) {
            return now >= one.second.until_ns + Overloads::recovery_ns;
        });
        const auto at = twin.find(id);
        const std::uint32_t share = overloads.share(id);
        if (at == twin.end()) EXPECT_EQ(share, 1000u);
        else if (now < at->second.until_ns) EXPECT_EQ(share, at->second.share);
        else EXPECT_GE(share, at->second.share);
        EXPECT_EQ(overloads.any(), !twin.empty());
    }
}

TEST(FailedPaths, last_as_long_as_they_are_told) {
    auto board = std::make_unique<HealthBoard>();
    const std::uint32_t before = board->generation;
    EXPECT_TRUE(board->fail_path(9001, 5, 100, 3));
    EXPECT_FALSE(board->fail_path(9001, 5, 200, 3));  // longer, not anew
    EXPECT_EQ(board->generation, before + 1);
    EXPECT_TRUE(board->failed_paths().contains(9001, 5));
    EXPECT_FALSE(board->failed_paths().contains(9002, 5));
    EXPECT_FALSE(board->failed_paths().contains(9001, 6));
    EXPECT_FALSE(board->expire_paths(199));
    EXPECT_EQ(board->generation, before + 1);
    EXPECT_TRUE(board->expire_paths(200));
    EXPECT_EQ(board->generation, before + 2);
    EXPECT_FALSE(board->failed_paths().contains(9001, 5));
    EXPECT_EQ(board->failed_paths().size(), 0u);
}

// Against a map, as far as there is room.
TEST(FailedPaths, hold_what_was_added) {
    auto paths = std::make_unique<FailedPaths>();
    std::map<std::uint32_t, std::uint64_t> twin;
    std::mt19937 random(4);
    for (std::uint64_t now = 1; now < 20'000; ++now) {
        const auto spi = static_cast<std::uint32_t>(random() % 400 + 1);
        const std::uint64_t until = now + random() % 300;
        const bool known = twin.contains(spi);
        const bool added = paths->add(9001, spi, until, 1);
        ASSERT_FALSE(known && added);
        if (known || added) twin[spi] = until;
        if (now % 7 == 0) {
            paths->expire(now);
            std::erase_if(twin, [&](const auto& row) { return row.second <= now; });
        }
        for (std::uint32_t look = 1; look <= 400; look += 13)
            ASSERT_EQ(paths->contains(9001, look), twin.contains(look)) << now;
        ASSERT_EQ(paths->size(), twin.size());
    }
    std::size_t seen = 0;
    paths->for_each([&](std::uint32_t svni, std::uint32_t spi, std::uint64_t until, std::uint8_t) {
        ++seen;
        EXPECT_EQ(svni, 9001u);
        EXPECT_EQ(until, twin.at(spi));
    });
    EXPECT_EQ(seen, twin.size());
}

}  // namespace
}  // namespace weir::dataplane
