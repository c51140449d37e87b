#include "features/chain/path_times.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace weir::chain {
namespace {

constexpr std::uint64_t us = 1000, second = 1'000'000'000;

struct PathTimesTest : ::testing::Test {
    PathTimesTest() {
        dataplane::OpenInput input;
        input.pool = [&](std::string_view, std::size_t, std::uint32_t, bool&) {
            return static_cast<void*>(memory.get());
        };
        sender.open(input);
        receiver.open(input);
    }
    std::unique_ptr<PathTimesMemory> memory = std::make_unique<PathTimesMemory>();
    PathTimes sender, receiver;  // as two stages see them
};

TEST_F(PathTimesTest, MeasureFromLeavingToComingBack) {
    sender.sent(7, 100, false, second);
    sender.sent(7, 100, true, second);
    receiver.returned(7, 100, true, second + 3 * us);
    receiver.returned(7, 100, false, second + 100 * us);
    const PathTime* time = sender.find(7);
    ASSERT_NE(time, nullptr);
    EXPECT_EQ(time->sent, 2u);
    EXPECT_EQ(time->returned, 2u);
    EXPECT_EQ(time->timed, 2u);
    EXPECT_EQ(time->sum_ns, 103 * us);
    EXPECT_EQ(time->count[2], 1u);
    EXPECT_EQ(time->count[7], 1u);
    EXPECT_EQ(sender.find(8), nullptr);
}

TEST_F(PathTimesTest, OnePacketOfAFlowsDirectionAtATimeAndNoneThatIsLost) {
    sender.sent(7, 100, false, second);
    sender.sent(7, 100, false, second + us);
    receiver.returned(7, 100, false, second + 5 * us);
    receiver.returned(7, 100, false, second + 6 * us);
    EXPECT_EQ(sender.find(7)->timed, 1u);
    sender.sent(7, 100, false, 10 * second);  // never comes back
    receiver.returned(7, 100, false, 12 * second);
    EXPECT_EQ(sender.find(7)->timed, 1u);
    EXPECT_EQ(sender.find(7)->sent, 3u);
}

TEST(PathTimesAlone, WithoutMemoryNothingIsMeasured) {
    PathTimes times;
    times.sent(7, 1, false, second);
    times.returned(7, 1, false, second);
    EXPECT_EQ(times.find(7), nullptr);
}

}  // namespace
}  // namespace weir::chain
