#include "apps/host/worker.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "apps/host/spsc_ring.hpp"
#include "apps/host/testing/rig.hpp"
#include "apps/host/waiter.hpp"
#include "apps/host/worker_group.hpp"

namespace weir::host {
namespace {

using testing::eventually;

net::Packet* number(std::size_t n) {
    return reinterpret_cast<net::Packet*>(n * 64);
}

bool push(SpscRing& ring, std::size_t n) {
    net::Packet* const p = number(n);
    return ring.push(&p, 1) == 1;
}

TEST(SpscRing, KeepsOrderAndSaysWhenItIsFull) {
    const auto ring = std::make_unique<SpscRing>();
    EXPECT_TRUE(ring->empty());
    for (std::size_t i = 1; i <= SpscRing::capacity; ++i) ASSERT_TRUE(push(*ring, i));
    EXPECT_FALSE(push(*ring, 1));
    net::Packet* out[100];
    std::size_t next = 1;
    while (const std::uint32_t n = ring->pop(out, 100))
        for (std::uint32_t i = 0; i < n; ++i) ASSERT_EQ(out[i], number(next++));
    EXPECT_EQ(next, SpscRing::capacity + 1);
    EXPECT_TRUE(push(*ring, 1));
    EXPECT_FALSE(ring->empty());
}

TEST(SpscRing, TakesOfABurstWhatItHasRoomFor) {
    const auto ring = std::make_unique<SpscRing>();
    std::vector<net::Packet*> many;
    for (std::size_t i = 1; i <= SpscRing::capacity; ++i) many.push_back(number(i));
    EXPECT_EQ(ring->push(many.data(), 100), 100u);
    EXPECT_EQ(ring->push(many.data() + 100, SpscRing::capacity - 100), SpscRing::capacity - 100);
    EXPECT_EQ(ring->push(many.data(), 3), 0u);
    net::Packet* out[2];
    EXPECT_EQ(ring->pop(out, 2), 2u);
    EXPECT_EQ(ring->push(many.data(), 3), 2u);
    std::vector<net::Packet*> all(SpscRing::capacity + 1);
    std::uint32_t n = 0;
    while (const std::uint32_t more = ring->pop(all.data() + n, SpscRing::capacity + 1 - n))
        n += more;
    EXPECT_EQ(n, SpscRing::capacity);
    EXPECT_EQ(all[0], number(3));
    EXPECT_EQ(all[n - 1], number(2));
}

TEST(SpscRing, CarriesEverythingBetweenTwoThreads) {
    const auto ring = std::make_unique<SpscRing>();
    constexpr std::size_t count = 300'000;
    std::thread pusher([&] {
        for (std::size_t i = 1; i <= count;)
            if (push(*ring, i)) {
                ++i;
            } else {
                std::this_thread::yield();
            }
    });
    std::size_t next = 1;
    net::Packet* out[32];
    while (next <= count) {
        const std::uint32_t n = ring->pop(out, 32);
        if (n == 0) std::this_thread::yield();
        for (std::uint32_t i = 0; i < n; ++i) ASSERT_EQ(out[i], number(next++));
    }
    pusher.join();
}

// Whoever brings work while the sleeper falls asleep must wake it: no turn may be missed.
TEST(Waiter, NobodySleepsThroughWork) {
    Waiter waiter;
    std::atomic<int> work{0}, seen{0};
    constexpr int rounds = 20'000;
    std::thread sleeper([&] {
        while (seen < rounds) {
            if (work > seen) {
                ++seen;
                continue;
            }
            waiter.announce();
            if (work > seen) {
                waiter.stay_awake();
            } else {
                waiter.sleep(900'000'000);
            }
        }
    });
    const auto begun = monotonic_ns();
    for (int i = 0; i < rounds; ++i) {
        ++work;
        waiter.wake();
        while (seen < work) std::this_thread::yield();
    }
    sleeper.join();
    EXPECT_LT(monotonic_ns() - begun, 60'000'000'000u) << "it slept until its time was up";
}

TEST(Waiter, WakesWhenAWatchedFileIsReadable) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    Waiter waiter;
    waiter.watch(ends[0]);
    ASSERT_EQ(write(ends[1], "x", 1), 1);
    const auto begun = monotonic_ns();
    for (int i = 0; i < 100; ++i) waiter.sleep(900'000'000);
    EXPECT_LT(monotonic_ns() - begun, 45'000'000'000u);
    waiter.forget(ends[0]);
    const auto again = monotonic_ns();
    waiter.sleep(5'000'000);
    EXPECT_GE(monotonic_ns() - again, 4'000'000u) << "a forgotten file still wakes";
    close(ends[0]);
    close(ends[1]);
}

TEST(WorkerGroup, RunsWorkOnTheWorkerItIsFor) {
    dataplane::HeapPool pool(64);
    WorkerOptions options;
    options.workers = 3;
    WorkerGroup group(options, pool);
    ASSERT_TRUE(group.start().ok());
    std::thread::id ids[3];
    group.on_all([&](Worker& w) { ids[w.index()] = std::this_thread::get_id(); });
    EXPECT_NE(ids[0], ids[1]);
    EXPECT_NE(ids[1], ids[2]);
    group.on(1, [&](Worker& w) {
        EXPECT_EQ(w.index(), 1u);
        EXPECT_EQ(std::this_thread::get_id(), ids[1]);
    });
}

TEST(WorkerGroup, AWorkerThatCannotStartIsAnError) {
    dataplane::HeapPool pool(64);
    WorkerOptions options;
    options.workers = 2;
    options.started = [] { return Status(Error{Errc::io, "thread", {}, "no"}); };
    WorkerGroup group(options, pool);
    const Status status = group.start();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().text(), "thread: no");
}

TEST(WorkerGroup, IdleWorkersSleepAndBusyOnesDoNot) {
    dataplane::HeapPool pool(64);
    for (const bool busy_poll : {false, true}) {
        WorkerOptions options;
        options.busy_poll = busy_poll;
        WorkerGroup group(options, pool);
        ASSERT_TRUE(group.start().ok());
        const Worker& worker = group.worker(0);
        const auto until = monotonic_ns() + 100'000'000;
        while (monotonic_ns() < until) std::this_thread::yield();
        const std::uint64_t loops = worker.tallies().loops.get();
        if (busy_poll) {
            EXPECT_GT(loops, 2000u);
        } else {
            EXPECT_LT(loops, 2000u);
        }
    }
}

// What the shell's own drops look like, taken one by one without threads.
class ShellDrops : public ::testing::Test {
protected:
    void SetUp() override {
        rig_.start();
        ASSERT_TRUE(
            rig_.shell
                ->apply(testing::Rig::config(1, {testing::Rig::port("a"), testing::Rig::port("b")}))
                .ok());
    }
    net::Packet* packet(std::uint32_t port) {
        const auto frame = testing::frame(1);
        net::Packet* p = rig_.pool.make(0, frame.data(), frame.size());
        p->hand.port = port;
        return p;
    }
    Worker& worker(std::uint32_t i) { return rig_.shell->workers().worker(i); }
    std::uint64_t drops(std::uint32_t i, ShellDrop why) {
        return worker(i).tallies().drops[static_cast<std::size_t>(why)].get();
    }
    testing::Rig rig_{2, false};
};

TEST_F(ShellDrops, ForAPortWithoutDevice) {
    net::Packet* p = packet(0);
    worker(0).transmit(77, &p, 1);
    p = packet(0);
    worker(0).transmit(1u << 31, &p, 1);
    EXPECT_EQ(drops(0, ShellDrop::not_realised), 2u);
}

TEST_F(ShellDrops, ForAPortOfNoEngine) {
    net::Packet* p = packet(77);
    worker(0).hand_to_engine(&p, 1);
    rig_.shell->workers().turn_all(1);
    p = packet(0);
    worker(0).hand_to_worker(99, &p, 1);
    EXPECT_EQ(drops(0, ShellDrop::no_owner), 2u);
}

TEST_F(ShellDrops, WhenTheOtherWorkerDoesNotKeepUp) {
    for (std::size_t i = 0; i < SpscRing::capacity + 3; ++i) {
        net::Packet* p = packet(0);
        worker(0).hand_to_worker(1, &p, 1);
    }
    EXPECT_EQ(drops(0, ShellDrop::ring_full), 3u);
}

TEST_F(ShellDrops, WhenEnginesHandOverTooMuchAtOnce) {
    for (std::size_t i = 0; i < 1024 + 2; ++i) {
        net::Packet* p = packet(0);
        worker(0).hand_to_engine(&p, 1);
    }
    EXPECT_EQ(drops(0, ShellDrop::delivery_full), 2u);
}

TEST_F(ShellDrops, WhenTooMuchArrivesForAFrozenPort) {
    const HostPort& b = *rig_.shell->ports().find("b");
    rig_.shell->ports().show(b, true);
    std::size_t sent = 0;
    while (drops(0, ShellDrop::parked_full) == 0 && sent < 2 * Worker::parked_capacity) {
        net::Packet* p = packet(0);
        if (!p) break;
        worker(0).transmit(b.index, &p, 1);
        ++sent;
    }
    EXPECT_EQ(sent, Worker::parked_capacity + 1);
    rig_.shell->ports().show(b);
    rig_.shell->workers().turn_all(1);
    EXPECT_TRUE(rig_.device("b").collect().has_value());
}

}  // namespace
}  // namespace weir::host
