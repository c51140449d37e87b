#include "apps/controller/node_move.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "features/chain/feature.hpp"
#include "features/chain/node/node_table.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/core_resources.hpp"

namespace weir::controller {
namespace {

using chain::MovePhase;
using chain::ServiceNode;
using chain::ServiceNodeMove;
using model::Value;
using std::chrono::milliseconds;

constexpr milliseconds apply_patience{15'000};
constexpr milliseconds relay_time{11'000};  // the old host relays for 10 s, then it is over
constexpr milliseconds look_again{10}, look_round{200};
// In the record, beside the phases: all that the old host remembers is at the new one.
constexpr const char* carried = "carried";

class NodeMove final : public MoveLead {
public:
    NodeMove(MoveGround& ground, MoveJob& job, NodeMoveOrder order)
        : MoveLead(ground, job), order_(std::move(order)) {}

    Status fit() override;
    Status steps() override;
    Status resume() override;
    void undo() override { forget(); }
    bool has_remains() const override;
    void look_after_remains() override;
    std::string event_name() const override { return "node-move"; }

private:
    using Time = MoveGround::Time;

    Status wait_frozen();
    Status hand_over(Time since);
    Status be(MovePhase phase, const std::vector<std::string>& hosts);
    Status put_phase(MovePhase phase);
    Status carry();
    Status restore(const Value& state);
    Status agreed(const Value& row) const;
    Status wait_for_ports();
    Result<bool> has_ports(const ServiceNode& node);
    Status wait_for_node();
    Status settle();
    void forget();
    Status deleted() const { return error(Errc::conflict, "was deleted while it moved"); }
    Error error(Errc code, std::string why) const {
        return {code, "service-node/" + order_.node, {}, std::move(why)};
    }

    const NodeMoveOrder order_;
    ServiceNodeMove move_;
    bool is_resumed_ = false;
};

// What can be known before anything is changed.
Status NodeMove::fit() {
    const auto state = ground_.intent.current();
    const model::Snapshot& intent = state->intent;
    const std::string object = "service-node/" + order_.node;
    const auto* node = intent.find<ServiceNode>(order_.node);
    if (!node) return Error{Errc::not_found, object, {}, "there is no such node"};
    const auto* from = intent.find(node->host);
    const auto* to = intent.find<model::Host>(order_.to);
    if (!to) return Error{Errc::not_found, "host/" + order_.to, {}, "there is no such host"};
    if (!from || from == to)
        return Error{Errc::invalid, object, "host", "it is on " + order_.to + " already"};
    const auto* plane = intent.find(node->service_segment);
    if (!plane) return Error{Errc::invalid, object, "service_segment", "there is none"};
    const auto takes_part = [&](const auto& ref) { return ref.name == to->name; };
    if (!plane->hosts.empty() && std::ranges::none_of(plane->hosts, takes_part))
        return Error{Errc::conflict, "service-segment/" + plane->name, "hosts",
                     to->name + " takes no part in it; add the host"};
    if (chain::nodes_at(to->name, intent, state->reported) >= chain::max_local_nodes)
        return Error{Errc::limit, "host/" + to->name, {}, "has as many nodes as a host can"};
    move_ = {
        node->name,          node->id, plane->svni, static_cast<std::uint32_t>(state->revision + 1),
        from->name,          to->name, from->id,    to->id,
        MovePhase::announced};
    job_.put([&](model::Move& record) { record.from = from->name; });
    return {};
}

// MB-9, in its order.
Status NodeMove::steps() {
    tell("started");
    if (Status ready = be(MovePhase::announced, {move_.to, move_.from}); !ready) return ready;
    job_.be("announced");
    const Time since = ground_.now();
    if (Status frozen = be(MovePhase::frozen, {move_.from}); !frozen) return frozen;
    if (!order_.without_state)
        if (Status state = carry(); !state) return state;
    if (Status kept = job_.keep_as(carried); !kept) return kept;
    return hand_over(since);
}

// Whoever hears "frozen" may move the machine. Where somebody said that he will, interfaces that
// are up at the new host already do not mean that it is there.
Status NodeMove::wait_frozen() {
    if (!job_.record().wait_frozen) {
        job_.be("frozen");
        return {};
    }
    job_.wait_as("frozen");
    for (const Time until = ground_.now() + order_.patience; !job_.was_told(look_round);) {
        if (Status stopped = job_.stopped(); !stopped) return stopped;
        if (ground_.now() > until) return error(Errc::unavailable, "nobody said that it has moved");
    }
    job_.put([](model::Move& record) { record.wait_frozen = false; });
    return job_.keep();  // the next controller need not be told again
}

// From when the old host has nothing left that the new one needs.
Status NodeMove::hand_over(Time since) {
    if (move_.phase == MovePhase::frozen)
        if (Status moved = wait_frozen(); !moved) return moved;
    if (Status plugged = wait_for_ports(); !plugged) return plugged;
    if (move_.phase == MovePhase::frozen)  // a controller before this one may have come further
        if (Status expected = be(MovePhase::arriving, {}); !expected) return expected;
    job_.be("arriving");
    if (Status there = wait_for_node(); !there) return there;
    if (Status wanted = job_.commit(); !wanted) return wanted;
    const Status settled = settle();
    const double ms = std::chrono::duration<double, std::milli>(ground_.now() - since).count();
    job_.measure("frozen_ms", ms);
    job_.put([&](model::Move& record) { record.frozen_ms = static_cast<std::uint32_t>(ms); });
    return settled;
}

Status NodeMove::resume() {
    const std::string state = job_.record().state;
    job_.be("resuming");
    const auto now = ground_.intent.current();
    const auto* node = now->intent.find<ServiceNode>(order_.node);
    if (!node) return deleted();
    if (node->host.name == order_.to) return {};
    const auto* move = now->reported.find<ServiceNodeMove>(order_.node);
    const bool is_carried = state == carried || state == model::enum_name(MovePhase::arriving);
    if (!move || !is_carried)
        return error(Errc::unavailable,
                     "its controller ended in the middle of the move (" + state + ")");
    move_ = *move;
    is_resumed_ = true;
    return hand_over(ground_.now());
}

// The phase in the store, of which hosts learn, and in the record.
Status NodeMove::put_phase(MovePhase phase) {
    move_.phase = phase;
    const auto put = [&](model::Snapshot& reported) { reported.put(move_); };
    return job_.keep_as(std::string(model::enum_name(phase)), put);
}

// The next phase, until these hosts have taken it.
Status NodeMove::be(MovePhase phase, const std::vector<std::string>& hosts) {
    if (Status stored = put_phase(phase); !stored) return stored;
    const std::uint64_t revision = ground_.intent.current()->revision;
    const Time until = ground_.now() + apply_patience;
    for (const std::string& host : hosts) {
        for (;;) {
            const Result<bool> runs = ground_.runs(host, revision);
            if (!runs) return runs.error();
            if (*runs) break;
            if (Status stopped = job_.stopped(); !stopped) return stopped;
            if (ground_.now() > until)
                return Error{Errc::unavailable,
                             "host/" + host,
                             {},
                             "did not take the step " + std::string(model::enum_name(phase)) +
                                 " in time: " + ground_.why_late(host)};
            job_.rest(look_again);
        }
    }
    return {};
}

// Each worker answers for itself.
Status NodeMove::agreed(const Value& row) const {
    if (row.find("error") == nullptr) return {};
    return error(Errc::unavailable, row["error"].as_text());
}

// Part by part, who it is first (features/chain/node/node_transfer.hpp); all workers are asked from
// one number on.
Status NodeMove::carry() {
    std::uint64_t next = 0;
    do {
        Value question = Value::object();
        question.set("what", "save-service-node");
        question.set("node", move_.name);
        question.set("from", next);
        const auto parts = ground_.ask(move_.from, std::move(question));
        if (!parts) return parts.error();
        next = 0;
        for (const Value& part : (*parts)["rows"].items()) {
            if (Status whole = agreed(part); !whole) return whole;
            const std::uint64_t behind = part["next"].as_uint();
            if (behind != 0) next = next == 0 ? behind : std::min(next, behind);
            if (part["state"].as_text().empty()) continue;
            if (Status taken = restore(part["state"]); !taken) return taken;
        }
        if (Status stopped = job_.stopped(); !stopped) return stopped;
    } while (next != 0);
    return {};
}

Status NodeMove::restore(const Value& state) {
    Value question = Value::object();
    question.set("what", "restore-service-node");
    question.set("state", state);
    const auto answer = ground_.ask(move_.to, std::move(question));
    if (!answer) return answer.error();
    for (const Value& row : (*answer)["rows"].items()) {
        if (Status taken = agreed(row); !taken) return taken;
        job_.count("contexts", row["taken"].as_uint());
        job_.count("renumbered", row["renumbered"].as_uint());
        job_.count("lost", row["lost"].as_uint());
    }
    return {};
}

// Whether the devices of all of its ports are up at the new host, and somebody at their other end:
// what is sent before that is lost.
Result<bool> NodeMove::has_ports(const ServiceNode& node) {
    Value question = Value::object();
    question.set("what", "host-ports");
    const auto ports = ground_.ask(move_.to, std::move(question));
    if (!ports) return ports.error();
    std::size_t running = 0;
    for (const Value& row : (*ports)["rows"].items())
        for (const auto& ref : node.vnics)
            running += row["name"].as_text() == ref.name && row["state"].as_text() == "running" &&
                       row["link"].as_text() == "up";
    return running == node.vnics.size();
}

// Somebody moves the machine meanwhile. A host that comes back with this controller is waited for.
Status NodeMove::wait_for_ports() {
    const Time until = ground_.now() + order_.patience;
    const auto state = ground_.intent.current();
    const auto* node = state->intent.find<ServiceNode>(move_.name);
    if (node == nullptr) return deleted();
    for (;;) {
        const auto plugged = has_ports(*node);
        if (plugged && *plugged) return {};
        if (Status stopped = job_.stopped(); !stopped) return stopped;
        const bool may_come_back = is_resumed_ && !ground_.is_connected(move_.to);
        if (!plugged && !may_come_back) return plugged.error();
        if (ground_.now() > until)
            return Error{Errc::unavailable,
                         "host/" + move_.to,
                         {},
                         "the devices of the node's ports did not come up there in time"};
        job_.rest(look_again);
    }
}

// Its new host says when it has the node.
Status NodeMove::wait_for_node() {
    const Time until = ground_.now() + order_.patience;
    for (;;) {
        const auto state = ground_.intent.current();
        const auto* move = state->reported.find<ServiceNodeMove>(move_.name);
        if (move && move->number == move_.number && move->phase == MovePhase::arrived) return {};
        if (Status stopped = job_.stopped(); !stopped) return stopped;
        if (!move || ground_.now() > until)
            return Error{Errc::unavailable,
                         "host/" + move_.to,
                         {},
                         "the node's ports did not come up there in time"};
        job_.rest(look_again);
    }
}

// The intent says where it is now; its paths stay as they are.
Status NodeMove::settle() {
    const auto say_where = [this](model::Snapshot& intent) -> Status {
        const auto* found = intent.find<ServiceNode>(move_.name);
        if (!found) return deleted();
        ServiceNode node = *found;
        for (const auto& ref : node.vnics) {
            const auto* vnic = intent.find(ref);
            if (!vnic) continue;  // then the intent is refused as a whole
            model::Port port = *vnic;
            port.host = move_.to;
            intent.put(std::move(port));
        }
        node.host = move_.to;
        if (!node.home) node.home = move_.from;
        intent.put(std::move(node));
        return {};
    };
    ApplyOptions options;
    options.note = "move of service-node/" + move_.name;
    return ground_.intent.edit(say_where, options).status();
}

bool NodeMove::has_remains() const {
    return ground_.intent.current()->reported.find<ServiceNodeMove>(order_.node) != nullptr;
}

void NodeMove::look_after_remains() {
    job_.rest(relay_time);
    if (!job_.is_left()) forget();
}

void NodeMove::forget() {
    const auto erase = [&](model::Snapshot& reported) {
        return reported.erase<ServiceNodeMove>(order_.node);
    };
    if (Status gone = ground_.intent.report(erase, "move of service-node/" + order_.node); !gone)
        log::error("node-move.not_forgotten", {{"why", gone.error().text()}});
}

}  // namespace

MoveOrder move_of_node(NodeMoveOrder order) {
    model::Move record;
    record.subject = model::MoveSubject::service_node;
    record.object = order.node;
    record.to = order.to;
    record.patience_ms = static_cast<std::uint32_t>(order.patience.count());
    record.wait_frozen = order.wait_frozen;
    return {std::move(record), [order = std::move(order)](MoveGround& ground, MoveJob& job) {
                job.measure("frozen_ms", 0);
                for (const char* what : {"contexts", "renumbered", "lost"}) job.set(what, 0);
                job.be("starting");
                return std::make_unique<NodeMove>(ground, job, order);
            }};
}

MoveOrder resumed_move_of_node(const model::Move& record) {
    NodeMoveOrder order;
    order.node = record.object;
    order.to = record.to;
    order.wait_frozen = record.wait_frozen;
    order.patience = milliseconds(record.patience_ms);
    MoveOrder out = move_of_node(std::move(order));
    out.record = record;
    return out;
}

void forget_unrecorded_node_moves(Intent& intent) {
    const auto erase = [](model::Snapshot& reported) {
        std::vector<std::string> names;
        for (const auto& row : reported.all<ServiceNodeMove>())
            if (!reported.find<model::Move>(
                    model::move_name(model::MoveSubject::service_node, row.first)))
                names.push_back(row.first);
        for (const std::string& name : names) reported.erase<ServiceNodeMove>(name);
        return !names.empty();
    };
    if (Status done = intent.report(erase, "moves given up"); !done)
        log::error("node-move.not_forgotten", {{"why", done.error().text()}});
}

}  // namespace weir::controller
