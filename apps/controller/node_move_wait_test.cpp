#include "apps/controller/node_move_testing.hpp"

// Moves that wait for who moves the machine, and those that a controller finds begun.
namespace weir::controller {
namespace {

using namespace testing;

// Interfaces that are up at the new host do not mean that the machine is there.
TEST_F(NodeMoveTest, WhoeverMovesTheMachineIsWaitedFor) {
    begin_and_wait();
    EXPECT_EQ(state(), "frozen");
    EXPECT_FALSE(ground->was_asked("h2 host-ports"));
    EXPECT_EQ(where(), "h1");
    EXPECT_TRUE(moves->go_on(Subject::service_node, "n1"));
    EXPECT_EQ(moved()["state"].as_text(), "done");
    EXPECT_EQ(where(), "h2");
}

TEST_F(NodeMoveTest, AMachineThatNobodySaysHasMovedHasNot) {
    waits = true;
    ASSERT_TRUE(begin());
    expect_undone("service-node/n1: nobody said that it has moved");
    EXPECT_GE(ground->elapsed(), std::chrono::seconds(30));
    EXPECT_FALSE(ground->was_asked("h2 host-ports"));
}

TEST_F(NodeMoveTest, AMachineThatCouldNotBeMovedStaysWhereItIs) {
    begin_and_wait();
    EXPECT_TRUE(moves->cancel(Subject::service_node, "n1"));
    expect_undone("service-node/n1: the move was cancelled");
}

TEST_F(NodeMoveTest, ANewControllerWaitsForWhoMovesTheMachine) {
    begin_and_wait();
    restart_when_stuck();
    ground->stuck_in = "carried";
    recover();
    ASSERT_TRUE(eventually([&] { return ground->is_stuck.load(); }));
    EXPECT_EQ(state(), "frozen");
    EXPECT_TRUE(ground->asked().empty());
    EXPECT_TRUE(moves->go_on(Subject::service_node, "n1"));
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(where(), "h2");
}

TEST_F(NodeMoveTest, ANewControllerIsNotToldTwice) {
    is_plugged = false;
    begin_and_wait();
    ground->is_stuck = false;
    EXPECT_TRUE(moves->go_on(Subject::service_node, "n1"));
    restart_when_stuck();
    is_plugged = true;
    recover();
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(where(), "h2");
}

// A controller that ends in the middle, and the one that follows it.
TEST_F(NodeMoveTest, ANewControllerUndoesWhatWasNotCarriedOver) {
    for (const char* state : {"announced", "frozen"}) {
        SCOPED_TRACE(state);
        const MovePhase reached = std::string(state) == "frozen" ? MovePhase::frozen
                                                                 : MovePhase::announced;
        ground->runs_newest = [this, reached](const std::string&) {
            const auto now = intent->current();
            return now->reported.find<ServiceNodeMove>("n1")->phase != reached;
        };
        ground->stuck_in = state;
        ASSERT_TRUE(eventually([&] { return begin().ok(); }));
        restart_when_stuck();
        EXPECT_NE(reported<ServiceNodeMove>("n1"), nullptr) << "left as it was";
        recover();
        expect_undone("service-node/n1: its controller ended in the middle of the move (" +
                      std::string(state) + ")");
        EXPECT_TRUE(ground->asked().empty());
    }
}

TEST_F(NodeMoveTest, ANewControllerFinishesWhatWasCarriedOver) {
    is_plugged = false;
    ground->stuck_in = "carried";
    ASSERT_TRUE(begin());
    restart_when_stuck();
    is_plugged = true;
    recover();
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(where(), "h2");
    EXPECT_FALSE(ground->was_asked("h1 save-service-node")) << "once is enough";
    EXPECT_EQ(reported<model::Move>("service-node.n1")->outcome, model::MoveOutcome::done);
}

TEST_F(NodeMoveTest, ANewControllerWaitsForHostsThatComeBack) {
    is_plugged = false;
    ground->stuck_in = "carried";
    ASSERT_TRUE(begin());
    restart_when_stuck();
    is_plugged = true;
    ground->away.insert("h2");
    ground->while_resting = [this] {
        if (ground->elapsed() >= std::chrono::seconds(5)) ground->away.clear();
        arrive();
    };
    recover();
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(where(), "h2");
}

TEST_F(NodeMoveTest, ANewControllerKnowsThatTheNodeCameMeanwhile) {
    arrives = false;
    ground->stuck_in = "arriving";
    ASSERT_TRUE(begin());
    restart_when_stuck();
    arrive();  // said once; nobody says so again
    recover();
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(where(), "h2");
}

TEST_F(NodeMoveTest, ANewControllerForgetsWhatThisOneStillRelayed) {
    ground->keeps_remains = true;
    ASSERT_TRUE(begin());
    EXPECT_EQ(moved()["state"].as_text(), "done");
    restart_when_stuck();
    EXPECT_NE(reported<ServiceNodeMove>("n1"), nullptr);
    recover();
    EXPECT_EQ(moved()["state"].as_text(), "done");
    ASSERT_TRUE(eventually([&] { return reported<ServiceNodeMove>("n1") == nullptr; }));
    EXPECT_GE(ground->elapsed(), std::chrono::seconds(10));
    EXPECT_TRUE(event_types().empty()) << "nothing of this is news";
}

TEST_F(NodeMoveTest, StepsWithoutARecordAreTakenBack) {
    is_plugged = false;
    ground->stuck_in = "carried";
    ASSERT_TRUE(begin());
    restart_when_stuck();
    forget_unrecorded_node_moves(*intent);
    EXPECT_NE(reported<ServiceNodeMove>("n1"), nullptr) << "this one has a record";
    const auto lose = [](model::Snapshot& known) {
        return known.erase<model::Move>("service-node.n1");
    };
    ASSERT_TRUE(intent->report(lose, "test"));
    forget_unrecorded_node_moves(*intent);
    EXPECT_EQ(reported<ServiceNodeMove>("n1"), nullptr);
}

}  // namespace
}  // namespace weir::controller
