#include "apps/controller/node_move.hpp"

#include <utility>

#include "apps/controller/node_move_testing.hpp"

namespace weir::controller {
namespace {

using namespace testing;

TEST_F(NodeMoveTest, StepsComeInOrderAndTheIntentFollows) {
    ground->keeps_remains = true;
    ASSERT_TRUE(begin());
    const Value status = moved();
    EXPECT_EQ(status["state"].as_text(), "done") << why(status);
    EXPECT_EQ(status["node"].as_text(), "n1");
    EXPECT_EQ(status["contexts"].as_uint(), 10u);
    EXPECT_EQ(status["renumbered"].as_uint(), 2u);
    const std::vector<std::string> wanted = {"h1 save-service-node", "h2 restore-service-node",
                                             "h1 save-service-node", "h2 restore-service-node",
                                             "h2 host-ports"};
    EXPECT_EQ(ground->asked(), wanted);
    EXPECT_EQ(phases, std::vector<std::string>(5, "frozen")) << "nothing moves before that";
    EXPECT_EQ(where(), "h2");
    const auto* node = intent->current()->intent.find<ServiceNode>("n1");
    EXPECT_EQ(node->home.name, "h1") << "its paths are laid out as before";
    EXPECT_EQ(intent->current()->intent.find<model::Port>("p1")->host.name, "h2");
    const std::vector<std::string> told = {"node-move.started", "node-move.done"};
    EXPECT_EQ(event_types(), told);
    // The old host relays for a while; until then there is no other move of it.
    EXPECT_NE(reported<ServiceNodeMove>("n1"), nullptr);
    const Status again = begin("h1");
    ASSERT_FALSE(again);
    EXPECT_NE(again.error().message.find("has just moved"), std::string::npos);
    EXPECT_FALSE(moves->cancel(Subject::service_node, "n1")) << "it is over";
}

TEST_F(NodeMoveTest, WhenTheOldHostRelaysNoMoreItIsForgotten) {
    ASSERT_TRUE(begin());
    EXPECT_EQ(moved()["state"].as_text(), "done");
    ASSERT_TRUE(eventually([&] { return reported<ServiceNodeMove>("n1") == nullptr; }));
    EXPECT_GE(ground->elapsed(), std::chrono::seconds(10));
    ASSERT_TRUE(eventually([&] { return begin("h1").ok(); })) << "and it may go back";
}

TEST_F(NodeMoveTest, WithoutStateNothingIsCarried) {
    NodeMoveOrder order;
    order.node = "n1";
    order.to = "h2";
    order.without_state = true;
    ASSERT_TRUE(moves->start(move_of_node(order)));
    EXPECT_EQ(moved()["state"].as_text(), "done");
    EXPECT_FALSE(ground->was_asked("h1 save-service-node"));
}

TEST_F(NodeMoveTest, WhatCannotBeIsRefusedBeforeAnythingIsChanged) {
    const std::uint64_t before = intent->current()->revision;
    const auto refused = [&](const std::string& node, const std::string& to) {
        NodeMoveOrder order;
        order.node = node;
        order.to = to;
        const Status started = moves->start(move_of_node(order));
        return started ? "" : started.error().object + ": " + started.error().message;
    };
    EXPECT_EQ(refused("n9", "h2"), "service-node/n9: there is no such node");
    EXPECT_EQ(refused("n1", "h9"), "host/h9: there is no such host");
    EXPECT_EQ(refused("n1", "h1"), "service-node/n1: it is on h1 already");
    EXPECT_EQ(refused("n1", "h3"),
              "service-segment/plane: h3 takes no part in it; add the host");
    EXPECT_EQ(intent->current()->revision, before);
    EXPECT_TRUE(ground->asked().empty());
    EXPECT_TRUE(moves->status(Subject::service_node, "n1").is_null());
}

TEST_F(NodeMoveTest, AHostWithAsManyNodesAsItCanTakesNoMore) {
    std::string more;
    for (int i = 0; i < 64; ++i) {
        const std::string n = std::to_string(100 + i);
        const std::string mac = "02:00:00:00:91:" + n.substr(1);
        more += "{kind: port, name: p" + n + ", host: h2, service_segment: plane, mac: \"" + mac +
                "\", device: {type: memory}},\n{kind: service-node, name: n" + n + ", id: " + n +
                ", service: fw, host: h2, mode: aware, service_segment: plane, vnics: [p" + n +
                "]},\n";
    }
    apply("[" + more + "]");
    const Status full = begin();
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().message, "has as many nodes as a host can");
}

TEST_F(NodeMoveTest, HostsThatDoNotTakeTheFirstStepUndoIt) {
    ground->runs_newest = [](const std::string& host) { return host != "h2"; };
    ASSERT_TRUE(begin());
    expect_undone(
        "host/h2: did not take the step announced in time: it has not answered");
    EXPECT_TRUE(ground->asked().empty());
    EXPECT_GE(ground->elapsed(), std::chrono::seconds(15));
}

// Whoever hears "frozen" moves the machine.
TEST_F(NodeMoveTest, AnOldHostThatDoesNotFreezeItUndoesIt) {
    ground->runs_newest = [this](const std::string&) {
        const auto state = intent->current();
        return state->reported.find<ServiceNodeMove>("n1")->phase == MovePhase::announced;
    };
    std::set<std::string> said;
    ground->while_resting = [&] {
        said.insert(moves->status(Subject::service_node, "n1")["state"].as_text());
    };
    ASSERT_TRUE(begin());
    expect_undone("host/h1: did not take the step frozen in time: it has not answered");
    EXPECT_TRUE(ground->asked().empty()) << "what is not frozen is not carried";
    EXPECT_EQ(said, std::set<std::string>{"announced"});
}

TEST_F(NodeMoveTest, FrozenIsSaidWhenAllIsCarried) {
    std::vector<std::string> said;
    ground->answer = [&](const std::string& what) {
        said.push_back(what + ": " +
                       moves->status(Subject::service_node, "n1")["state"].as_text());
        return answer(what);
    };
    ASSERT_TRUE(begin());
    EXPECT_EQ(moved()["state"].as_text(), "done");
    const std::vector<std::string> wanted = {
        "h1 save-service-node: announced", "h2 restore-service-node: announced",
        "h1 save-service-node: announced", "h2 restore-service-node: announced",
        "h2 host-ports: frozen"};
    EXPECT_EQ(said, wanted);
}

TEST_F(NodeMoveTest, NothingThatOperatorsWriteMeanwhileIsLost) {
    Meanwhile operators;
    bool has_begun = false;
    ground->while_resting = [&] {
        arrive();
        const auto* move = reported<ServiceNodeMove>("n1");
        if (!move || move->phase != MovePhase::arrived || std::exchange(has_begun, true)) return;
        operators.begin(*intent, [](model::Snapshot& wanted) -> Status {
            ServiceNode node = *wanted.find<ServiceNode>("n1");
            node.drain_s = 77;
            wanted.put(std::move(node));
            return {};
        });
    };
    ASSERT_TRUE(begin());
    EXPECT_EQ(moved()["state"].as_text(), "done");
    operators.join();
    EXPECT_TRUE(has_begun);
    EXPECT_EQ(where(), "h2");
    EXPECT_EQ(intent->current()->intent.find<ServiceNode>("n1")->drain_s, 77u);
}

TEST_F(NodeMoveTest, AHostThatRefusesAStepIsNotWaitedFor) {
    ground->refuses = {"h1"};
    ASSERT_TRUE(begin());
    expect_undone("host/h1: refused it: too much");
    EXPECT_LT(ground->elapsed(), std::chrono::seconds(1));
}

TEST_F(NodeMoveTest, WhatIsThereCannotBeCancelled) {
    const auto cancelled = std::make_shared<Status>();
    on_change = [this, cancelled](const State& state) {  // its leader is about to say "done"
        if (state.intent.find<ServiceNode>("n1")->host.name == "h2" && *cancelled)
            *cancelled = moves->cancel(Subject::service_node, "n1");
    };
    ASSERT_TRUE(begin());
    EXPECT_EQ(moved()["state"].as_text(), "done");
    ASSERT_FALSE(*cancelled);
    EXPECT_EQ(cancelled->error().message, "it has moved: there is no way back");
    EXPECT_EQ(where(), "h2");
}

TEST_F(NodeMoveTest, WhateverAHostRefusesIsUndone) {
    for (const char* step : {"h1 save-service-node", "h2 restore-service-node", "h2 host-ports"}) {
        SCOPED_TRACE(step);
        failing = step;
        parts = 0;
        ASSERT_TRUE(eventually([&] { return begin().ok(); })) << "the one before is gone";
        expect_undone("host/h: asked to fail");
    }
}

TEST_F(NodeMoveTest, WhateverOneWorkerRefusesIsUndone) {
    for (const char* step : {"h1 save-service-node", "h2 restore-service-node"}) {
        SCOPED_TRACE(step);
        refusing = step;
        parts = 0;
        ASSERT_TRUE(eventually([&] { return begin().ok(); })) << "the one before is gone";
        expect_undone("service-node/n1: asked to refuse");
    }
}

TEST_F(NodeMoveTest, AMachineThatNobodyMovesStaysWhereItIs) {
    is_plugged = false;
    ASSERT_TRUE(begin());
    expect_undone("host/h2: the devices of the node's ports did not come up there in time");
    EXPECT_GE(ground->elapsed(), std::chrono::seconds(30));
}

TEST_F(NodeMoveTest, NothingIsSentToAMachineWhoseLinkIsNotUpYet) {
    has_link = false;
    int looks = 0;
    ground->answer = [&](const std::string& what) {
        if (what == "h2 host-ports") has_link = ++looks == 3;
        return answer(what);
    };
    ASSERT_TRUE(begin());
    EXPECT_EQ(moved()["state"].as_text(), "done");
    EXPECT_EQ(looks, 3);
}

TEST_F(NodeMoveTest, AHostThatDoesNotSayItHasTheNodeUndoesIt) {
    arrives = false;
    ASSERT_TRUE(begin());
    expect_undone("host/h2: the node's ports did not come up there in time");
}

TEST_F(NodeMoveTest, AHostThatGoesAwayInTheMiddleUndoesIt) {
    ground->answer = [this](const std::string& what) {
        if (what == "h2 restore-service-node") ground->away.insert("h2");
        return answer(what);
    };
    ASSERT_TRUE(begin());
    expect_undone("host/h2: is away");
}

TEST_F(NodeMoveTest, ANodeThatIsDeletedMeanwhileIsNotMoved) {
    for (const char* when : {"h1 save-service-node", "h2 host-ports"}) {
        SCOPED_TRACE(when);
        parts = 0;
        ground->answer = [this, when](const std::string& what) {
            if (what == when) (void)intent->erase({"service-node", "n1"}, {});
            return answer(what);
        };
        ASSERT_TRUE(eventually([&] { return begin().ok(); }));
        const Value status = moved();
        EXPECT_EQ(where(), "");
        EXPECT_EQ(why(status), "service-node/n1: was deleted while it moved");
        EXPECT_EQ(reported<ServiceNodeMove>("n1"), nullptr);
        apply(node_network);
    }
}

TEST_F(NodeMoveTest, AnIntentThatCannotFollowUndoesIt) {
    ground->while_resting = [this] {
        arrive();
        if (const auto* move = reported<ServiceNodeMove>("n1");
            move && move->phase == MovePhase::arrived)
            store->fails = true;
    };
    ASSERT_TRUE(begin());
    const Value status = moved();
    EXPECT_NE(why(status).find("the disk is full"), std::string::npos) << why(status);
    EXPECT_EQ(where(), "h1");
}

TEST_F(NodeMoveTest, AStoreThatFailsEndsItBeforeItBegins) {
    store->fails = true;
    ASSERT_TRUE(begin());
    EXPECT_EQ(why(moved()), "store: the disk is full");
    EXPECT_TRUE(ground->asked().empty());
}

TEST_F(NodeMoveTest, ItCanBeCancelledUntilItIsThere) {
    for (const char* state : {"starting", "frozen", "arriving"}) {
        SCOPED_TRACE(state);
        parts = 0;
        is_plugged = std::string(state) == "arriving";
        const bool is_told = std::string(state) != "starting";
        ground->runs_newest = [is_told](const std::string&) { return is_told; };
        cancel_when(state);
        ASSERT_TRUE(eventually([&] { return begin().ok(); }));
        expect_undone("service-node/n1: the move was cancelled");
    }
}

TEST_F(NodeMoveTest, NobodyIsWaitedFor) {
    is_plugged = false;
    ground->stuck_in = "carried";
    ASSERT_TRUE(begin());
    ASSERT_TRUE(eventually([&] { return ground->is_stuck.load(); }));
    const Status told = moves->go_on(Subject::service_node, "n1");
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().message, "its move waits for nobody: frozen");
    EXPECT_EQ(begin().error().message, "is being moved already");
    const Value all = moves->list(Subject::service_node);
    ASSERT_EQ(all["items"].size(), 1u);
    EXPECT_EQ(all["items"].items()[0]["state"].as_text(), "frozen");
    EXPECT_EQ(moves->list(Subject::port)["items"].size(), 0u);
}

}  // namespace
}  // namespace weir::controller
