#include "dataplane/liveness.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace weir::dataplane {
namespace {

using Verdict = Liveness::Verdict;
using Outcome = Liveness::Outcome;

constexpr std::uint64_t ms = 1'000'000;

// A thing that is asked in virtual time: a tick each millisecond, and it answers `delay` after a
// question, while it is not hung.
struct World {
    Liveness judge;
    std::uint64_t now = 1'000'000 * ms;
    std::uint64_t delay_ms = 1;
    bool hung = false;
    bool asked = false, heard = false;
    std::uint64_t answer_at = 0;  // 0: none on its way

    // One tick; true if the verdict changed in it.
    bool tick() {
        now += ms;
        if (answer_at != 0 && now >= answer_at && !hung) {
            heard = true;
            answer_at = 0;
        }
        if (!judge.due(now)) return false;
        const bool changed = judge.advance(now, !asked  ? Outcome::unasked
                                                : heard ? Outcome::answered
                                                        : Outcome::missed);
        asked = true;
        heard = false;
        answer_at = hung ? 0 : now + delay_ms * ms;
        return changed;
    }
    // Milliseconds until the verdict changes; 0 if it did not within `limit_ms`.
    std::uint64_t until_change(std::uint64_t limit_ms) {
        for (std::uint64_t i = 1; i <= limit_ms; ++i)
            if (tick()) return i;
        return 0;
    }
    void run(std::uint64_t for_ms) {
        for (std::uint64_t i = 0; i < for_ms; ++i) tick();
    }
};

TEST(Liveness, ZeroedMemoryIsAValidStart) {
    static_assert(std::is_trivially_copyable_v<Liveness>);
    alignas(Liveness) unsigned char zero[sizeof(Liveness)] = {};
    Liveness judge;
    std::memcpy(static_cast<void*>(&judge), zero, sizeof judge);
    EXPECT_EQ(judge.verdict(), Verdict::unknown);
    EXPECT_TRUE(judge.due(1));
    EXPECT_FALSE(judge.advance(5'000 * ms, Outcome::unasked));
    EXPECT_EQ(judge.interval_start_ns(), 5'000 * ms);
    EXPECT_FALSE(judge.due(5'249 * ms));
    EXPECT_TRUE(judge.due(5'250 * ms));
}

TEST(Liveness, FirstAnswerMakesItUp) {
    World w;
    EXPECT_EQ(w.until_change(1000), 251u);  // first tick asks, the interval's end judges
    EXPECT_EQ(w.judge.verdict(), Verdict::up);
    EXPECT_EQ(w.judge.flaps(), 0u);
}

TEST(Liveness, NeverAnsweringIsDownAfterThreeIntervals) {
    World w;
    w.hung = true;
    EXPECT_EQ(w.until_change(2000), 1u + 3 * 250u);
    EXPECT_EQ(w.judge.verdict(), Verdict::down);
}

// LV-2: at most one second from the hang to the verdict, wherever in the interval it falls silent.
TEST(Liveness, HangIsNoticedWithinOneSecondAtAnyPhase) {
    std::uint64_t longest = 0, shortest = ~0ull;
    for (std::uint64_t phase = 0; phase < 250; ++phase) {
        World w;
        w.run(1001 + phase);
        ASSERT_EQ(w.judge.verdict(), Verdict::up);
        w.hung = true;
        const std::uint64_t took = w.until_change(5000);
        ASSERT_NE(took, 0u);
        ASSERT_EQ(w.judge.verdict(), Verdict::down);
        longest = std::max(longest, took);
        shortest = std::min(shortest, took);
    }
    // Silent right after an answer, 1 ms into the interval: that rest and three more intervals.
    EXPECT_EQ(longest, 999u);
    // Silent just before its answer: the interval counts, so three of them.
    EXPECT_EQ(shortest, 750u);
}

TEST(Liveness, TwoMissesAreForgiven) {
    World w;
    w.run(1002);
    for (int i = 0; i < 20; ++i) {
        w.hung = true;
        w.run(500);
        w.hung = false;
        w.run(250);
    }
    EXPECT_EQ(w.judge.verdict(), Verdict::up);
    EXPECT_EQ(w.judge.missed(), 40u);
    EXPECT_EQ(w.judge.flaps(), 0u);
}

TEST(Liveness, AnAnswerBehindItsIntervalIsAMiss) {
    World w;
    w.delay_ms = 249;
    w.run(5000);
    EXPECT_EQ(w.judge.missed(), 0u);
    World late;
    late.delay_ms = 251;
    EXPECT_NE(late.until_change(5000), 0u);
    EXPECT_EQ(late.judge.verdict(), Verdict::down);
}

// LV-6: three answers, then two seconds of hold-up without a miss.
TEST(Liveness, RecoveryTakesThreeAnswersAndTheHoldUp) {
    World w;
    w.run(1001);
    w.hung = true;
    w.until_change(2000);
    w.run(100);
    w.hung = false;
    // 150 ms to the next question, three intervals for three answers, 2 s.
    EXPECT_EQ(w.until_change(10'000), 150u + 750u + 2000u);
    EXPECT_EQ(w.judge.verdict(), Verdict::up);
}

TEST(Liveness, AMissWhileRecoveringStartsRecoveryAnew) {
    World w;
    w.run(1001);
    w.hung = true;
    w.until_change(2000);
    w.hung = false;
    w.run(2000);
    w.hung = true;
    w.run(250);
    w.hung = false;
    EXPECT_EQ(w.until_change(10'000), 250u + 750u + 2000u);
    EXPECT_EQ(w.judge.flaps(), 1u);
}

std::uint64_t flap(World& w) {
    w.hung = true;
    EXPECT_NE(w.until_change(2000), 0u);
    w.hung = false;
    return w.until_change(100'000) - 1000;  // 250 to the next question, 750 for the answers
}

TEST(Liveness, HoldUpDoublesWithEachFlapUpToAMinute) {
    World w;
    w.run(1001);
    for (const std::uint64_t expected : {2000u, 4000u, 8000u, 16'000u, 32'000u, 60'000u, 60'000u})
        EXPECT_EQ(flap(w), expected);
    EXPECT_EQ(w.judge.flaps(), 7u);
    w.run(300'000);  // five quiet minutes
    EXPECT_EQ(flap(w), 2000u);
}

TEST(Liveness, OurOwnSleepIsNobodysMiss) {
    World w;
    w.run(1001);
    const std::uint64_t missed = w.judge.missed();
    for (int i = 0; i < 10; ++i) {
        w.now += 3000 * ms;
        EXPECT_FALSE(w.judge.advance(w.now, Outcome::missed));
    }
    EXPECT_EQ(w.judge.missed(), missed);
    EXPECT_EQ(w.judge.verdict(), Verdict::up);
    EXPECT_EQ(w.judge.interval_start_ns(), w.now);  // the grid starts anew
}

TEST(Liveness, ALateTickDoesNotMoveTheGrid) {
    Liveness judge;
    judge.advance(1000 * ms, Outcome::unasked);
    judge.advance(1250 * ms + 90 * ms, Outcome::answered);
    EXPECT_EQ(judge.interval_start_ns(), 1250 * ms);
    EXPECT_TRUE(judge.due(1500 * ms));
}

TEST(Liveness, UnaskedSaysNothing) {
    World w;
    w.run(1001);
    for (int i = 0; i < 100; ++i)
        w.judge.advance(w.judge.interval_start_ns() + 250 * ms, Outcome::unasked);
    EXPECT_EQ(w.judge.verdict(), Verdict::up);
    EXPECT_EQ(w.judge.missed(), 0u);
}

}  // namespace
}  // namespace weir::dataplane
