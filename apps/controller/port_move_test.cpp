#include <set>

#include "apps/controller/move_testing.hpp"

namespace weir::controller {
namespace {

using namespace testing;

constexpr const char* network = R"([
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1, underlay: {type: memory}},
{kind: host, name: h4, id: 4, tunnel_address: 10.0.0.4, underlay: {type: memory}},
{kind: host, name: h5, id: 5, tunnel_address: 10.0.0.5},
{kind: segment, name: web, vni: 5001},
{kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:11", device: {type: memory}}
])";

// Hosts that write down what the leader of a move asks them, and answer as if all went well.
class MigrationTest : public ControllerTest {
protected:
    void SetUp() override {
        ControllerTest::SetUp();
        apply(network);
        source = host_that("h1");
        destination = host_that("h4");
        for (const char* name : {"h1", "h4"}) ASSERT_TRUE(has_applied(name, 1));
    }
    void TearDown() override {
        source.reset();
        destination.reset();
        ControllerTest::TearDown();
    }
    std::unique_ptr<TestHost> host_that(const std::string& name) {
        auto made = host(name);
        made->on_query = [this, name](const Value& body) -> Result<Value> {
            const std::lock_guard lock(mutex);
            const std::string& what = body["what"].as_text();
            asked.push_back(name + " " + what);
            if (failing.contains(name + " " + what)) return invalid("step", "asked to fail");
            Value answer = Value::object();
            if (what == "host-move-prepare") answer.set("anchor", 0x01000007u);
            if (what == "host-move-save") {
                answer.set("done", true);
                answer.set("blobs", Value::array()).push("AAAA");
            }
            if (what == "host-move-load") {
                answer.set("flows", flows);
                answer.set("handles", "BBBB");
                flows /= 4;
            }
            if (what == "host-move-forward") forwarded = body;
            return answer;
        };
        return made;
    }
    rest::Response move(const std::string& body) {
        return ask("POST", "/v1/moves/g1", body, "application/json");
    }
    Value finished() {
        EXPECT_TRUE(eventually([&] { return get("/v1/moves/g1")["over"].as_bool(); }));
        return get("/v1/moves/g1");
    }
    bool was_asked(const std::string& what) {
        const std::lock_guard lock(mutex);
        return std::find(asked.begin(), asked.end(), what) != asked.end();
    }
    std::string where() { return get("/v1/port/g1")["host"].as_text(); }

    std::mutex mutex;
    std::vector<std::string> asked;
    std::set<std::string> failing;
    std::uint64_t flows = 1000;
    Value forwarded;
    std::unique_ptr<TestHost> source, destination;
};

TEST_F(MigrationTest, StepsComeInOrderAndTheIntentFollows) {
    ASSERT_EQ(move(R"({"to":"h4","stub_ms":5000})").status, 200);
    const Value status = finished();
    EXPECT_EQ(status["state"].as_text(), "done") << status["errors"].size();
    EXPECT_EQ(where(), "h4");
    std::vector<std::string> steps;
    for (const std::string& one : asked)
        if (one.find("host-move") != one.npos && (steps.empty() || steps.back() != one))
            steps.push_back(one);
    const std::vector<std::string> pass = {"h1 host-move-save", "h4 host-move-load",
                                           "h1 host-move-handles"};
    std::vector<std::string> wanted = {"h4 host-move-prepare"};
    // 1000 flows, then 250, then 62: few enough to be frozen for; one pass more while frozen.
    for (int i = 0; i < 3; ++i) wanted.insert(wanted.end(), pass.begin(), pass.end());
    wanted.push_back("h1 host-move-freeze");
    wanted.insert(wanted.end(), pass.begin(), pass.end());
    wanted.insert(wanted.end(), {"h4 host-move-activate", "h1 host-move-forward"});
    EXPECT_EQ(steps, wanted);
    EXPECT_EQ(forwarded["to_host"].as_uint(), 4u);
    EXPECT_EQ(forwarded["to_anchor"].as_uint(), 0x01000007u);
    EXPECT_EQ(forwarded["stub_ms"].as_uint(), 5000u);
    EXPECT_EQ(status["passes"].as_uint(), 4u);
    EXPECT_EQ(status["flows"].as_uint(), 1000u + 250 + 62 + 15);
    std::set<std::string> events;
    const Value told = get("/v1/events");
    for (const Value& event : told["items"].items()) events.insert(event["type"].as_text());
    for (const char* type : {"migration.started", "migration.frozen", "migration.done"})
        EXPECT_TRUE(events.contains(type)) << type;
}

TEST_F(MigrationTest, WhateverFailsBeforeActivationIsUndone) {
    for (const std::string step :
         {"h4 host-move-prepare", "h1 host-move-save", "h4 host-move-load", "h1 host-move-handles",
          "h1 host-move-freeze", "h4 host-move-activate"}) {
        {
            const std::lock_guard lock(mutex);
            asked.clear();
            failing = {step};
        }
        ASSERT_EQ(move(R"({"to":"h4"})").status, 200) << step;
        const Value status = finished();
        EXPECT_EQ(status["state"].as_text(), "failed") << step;
        EXPECT_EQ(status["errors"].items().at(0)["message"].as_text().find("asked to fail") !=
                      std::string::npos,
                  true)
            << step;
        EXPECT_EQ(where(), "h1") << step;
        EXPECT_TRUE(was_asked("h4 host-move-abandon")) << step;
        EXPECT_FALSE(was_asked("h1 host-move-forward")) << step;
        // What is on its way keeps its host from taking another engine.
        EXPECT_EQ(was_asked("h1 host-move-thaw"), step != "h4 host-move-prepare") << step;
    }
}

TEST_F(MigrationTest, WhatCannotBeIsRefusedBeforeAnythingIsAsked) {
    const auto why = [&](const std::string& body) {
        EXPECT_EQ(move(body).status, 200);
        const Value status = finished();
        EXPECT_EQ(status["state"].as_text(), "failed");
        const Value error = status["errors"].items().at(0);
        return error["object"].as_text() + ": " + error["message"].as_text();
    };
    EXPECT_EQ(why(R"({"to":"h9"})"), "host/h9: there is no such host");
    EXPECT_EQ(why(R"({"to":"h1"})"), "port/g1: the port is on h1 already");
    EXPECT_EQ(why(R"({"to":"h5"})"), "host/h5: is not connected");
    EXPECT_EQ(ask("POST", "/v1/moves/g9", R"({"to":"h4"})", "application/json").status, 200);
    EXPECT_EQ(ask("GET", "/v1/moves/g7").status, 404);
    EXPECT_EQ(ask("POST", "/v1/moves/g7/go-on", "", "application/json").status, 404);
    const std::lock_guard lock(mutex);
    for (const std::string& one : asked) EXPECT_EQ(one.find("host-move"), one.npos) << one;
}

TEST_F(MigrationTest, ItWaitsForThoseWhoMoveTheGuestAndCanBeCancelled) {
    ASSERT_EQ(move(R"({"to":"h4","wait_ready":true,"wait_frozen":true})").status, 200);
    const auto waits_for = [&](const char* state) {
        return eventually([&] { return get("/v1/moves/g1")["state"].as_text() == state; });
    };
    EXPECT_EQ(move(R"({"to":"h4"})").status, 409) << "one at a time";
    ASSERT_TRUE(waits_for("ready"));
    EXPECT_EQ(ask("POST", "/v1/moves/g1/go-on", "", "application/json").status, 200);
    ASSERT_TRUE(waits_for("frozen"));
    EXPECT_TRUE(was_asked("h1 host-move-freeze"));
    EXPECT_FALSE(was_asked("h4 host-move-activate"));
    EXPECT_EQ(ask("POST", "/v1/moves/g1/cancel", "", "application/json").status, 200);
    EXPECT_EQ(finished()["state"].as_text(), "failed");
    EXPECT_TRUE(was_asked("h1 host-move-thaw"));
    EXPECT_EQ(where(), "h1");
    EXPECT_EQ(ask("POST", "/v1/moves/g1/cancel", "", "application/json").status, 409);
}

TEST_F(MigrationTest, ADestinationThatGoesAwayInTheMiddleUndoesIt) {
    ASSERT_EQ(move(R"({"to":"h4","wait_frozen":true})").status, 200);
    ASSERT_TRUE(eventually([&] { return get("/v1/moves/g1")["state"].as_text() == "frozen"; }));
    destination.reset();
    ASSERT_TRUE(eventually([&] { return !host_status("h4")["connected"].as_bool(true); }));
    EXPECT_EQ(ask("POST", "/v1/moves/g1/go-on", "", "application/json").status, 200);
    EXPECT_EQ(finished()["state"].as_text(), "failed");
    EXPECT_TRUE(was_asked("h1 host-move-thaw"));
    EXPECT_EQ(where(), "h1");
}

// Hosts know their own ports only.
void plan_own(const model::Snapshot& intent, std::string_view host, model::Snapshot& out) {
    const std::uint64_t revision = out.revision;
    out = intent;
    out.revision = revision;
    for (const auto& [name, port] : intent.all<model::Port>())
        if (port.host.name != host) out.erase<model::Port>(name);
}
constexpr features::Feature own_ports{"own_ports", model::add_core_kinds, accept, plan_own};

class ArrivingPlan : public MigrationTest {
    features::Features features() override { return {&own_ports, 1}; }
};

// The revision is the same, the plan is another one: what was on its way is not it.
TEST_F(ArrivingPlan, IsThereBeforeThePortIsPrepared) {
    bool had_port = false;
    const auto usual = destination->on_query;
    destination->on_query = [&](const Value& body) {
        if (body["what"].as_text() == "host-move-prepare")
            had_port = destination->snapshot().find<model::Port>("g1") != nullptr;
        return usual(body);
    };
    ASSERT_FALSE(destination->snapshot().find<model::Port>("g1"));
    destination->is_stalled = true;
    ASSERT_EQ(move(R"({"to":"h4","force":true})").status, 200);
    ASSERT_TRUE(eventually([&] { return revision() == 2; })) << "the record of the move";
    ASSERT_TRUE(eventually([&] { return get("/v1/moves/g1")["state"].as_text() == "prepare"; }));
    destination->is_stalled = false;
    destination->release.put(true);
    EXPECT_EQ(finished()["state"].as_text(), "done");
    EXPECT_TRUE(had_port);
}

TEST_F(ArrivingPlan, ADestinationThatRefusesItIsNotWaitedFor) {
    const auto begun = std::chrono::steady_clock::now();
    destination->refuses = true;
    ASSERT_EQ(move(R"({"to":"h4","force":true})").status, 200);
    const Value status = finished();
    EXPECT_EQ(status["state"].as_text(), "failed");
    const Value error = status["errors"].items().at(0);
    EXPECT_EQ(error["object"].as_text(), "host/h4");
    EXPECT_EQ(error["message"].as_text(), "refused it: port/g1: mtu: too large for this host");
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(14));
    EXPECT_FALSE(was_asked("h4 host-move-prepare"));
    destination->refuses = false;
    ASSERT_EQ(move(R"({"to":"h4","force":true})").status, 200);
    EXPECT_EQ(finished()["state"].as_text(), "done") << "it was not for ever";
}

// Where a controller ends in the middle, and another one follows it; time is virtual.
class PortMoveRecovery : public MoveTest {
protected:
    void SetUp() override {
        MoveTest::SetUp();
        apply(network);
        ground->away.clear();
    }
    void prepare(FakeGround& fake) override {
        fake.answer = [this](const std::string& what) -> Result<Value> {
            Value body = Value::object();
            if (what == "h4 host-move-prepare") body.set("anchor", 7u);
            if (what == "h1 host-move-save") body.set("done", true);
            if (what == "h4 host-move-state") body.set("state", place);
            return body;
        };
    }
    static MoveOrder order(bool wait_frozen) {
        PortMoveOrder out;
        out.port = "g1";
        out.to = "h4";
        out.wait_frozen = wait_frozen;
        out.force = true;
        return move_of_port(std::move(out));
    }
    void begin() { ASSERT_TRUE(moves->start(order(true))); }
    // It is frozen at h1 when the controller ends.
    void end_when_frozen() {
        ground->stuck_in = "precopy";
        begin();
        restart_when_stuck();
    }
    Value moved() { return finished(Subject::port, "g1"); }
    std::string where() {
        const auto now = intent->current();
        return now->intent.find<model::Port>("g1")->host.name;
    }

    std::string place = "arriving";
};

TEST_F(PortMoveRecovery, WhatWasNotActivatedIsUndoneAndSaysWhy) {
    end_when_frozen();
    EXPECT_TRUE(ground->asked().empty()) << "the one that ended undid nothing";
    recover();
    const Value status = moved();
    EXPECT_EQ(why(status), "port/g1: its controller ended in the middle of the move (precopy)");
    EXPECT_EQ(where(), "h1");
    EXPECT_TRUE(ground->was_asked("h1 host-move-thaw"));
    EXPECT_TRUE(ground->was_asked("h4 host-move-abandon"));
    EXPECT_TRUE(ground->arrivals().empty());
    EXPECT_EQ(event_types(), std::vector<std::string>{"migration.failed"});
    // A third one knows of it as well.
    moves.reset();
    intent.reset();
    start();
    recover();
    const Value later = moves->status(Subject::port, "g1");
    EXPECT_EQ(later["state"].as_text(), "failed");
    EXPECT_TRUE(later["over"].as_bool());
    EXPECT_NE(why(later).find("its controller ended"), std::string::npos);
    EXPECT_EQ(moves->list(Subject::port)["items"].size(), 1u);
}

TEST_F(PortMoveRecovery, WhatWasActivatedIsBroughtToItsEnd) {
    end_when_frozen();
    place = "here";
    recover();
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(where(), "h4");
    // The old host may have thawed the port by then.
    const std::vector<std::string> wanted = {"h4 host-move-state", "h1 host-move-freeze",
                                             "h1 host-move-forward"};
    EXPECT_EQ(ground->asked(), wanted);
    EXPECT_TRUE(ground->arrivals().empty()) << "the intent says so now";
}

TEST_F(PortMoveRecovery, TheDestinationExpectsThePortFromTheFirstMoment) {
    end_when_frozen();
    ground->stuck_in = "precopy";
    ground->away = {"h4"};
    recover();
    EXPECT_EQ(ground->arrivals()["g1"], "h4");
}

TEST_F(PortMoveRecovery, ADestinationThatDoesNotComeBackDoesNotHaveIt) {
    end_when_frozen();
    ground->away = {"h4"};
    recover();
    EXPECT_EQ(why(moved()), "host/h4: is not connected");
    EXPECT_GE(ground->elapsed(), std::chrono::seconds(30));
    EXPECT_EQ(where(), "h1");
    EXPECT_TRUE(ground->was_asked("h1 host-move-thaw"));
}

TEST_F(PortMoveRecovery, AnOldHostThatIsGoneKeepsNobodyFromIt) {
    end_when_frozen();
    place = "here";
    ground->away = {"h1"};
    recover();
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(where(), "h4");
}

// The destination got the question and the answer was lost.
TEST_F(PortMoveRecovery, ALostAnswerDecidesNothing) {
    for (const bool is_here : {false, true}) {
        place = is_here ? "here" : "arriving";
        const auto usual = ground->answer;
        ground->answer = [&](const std::string& what) -> Result<Value> {
            if (what == "h4 host-move-activate")
                return Error{Errc::unavailable, "host/h4", {}, "went away"};
            return usual(what);
        };
        ASSERT_TRUE(eventually([&] { return moves->start(order(false)).ok(); }));
        EXPECT_EQ(why(moved()), is_here ? "" : "host/h4: went away");
        EXPECT_EQ(where(), is_here ? "h4" : "h1");
        EXPECT_EQ(ground->was_asked("h1 host-move-forward"), is_here);
        EXPECT_TRUE(ground->was_asked("h4 host-move-abandon")) << "the first time";
        EXPECT_TRUE(ground->arrivals().empty());
        ground->answer = usual;
    }
}

TEST_F(PortMoveRecovery, NothingThatOperatorsWriteMeanwhileIsLost) {
    Meanwhile operators;
    const auto usual = ground->answer;
    ground->answer = [&](const std::string& what) -> Result<Value> {
        if (what == "h1 host-move-forward")
            operators.begin(*intent, [](model::Snapshot& wanted) -> Status {
                model::Port port = *wanted.find<model::Port>("g1");
                port.mtu = 1400;
                wanted.put(std::move(port));
                return {};
            });
        return usual(what);
    };
    ASSERT_TRUE(moves->start(order(false)));
    EXPECT_EQ(why(moved()), "");
    operators.join();
    EXPECT_EQ(where(), "h4");
    EXPECT_EQ(intent->current()->intent.find<model::Port>("g1")->mtu, 1400u);
}

TEST_F(PortMoveRecovery, AStoreThatFailsForAMomentKeepsNothingBack) {
    const auto usual = ground->answer;
    ground->answer = [&](const std::string& what) -> Result<Value> {
        if (what == "h4 host-move-activate") store->fails = true;
        return usual(what);
    };
    int rests = 0;
    ground->while_resting = [&] {
        if (store->fails && ++rests == 5) store->fails = false;
    };
    ASSERT_TRUE(moves->start(order(false)));
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(where(), "h4");
    EXPECT_EQ(rests, 5);
}

// There is no way back: the guest is at h4, and so is its port.
TEST_F(PortMoveRecovery, AStoreThatFailsForGoodLeavesThePortWhereTheGuestIs) {
    const auto usual = ground->answer;
    ground->answer = [&](const std::string& what) -> Result<Value> {
        if (what == "h4 host-move-activate") store->fails = true;
        return usual(what);
    };
    ASSERT_TRUE(moves->start(order(false)));
    EXPECT_NE(why(moved()).find("the port works on h4, but the intent says h1 still"),
              std::string::npos);
    EXPECT_FALSE(ground->was_asked("h4 host-move-abandon"));
    EXPECT_EQ(ground->arrivals()["g1"], "h4") << "it goes on having its rules there";
}

// What the last step would be refused for is known before the first.
TEST_F(PortMoveRecovery, ADeviceThatAnotherPortHasThereIsFoundOutFirst) {
    apply(R"({kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:11",
device: {type: af_packet, interface: eth7}}
---
{kind: port, name: g2, host: h4, segment: web, mac: "02:00:00:00:00:12",
device: {type: af_packet, interface: eth7}})");
    ASSERT_TRUE(moves->start(order(false)));
    EXPECT_NE(why(moved()).find("eth7"), std::string::npos);
    EXPECT_TRUE(ground->asked().empty());
    EXPECT_EQ(where(), "h1");
}

TEST_F(PortMoveRecovery, WhatTheIntentSaysAlreadyIsDone) {
    end_when_frozen();
    apply(R"({kind: port, name: g1, host: h4, segment: web, mac: "02:00:00:00:00:11",
device: {type: memory}})");
    recover();
    EXPECT_EQ(why(moved()), "");
    EXPECT_TRUE(ground->asked().empty());
    EXPECT_TRUE(ground->arrivals().empty());
}

TEST_F(PortMoveRecovery, WhatWasOnlyTriedLeavesNoRecord) {
    PortMoveOrder order;
    order.port = "g1";
    order.to = "h9";
    ASSERT_TRUE(moves->start(move_of_port(order)));
    EXPECT_EQ(moved()["state"].as_text(), "failed");
    EXPECT_EQ(reported<model::Move>("port.g1"), nullptr);
    order.to = "h4";
    order.dry_run = order.force = true;
    ASSERT_TRUE(eventually([&] { return moves->start(move_of_port(order)).ok(); }));
    EXPECT_EQ(why(moved()), "");
    EXPECT_EQ(reported<model::Move>("port.g1"), nullptr);
    EXPECT_TRUE(intent->current()->reported.all<model::Move>().empty());
}

}  // namespace
}  // namespace weir::controller
