#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "apps/controller/move_testing.hpp"
#include "apps/controller/node_move.hpp"

// A service node that can be moved from h1 to h2, or not. For tests.
namespace weir::controller::testing {

using chain::MovePhase;
using chain::ServiceNode;
using chain::ServiceNodeMove;

inline constexpr const char* node_network = R"([
{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1, underlay: {type: memory}},
{kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2, underlay: {type: memory}},
{kind: host, name: h3, id: 3, tunnel_address: 10.0.0.3, underlay: {type: memory}},
{kind: service-segment, name: plane, svni: 9001, underlay_trusted: true, hosts: [h1, h2]},
{kind: service, name: fw, transports: [nsh]},
{kind: port, name: p1, host: h1, service_segment: plane, mac: "02:00:00:00:90:01",
 device: {type: memory}},
{kind: service-node, name: n1, id: 1, service: fw, host: h1, mode: aware, service_segment: plane,
 vnics: [p1]}
])";

// A node whose host answers as if all went well; tests spoil one thing each.
class NodeMoveTest : public MoveTest {
protected:
    void SetUp() override {
        MoveTest::SetUp();
        apply(node_network);
    }
    void prepare(FakeGround& fake) override {
        fake.answer = [this](const std::string& what) { return answer(what); };
        fake.while_resting = [this] {
            if (arrives) arrive();
        };
    }
    // As the new host does once it has the node and its ports.
    void arrive() {
        (void)intent->report(
            [](model::Snapshot& known) {
                const auto* move = known.find<ServiceNodeMove>("n1");
                if (!move || move->phase != MovePhase::arriving) return false;
                ServiceNodeMove arrived = *move;
                arrived.phase = MovePhase::arrived;
                known.put(arrived);
                return true;
            },
            "report");
    }
    Result<Value> answer(const std::string& what) {
        const auto* move = reported<ServiceNodeMove>("n1");
        if (move) phases.push_back(std::string(model::enum_name(move->phase)));
        if (what == failing) return Error{Errc::conflict, "host/h", {}, "asked to fail"};
        Value body = Value::object();
        Value& rows = body.set("rows", Value::array());
        if (what == refusing) {  // one worker of several
            rows.push(Value::object()).set("taken", 1u);
            rows.push(Value::object()).set("error", "asked to refuse");
            return body;
        }
        if (what == "h1 save-service-node") {
            Value& part = rows.push(Value::object());
            part.set("state", "AAAA");
            part.set("next", parts++ == 0 ? 1u : 0u);
        }
        if (what == "h2 restore-service-node") {
            Value& row = rows.push(Value::object());
            row.set("taken", 5u);
            row.set("renumbered", 1u);
        }
        if (what == "h2 host-ports") {
            Value& row = rows.push(Value::object());
            row.set("name", "p1");
            row.set("state", is_plugged ? "running" : "gone");
            row.set("link", has_link ? "up" : "link_down");
        }
        return body;
    }
    Status begin(const std::string& to = "h2") {
        NodeMoveOrder order;
        order.node = "n1";
        order.to = to;
        order.wait_frozen = waits;
        return moves->start(move_of_node(order));
    }
    std::string state() const {
        return moves->status(Subject::service_node, "n1")["state"].as_text();
    }
    // It waits for who moves the machine, or for the ports of the node.
    void begin_and_wait() {
        waits = true;
        ground->stuck_in = "carried";
        ASSERT_TRUE(begin());
        ASSERT_TRUE(eventually([&] { return ground->is_stuck.load(); }));
    }
    Value moved() { return finished(Subject::service_node, "n1"); }
    std::string where() {
        const auto now = intent->current();
        const auto* node = now->intent.find<ServiceNode>("n1");
        return node ? node->host.name : "";
    }
    // It failed so, and everything is as it was.
    void expect_undone(const std::string& reason) {
        const Value status = moved();
        EXPECT_EQ(status["state"].as_text(), "failed");
        EXPECT_EQ(why(status), reason);
        EXPECT_EQ(where(), "h1");
        EXPECT_EQ(reported<ServiceNodeMove>("n1"), nullptr) << "hosts forget it";
        const auto* record = reported<model::Move>("service-node.n1");
        ASSERT_TRUE(record);
        EXPECT_EQ(record->outcome, model::MoveOutcome::failed);
        EXPECT_EQ(record->why, reason);
        EXPECT_FALSE(record->ended.empty());
        EXPECT_EQ(event_types().back(), "node-move.failed");
    }
    void cancel_when(const std::string& state) {
        ground->while_resting = [this, state] {
            if (moves->status(Subject::service_node, "n1")["state"].as_text() == state)
                (void)moves->cancel(Subject::service_node, "n1");
        };
    }

    bool arrives = true, is_plugged = true, has_link = true, waits = false;
    int parts = 0;
    std::string failing, refusing;
    std::vector<std::string> phases;
};

}  // namespace weir::controller::testing
