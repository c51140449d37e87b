#include "dataplane/bfd.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace weir::dataplane {
namespace {

using State = net::BfdState;
constexpr std::uint64_t ms = 1'000'000;

// Two ends and a wire between them, in steps of a millisecond.
struct Pair {
    explicit Pair(const BfdTimes& times = {}, const BfdTimes& of_b = {}) {
        a.begin(17, now, times);
        b.begin(23, now, of_b);
    }
    void step() {
        now += ms;
        one(a, b, a_to_b);
        one(b, a, b_to_a);
        for (BfdSession* end : {&a, &b}) end->expire(now);
    }
    void one(BfdSession& from, BfdSession& to, bool passes) {
        if (!from.due(now)) return;
        const net::Bfd bfd = from.next_packet(now);
        ++sent;
        polls += bfd.poll;
        finals += bfd.final;
        EXPECT_FALSE(bfd.poll && bfd.final);
        if (!passes) return;
        if (bfd.your_discriminator != 0 && bfd.your_discriminator != to.discriminator()) return;
        to.receive(bfd, now);
    }
    void run(std::uint64_t milliseconds) {
        for (std::uint64_t i = 0; i < milliseconds; ++i) step();
    }
    std::uint64_t until(const BfdSession& end, State state) {
        for (std::uint64_t i = 0; i < 20'000; ++i, step())
            if (end.state() == state) return i;
        return ~0ull;
    }
    std::uint64_t now = 1'000'000'000;
    BfdSession a, b;
    bool a_to_b = true, b_to_a = true;
    std::uint64_t sent = 0, polls = 0, finals = 0;
};

TEST(BfdSession, both_come_up_and_stay) {
    Pair w;
    EXPECT_LE(w.until(w.a, State::up), 3000u);
    EXPECT_LE(w.until(w.b, State::up), 1000u);
    w.sent = 0;
    w.run(20'000);
    EXPECT_EQ(w.a.state(), State::up);
    EXPECT_EQ(w.b.state(), State::up);
    EXPECT_EQ(w.a.downs() + w.b.downs(), 0u);
    // Each sends every 750 to 1000 ms.
    EXPECT_GE(w.sent, 40u);
    EXPECT_LE(w.sent, 54u);
    EXPECT_EQ(w.a.detection_ns(), 3000 * ms);
    EXPECT_EQ(w.a.remote_discriminator(), 23u);
    EXPECT_EQ(w.polls, 0u);
}

TEST(BfdSession, silence_is_noticed_within_the_detection_time_and_not_before) {
    Pair w;
    w.run(5000);
    ASSERT_EQ(w.a.state(), State::up);
    for (int i = 0; i < 40; ++i) {
        w.a_to_b = w.b_to_a = true;
        ASSERT_NE(w.until(w.a, State::up), ~0ull);
        w.run(3000 + 97u * static_cast<unsigned>(i));
        w.a_to_b = w.b_to_a = false;
        const std::uint64_t heard = w.a.heard_ns(), cut = w.now;
        ASSERT_NE(w.until(w.a, State::down), ~0ull);
        EXPECT_EQ(w.a.diagnostic(), net::BfdDiagnostic::detection_time_expired);
        EXPECT_EQ(w.a.changed_ns() - heard, 3000 * ms);
        EXPECT_LE(w.a.changed_ns() - cut, 3000 * ms);
        EXPECT_GE(w.a.changed_ns() - cut, 1990 * ms);
    }
    EXPECT_EQ(w.a.downs(), 40u);
}

TEST(BfdSession, one_way_loss_takes_both_down) {
    Pair w;
    w.run(5000);
    w.a_to_b = false;
    EXPECT_LE(w.until(w.b, State::down), 3001u);
    EXPECT_LE(w.until(w.a, State::down), 1000u);
    EXPECT_EQ(w.a.diagnostic(), net::BfdDiagnostic::neighbour_signalled_down);
    w.run(10'000);
    EXPECT_NE(w.a.state(), State::up);
    EXPECT_NE(w.b.state(), State::up);
    w.a_to_b = true;
    EXPECT_LE(w.until(w.a, State::up), 4000u);
}

TEST(BfdSession, is_slow_until_up_and_asks_when_it_becomes_fast) {
    const BfdTimes fast{300'000, 3};
    Pair w(fast, fast);
    w.b_to_a = false;
    w.run(10'000);
    EXPECT_LE(w.sent, 2 * 14u);  // not more than one each 750 ms
    w.b_to_a = true;
    ASSERT_NE(w.until(w.a, State::up), ~0ull);
    w.run(2000);
    EXPECT_GE(w.polls, 2u);
    EXPECT_GE(w.finals, 2u);
    w.polls = w.sent = 0;
    w.run(3000);
    EXPECT_EQ(w.polls, 0u);
    EXPECT_GE(w.sent, 20u);
    EXPECT_LE(w.sent, 27u);
    EXPECT_EQ(w.a.detection_ns(), 900 * ms);
    w.b_to_a = false;
    EXPECT_LE(w.until(w.a, State::down), 901u);
}

TEST(BfdSession, the_slower_wish_counts) {
    Pair w(BfdTimes{300'000, 3}, BfdTimes{2'000'000, 5});
    ASSERT_NE(w.until(w.a, State::up), ~0ull);
    w.run(10'000);
    EXPECT_EQ(w.a.interval_ns(), 2000 * ms);
    EXPECT_EQ(w.a.detection_ns(), 10'000 * ms);
    EXPECT_EQ(w.b.detection_ns(), 6000 * ms);
    EXPECT_EQ(w.a.state(), State::up);
}

TEST(BfdSession, admin_down_and_a_stopped_neighbour) {
    Pair w;
    w.run(5000);
    net::Bfd bfd;
    bfd.state = State::admin_down;
    bfd.my_discriminator = 23;
    bfd.required_min_rx_us = 0;  // it wants to hear nothing
    EXPECT_TRUE(w.a.receive(bfd, w.now));
    EXPECT_EQ(w.a.state(), State::down);
    EXPECT_FALSE(w.a.receive(bfd, w.now));
    EXPECT_FALSE(w.a.due(w.now + 10'000 * ms));
    EXPECT_FALSE(w.a.expire(w.now + 60'000 * ms));  // is down already
    EXPECT_TRUE(w.a.due(w.now + 60'000 * ms));      // and looks for it again
}

TEST(BfdSession, zeroed_memory_has_not_begun) {
    BfdSession session;
    EXPECT_FALSE(session.begun());
    session.begin(5, 1);
    EXPECT_TRUE(session.begun());
    EXPECT_TRUE(session.due(1));
    EXPECT_EQ(session.next_packet(1).your_discriminator, 0u);
    EXPECT_FALSE(session.due(2));
}

}  // namespace
}  // namespace weir::dataplane
