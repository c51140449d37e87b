#include "apps/controller/move_job.hpp"

#include <thread>

#include "apps/controller/move_testing.hpp"

namespace weir::controller {
namespace {

using namespace testing;

class MoveJobTest : public MoveTest {
protected:
    void prepare(FakeGround&) override {}
    std::unique_ptr<MoveJob> job() {
        model::Move record;
        record.object = "g1";
        return std::make_unique<MoveJob>(*ground, record);
    }
};

TEST_F(MoveJobTest, WhatWasCancelledIsNotFinal) {
    const auto cancelled = job();
    EXPECT_TRUE(cancelled->cancel());
    EXPECT_FALSE(cancelled->commit());
    EXPECT_TRUE(cancelled->cancel()) << "nothing has moved";
    EXPECT_FALSE(cancelled->stopped());
    const auto left = job();
    left->leave();
    EXPECT_FALSE(left->commit());
    EXPECT_TRUE(left->cancel());
}

TEST_F(MoveJobTest, WhatIsFinalCannotBeCancelled) {
    const auto final = job();
    EXPECT_TRUE(final->commit());
    ASSERT_FALSE(final->cancel());
    EXPECT_TRUE(final->stopped());
}

TEST_F(MoveJobTest, WhatIsThereWasCancelledTooLate) {
    const auto late = job();
    EXPECT_TRUE(late->cancel());
    late->commit_regardless();
    EXPECT_TRUE(late->stopped());
    EXPECT_FALSE(late->cancel());
}

// Whoever sees the word may say go-on at once.
TEST_F(MoveJobTest, WhoeverSeesThatItWaitsIsHeard) {
    for (int i = 0; i < 2000; ++i) {
        const auto waiting = job();
        std::thread leader([&] { waiting->wait_as("frozen"); });
        while (waiting->status()["state"].as_text() != "frozen") std::this_thread::yield();
        EXPECT_TRUE(waiting->go_on());
        leader.join();
        EXPECT_TRUE(waiting->was_told({}));
    }
}

}  // namespace
}  // namespace weir::controller
