#include "dataplane/health.hpp"

#include <gtest/gtest.h>

#include <atomic>
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

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t keep_ns = UnknownSince::keep_s * second_ns;

// Many times as many numbers as there are places, those of today known.
TEST(HealthBoard, numbers_come_and_go) {
    auto board = std::make_unique<HealthBoard>();
    constexpr std::uint32_t at_once = 400, rounds = 20;
    std::uint64_t now = second_ns;
    for (std::uint32_t round = 0; round < rounds; ++round) {
        const std::uint32_t first = 1 + round * at_once;
        for (std::uint32_t id = first; id < first + at_once; ++id) {
            ASSERT_TRUE(board->set(id, State::down, now)) << id;
            ASSERT_EQ(board->get(id), State::down);
        }
        const auto is_known = [&](std::uint32_t id) { return id >= first; };
        for (int sweep = 0; sweep < 3; ++sweep) board->sweep(now += keep_ns + second_ns, is_known);
        for (std::uint32_t id = first; id < first + at_once; ++id)
            ASSERT_EQ(board->get(id), State::down) << "known ones stay";
        if (round > 0) {
            EXPECT_EQ(board->get(first - 1), State::unknown);
        }
    }
}

TEST(HealthBoard, nothing_is_given_up_early_nor_what_somebody_knows) {
    auto board = std::make_unique<HealthBoard>();
    const auto nobody = [](std::uint32_t) { return false; };
    const auto all = [](std::uint32_t) { return true; };
    std::uint64_t now = 5 * second_ns;
    board->set(7, State::down, now);
    board->sweep(now, nobody);
    board->sweep(now += keep_ns - 2 * second_ns, nobody);
    EXPECT_EQ(board->get(7), State::down);
    board->sweep(now, all);  // another engine knows it
    board->sweep(now += keep_ns, nobody);
    EXPECT_EQ(board->get(7), State::down);
    board->sweep(now += keep_ns - 2 * second_ns, nobody);
    board->set(7, State::down, now);  // said once more, though not new
    board->sweep(now += 4 * second_ns, nobody);
    EXPECT_EQ(board->get(7), State::down);
    board->sweep(now += keep_ns + 2 * second_ns, nobody);
    EXPECT_EQ(board->get(7), State::unknown);
}

// Hosts of which nothing is said any more need nobody who knows them.
TEST(HealthBoard, silent_hosts_make_room) {
    auto board = std::make_unique<HealthBoard>();
    const auto nobody = [](std::uint32_t) { return false; };
    std::uint64_t now = second_ns;
    for (std::uint32_t id = 1; id <= HealthBoard::host_capacity; ++id)
        ASSERT_TRUE(board->set_host(id, HealthBoard::Hosts::State::up, now));
    EXPECT_FALSE(board->set_host(9000, HealthBoard::Hosts::State::down, now));
    for (std::uint32_t id = 11; id <= HealthBoard::host_capacity; ++id)
        board->set_host(id, HealthBoard::Hosts::State::unknown, now);
    for (int sweep = 0; sweep < 2; ++sweep) board->sweep(now += keep_ns + second_ns, nobody);
    EXPECT_TRUE(board->set_host(9000, HealthBoard::Hosts::State::down, now));
    EXPECT_FALSE(board->set_host(10, HealthBoard::Hosts::State::up, now)) << "it is there still";
}

// A worker writes a number just when its place would be given up: what it wrote stands.
TEST(HealthBoard, what_is_said_again_is_not_given_up) {
    auto board = std::make_unique<HealthBoard>();
    constexpr int rounds = 20'000;
    int lost = 0;
    std::barrier start(2), end(2);
    std::uint64_t now = second_ns;
    const auto nobody = [](std::uint32_t) { return false; };
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            start.arrive_and_wait();
            for (int wait = i % 200; wait > 0; --wait)
                std::atomic_signal_fence(std::memory_order_seq_cst);
            board->set(7, State::down, second_ns);
            end.arrive_and_wait();
        }
    });
    for (int i = 0; i < rounds; ++i) {
        board->set(7, State::up, second_ns);
        board->sweep(now, nobody);  // begins to count
        now += keep_ns + 2 * second_ns;
        start.arrive_and_wait();
        board->sweep(now, nobody);
        end.arrive_and_wait();
        lost += board->get(7) != State::down;
    }
    other.join();
    EXPECT_EQ(lost, 0);
}

// Workers write what two engines' sweepers take away all the time: who has written a number that is
// known reads it, whatever goes on around it.
TEST(HealthBoard, nothing_written_is_lost_to_sweeping) {
    auto board = std::make_unique<HealthBoard>();
    constexpr std::uint32_t writers = 3, ids_each = 40, rounds = 60;
    constexpr std::uint32_t at_once = writers * ids_each;
    std::atomic<std::uint32_t> round{0};
    std::atomic<std::uint32_t> working{writers};
    std::atomic<std::uint64_t> sweeps{0};
    std::barrier together(writers);
    const auto write = [&](std::uint32_t writer) {
        for (std::uint32_t r = 0; r < rounds; ++r) {
            together.arrive_and_wait();
            round.store(r);
            // There is room for eight rounds' numbers.
            for (const std::uint64_t from = sweeps.load(); sweeps.load() < from + 4;)
                std::this_thread::yield();
            together.arrive_and_wait();
            for (std::uint32_t i = 0; i < ids_each; ++i) {
                const std::uint32_t id = 1 + r * at_once + i * writers + writer;
                for (int turn = 0; turn < 21; ++turn) {
                    const State state = turn % 2 == 0 ? State::down : State::up;
                    EXPECT_TRUE(board->set(id, state, second_ns));
                    EXPECT_EQ(board->get(id), state);
                }
            }
        }
        working.fetch_sub(1);
    };
    const auto sweep = [&] {
        std::uint64_t now = second_ns;
        while (working.load() != 0) {
            board->sweep(now += keep_ns + second_ns, [&](std::uint32_t id) {
                return id > round.load() * at_once;  // this round's and later ones
            });
            sweeps.fetch_add(1);
        }
    };
    std::vector<std::thread> threads;
    for (std::uint32_t writer = 0; writer < writers; ++writer) threads.emplace_back(write, writer);
    for (int engine = 0; engine < 2; ++engine) threads.emplace_back(sweep);
    for (std::thread& thread : threads) thread.join();
    for (std::uint32_t id = 1 + (rounds - 1) * at_once; id <= rounds * at_once; ++id)
        EXPECT_EQ(board->get(id), State::down) << id;
    std::uint64_t now = second_ns;
    for (int i = 0; i < 3; ++i)
        board->sweep(now += keep_ns + second_ns, [](std::uint32_t) { return false; });
    for (std::uint32_t id = 100'000; id < 100'000 + HealthBoard::capacity; ++id)
        EXPECT_TRUE(board->set(id, State::up, now)) << "every place is free again";
}

// Several workers say of one new number what they know, at once: all read the same afterwards.
TEST(HealthBoard, a_number_has_one_state_whoever_was_first) {
    auto board = std::make_unique<HealthBoard>();
    constexpr std::uint32_t rounds = 2000, workers = 3;
    std::atomic<bool> done{false};
    std::atomic<std::uint32_t> current{0};
    std::atomic<std::uint64_t> sweeps{0};
    std::barrier start(workers), end(workers);
    const auto say = [&](std::uint32_t worker) {
        for (std::uint32_t r = 1; r <= rounds; ++r) {
            if (worker == 0) current = r;
            if (worker == 0 && r % 100 == 0)
                for (const std::uint64_t from = sweeps.load(); sweeps.load() < from + 4;)
                    std::this_thread::yield();
            start.arrive_and_wait();
            board->set(r, worker == 0 ? State::up : State::down, second_ns);
            end.arrive_and_wait();
            if (worker != 0) continue;
            EXPECT_NE(board->get(r), State::unknown);
            board->set(r, State::up, second_ns);
            EXPECT_EQ(board->get(r), State::up);
        }
        if (worker == 0) done = true;
    };
    std::vector<std::thread> threads;
    for (std::uint32_t worker = 0; worker < workers; ++worker) threads.emplace_back(say, worker);
    std::uint64_t now = second_ns;
    while (!done) {
        board->sweep(now += keep_ns + second_ns,
                     [&](std::uint32_t id) { return id + 100 > current || id % 7 == 0; });
        ++sweeps;
    }
    for (std::thread& thread : threads) thread.join();
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

// All paths of a node that many paths share may fail at once.
TEST(FailedPaths, hold_thousands_at_once) {
    auto paths = std::make_unique<FailedPaths>();
    constexpr std::uint32_t many = 20'000;
    for (std::uint32_t spi = 1; spi <= many; ++spi)
        ASSERT_TRUE(paths->add(9001, spi, 100, 3)) << spi;
    EXPECT_EQ(paths->size(), many);
    for (std::uint32_t spi = 1; spi <= many; spi += 97) EXPECT_TRUE(paths->contains(9001, spi));
    EXPECT_FALSE(paths->contains(9001, many + 1));
    EXPECT_FALSE(paths->expire(99));
    for (int call = 0; call < 8; ++call) EXPECT_TRUE(paths->expire(100));
    EXPECT_EQ(paths->size(), 0u);
    EXPECT_FALSE(paths->expire(100));
}

// Engines that follow one another both take out what is over, while reports go on.
TEST(FailedPaths, are_counted_right_whoever_takes_them_out) {
    auto paths = std::make_unique<FailedPaths>();
    constexpr std::uint64_t rounds = 20'000;
    std::atomic<std::uint64_t> now{1};
    const auto expire = [&] {
        while (now.load() < rounds) paths->expire(now.load());
    };
    std::thread one(expire), other(expire);
    for (; now.load() < rounds; now.fetch_add(1)) {
        const auto spi = static_cast<std::uint32_t>(now.load() % 5 + 1);
        paths->add(9001, spi, now.load() + 3, 1);
    }
    one.join();
    other.join();
    for (int call = 0; call < 8; ++call) paths->expire(2 * rounds);
    EXPECT_EQ(paths->size(), 0u);
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
            for (int call = 0; call < 8; ++call) paths->expire(now);
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
