#include "apps/controller/port_move.hpp"

#include <set>
#include <utility>

#include "base/log.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/core_resources.hpp"

namespace weir::controller {
namespace {

using model::Value;
using std::chrono::milliseconds;

constexpr milliseconds apply_patience{15'000};
constexpr milliseconds look_again{20}, look_round{200};
constexpr std::uint64_t few_flows = 64;  // as many as a freeze may carry
constexpr std::uint64_t max_deltas = 10;
constexpr int store_tries = 150;  // half a minute

Value moving(const std::string& port) {
    Value question = Value::object();
    question.set("port", port);
    return question;
}

class PortMove final : public MoveLead {
public:
    PortMove(MoveGround& ground, MoveJob& job, PortMoveOrder order)
        : MoveLead(ground, job), order_(std::move(order)) {}

    Status steps() override;
    Status resume() override;
    void undo() override;
    bool is_trial() const override { return order_.dry_run; }
    void prepare_resume() override { ground_.expect_arrival(order_.port, order_.to); }
    std::string event_name() const override { return "migration"; }
    void describe(Value& details) const override;

private:
    using Time = MoveGround::Time;

    Status check();
    Status check_segments(const model::Snapshot& planned) const;
    Status check_first_hops(const model::Snapshot& planned);
    Status prepare();
    Status precopy();
    Status pass(bool delta);
    Status wait_ready();
    Status freeze();
    Status wait_frozen();
    Status hand_over();
    Status activate();
    bool freeze_again();
    void send_on();
    Status conclude();
    Status say_where(bool dry_run) const;
    Status find_hosts();
    Status await_connected(const std::string& host);
    Result<Value> ask(const std::string& host, const char* what, Value question);
    Result<Value> ask(const std::string& host, const char* what);
    double ms_since(Time then) const;

    const PortMoveOrder order_;
    std::shared_ptr<const State> state_;
    std::string from_;
    std::uint32_t from_id_ = 0, to_id_ = 0, anchor_ = 0;
    bool is_prepared_ = false, is_saved_ = false, is_there_ = false;
    Time frozen_at_;
};

double PortMove::ms_since(Time then) const {
    return std::chrono::duration<double, std::milli>(ground_.now() - then).count();
}

Result<Value> PortMove::ask(const std::string& host, const char* what, Value question) {
    question.set("what", what);
    return ground_.ask(host, std::move(question));
}

Result<Value> PortMove::ask(const std::string& host, const char* what) {
    return ask(host, what, moving(order_.port));
}

void PortMove::describe(Value& details) const {
    if (!is_there_) return;
    const Value status = job_.status();
    for (const char* what : {"flows", "freeze_ms", "passes"}) details.set(what, status[what]);
}

// Everything that can be known before anything is changed (spec §8.2, phase 1).
Status PortMove::check() {
    state_ = ground_.intent.current();
    const model::Snapshot& intent = state_->intent;
    const std::string object = "port/" + order_.port;
    const auto* port = intent.find<model::Port>(order_.port);
    if (!port) return Error{Errc::not_found, object, {}, "there is no such port"};
    if (port->segment.name.empty())
        return Error{Errc::invalid, object, "segment", "only ports of guests move like this"};
    if (port->device.type == model::DeviceType::none)
        return Error{Errc::invalid, object, "device", "the port has none that could be opened"};
    const auto* from = intent.find(port->host);
    const auto* to = intent.find<model::Host>(order_.to);
    if (!to) return Error{Errc::not_found, "host/" + order_.to, {}, "there is no such host"};
    if (!from || from == to)
        return Error{Errc::invalid, object, "host", "the port is on " + order_.to + " already"};
    from_ = from->name;
    from_id_ = from->id;
    to_id_ = to->id;
    job_.put([&](model::Move& record) { record.from = from_; });
    for (const std::string& host : {from->name, to->name})
        if (!ground_.is_connected(host))
            return Error{Errc::unavailable, "host/" + host, {}, "is not connected"};
    if (Status would = say_where(true); !would) return would;  // as the last step will
    if (order_.force) return {};
    if (to->underlay.type == model::DeviceType::none || to->tunnel_address.is_zero())
        return Error{Errc::invalid, "host/" + to->name, "underlay",
                     "has no tunnel endpoint: the port's flows could not reach other hosts"};
    const model::Snapshot planned = ground_.plan_if(order_.to, order_.port);
    if (Status segments = check_segments(planned); !segments) return segments;
    return check_first_hops(planned);
}

// Chains for which the port is an anchor there: their service segments must reach the host.
Status PortMove::check_segments(const model::Snapshot& planned) const {
    for (const auto& [name, chain] : planned.all<chain::ServiceChain>()) {
        const auto* segment = state_->intent.find(chain.service_segment);
        if (!segment || segment->hosts.empty()) continue;
        bool takes_part = false;
        for (const auto& host : segment->hosts) takes_part |= host.name == order_.to;
        if (!takes_part)
            return Error{Errc::conflict, "service-segment/" + segment->name, "hosts",
                         order_.to + " takes no part in it (SVNI " +
                             std::to_string(segment->svni) + "), and service-chain/" + name +
                             " is for this port; add the host, or use force"};
    }
    return {};
}

// A way from there to the first node of every path, in both directions.
Status PortMove::check_first_hops(const model::Snapshot& planned) {
    std::set<std::uint32_t> down;
    Value question = Value::object();
    const Result<Value> sessions = ask(order_.to, "bfd.sessions", question);
    if (sessions)
        for (const Value& row : (*sessions)["rows"].items())
            if (row["counts_as"].as_text() == "down")
                down.insert(static_cast<std::uint32_t>(row["host_id"].as_uint()));
    for (const auto& [name, path] : planned.all<chain::ServicePath>()) {
        for (const auto* hops : {&path.forward, &path.reverse}) {
            if (hops->empty() || hops->front().host == order_.to) continue;
            const chain::PathHop& first = hops->front();
            if (!state_->intent.find<model::Host>(first.host))
                return Error{Errc::conflict, "service-path/" + name, "hops",
                             "node " + first.node + " is on no host"};
            if (down.contains(first.host_id))
                return Error{Errc::unavailable, "service-path/" + name, "hops",
                             "host " + order_.to + " does not reach host " + first.host +
                                 " with node " + first.node + "; mend that, or use force"};
        }
    }
    return {};
}

// The destination gets the port's part of the plan, then the port itself, still closed.
Status PortMove::prepare() {
    const auto begun = ground_.now();
    job_.be("prepare");
    ground_.expect_arrival(order_.port, order_.to);
    is_prepared_ = true;
    for (;;) {
        const Result<bool> has_plan = ground_.has_plan(order_.to);
        if (!has_plan) return has_plan.error();
        if (*has_plan) break;
        if (Status stopped = job_.stopped(); !stopped) return stopped;
        if (!ground_.is_connected(order_.to))
            return Error{Errc::unavailable, "host/" + order_.to, {}, "went away"};
        if (ground_.now() - begun > apply_patience)
            return Error{Errc::unavailable, "host/" + order_.to, {},
                         "did not apply the port's plan in time: " +
                             ground_.why_late(order_.to)};
        job_.rest(look_again);
    }
    Value question = moving(order_.port);
    question.set("from_host", from_id_);
    const Result<Value> answer = ask(order_.to, "host-move-prepare", std::move(question));
    if (!answer) return answer.error();
    anchor_ = static_cast<std::uint32_t>((*answer)["anchor"].as_uint());
    job_.measure("prepare_ms", ms_since(begun));
    job_.put([&](model::Move& record) { record.anchor = anchor_; });
    return job_.keep_as("precopy");  // now, not while the port is frozen
}

// One pass from host to host, in pieces; where flows are there goes back.
Status PortMove::pass(bool delta) {
    const std::string& port = order_.port;
    std::uint64_t flows = 0;
    is_saved_ = true;  // from the first question on: the answer may be lost
    for (bool begin = true, done = false; !done; begin = false) {
        if (Status stopped = job_.stopped(); !stopped) return stopped;
        Value question = moving(port);
        question.set("begin", begin);
        question.set("delta", delta);
        const Result<Value> saved = ask(from_, "host-move-save", std::move(question));
        if (!saved) return saved.error();
        done = (*saved)["done"].as_bool();
        const Value& blobs = (*saved)["blobs"];
        if (blobs.items().empty()) continue;
        std::uint64_t bytes = 0;
        for (const Value& blob : blobs.items()) bytes += blob.as_text().size() / 4 * 3;
        Value load = moving(port);
        load.set("blobs", blobs);
        const Result<Value> loaded = ask(order_.to, "host-move-load", std::move(load));
        if (!loaded) return loaded.error();
        Value learn = moving(port);
        learn.set("handles", (*loaded)["handles"]);
        const Result<Value> learned = ask(from_, "host-move-handles", std::move(learn));
        if (!learned) return learned.error();
        flows += (*loaded)["flows"].as_uint();
        job_.count("bytes", bytes);
    }
    job_.count("passes", 1);
    job_.set("last_flows", flows);
    job_.count("flows", flows);
    return {};
}

Status PortMove::precopy() {
    const auto begun = ground_.now();
    job_.be("precopy");
    if (Status first = pass(false); !first) return first;
    std::uint64_t before = ~std::uint64_t{0};
    // Until little is left, or passes do not get shorter.
    for (std::uint64_t i = 0; i < max_deltas; ++i) {
        const std::uint64_t last = job_.counted("last_flows");
        if (last <= few_flows || last >= before) break;
        before = last;
        if (Status next = pass(true); !next) return next;
    }
    job_.measure("precopy_ms", ms_since(begun));
    return {};
}

// Somebody outside pauses the guest now; meanwhile what changes follows.
Status PortMove::wait_ready() {
    if (!order_.wait_ready) return {};
    job_.wait_as("ready");
    for (const auto until = ground_.now() + order_.patience; !job_.was_told(look_round);) {
        if (ground_.now() > until)
            return Error{Errc::unavailable, "port/" + order_.port, {},
                         "nobody said that the guest is ready"};
        if (Status next = pass(true); !next) return next;
    }
    return pass(true);
}

Status PortMove::freeze() {
    frozen_at_ = ground_.now();
    const Result<Value> frozen = ask(from_, "host-move-freeze");
    if (!frozen) return frozen.error();
    tell("frozen");
    return {};
}

// Somebody outside moves the guest now.
Status PortMove::wait_frozen() {
    if (!order_.wait_frozen) return {};
    job_.wait_as("frozen");
    for (const auto until = ground_.now() + order_.patience; !job_.was_told(look_round);) {
        if (Status stopped = job_.stopped(); !stopped) return stopped;
        if (ground_.now() > until)
            return Error{Errc::unavailable, "port/" + order_.port, {},
                         "nobody said that the guest has moved"};
        const Result<Value> still = ask(from_, "host-move-hold");
        if (!still) return still.error();
    }
    return {};
}

// What is left, then the port is there; from then on there is no way back.
Status PortMove::hand_over() {
    job_.be("activate");
    if (Status last = pass(true); !last) return last;
    if (Status wanted = job_.commit(); !wanted) return wanted;
    if (Status active = activate(); !active) return active;
    is_there_ = true;
    const double ms = ms_since(frozen_at_);
    job_.measure("freeze_ms", ms);
    job_.put([&](model::Move& record) { record.frozen_ms = static_cast<std::uint32_t>(ms); });
    send_on();
    return {};
}

// An answer that is lost says nothing: the destination knows whether the port is there.
Status PortMove::activate() {
    const Result<Value> active = ask(order_.to, "host-move-activate");
    if (active || active.error().code != Errc::unavailable)
        return active ? Status() : Status(active.error());
    if (Status back = await_connected(order_.to); !back) return active.error();
    const Result<Value> found = ask(order_.to, "host-move-state");
    if (!found || (*found)["state"].as_text() != "here") return active.error();
    freeze_again();
    return {};
}

// The old host may have waited too long and gone on with the port, while the guest is elsewhere.
bool PortMove::freeze_again() {
    return ask(from_, "host-move-freeze").ok();
}

void PortMove::send_on() {
    Value question = moving(order_.port);
    question.set("to_host", to_id_);
    question.set("to_anchor", anchor_);
    question.set("stub_ms", static_cast<std::uint64_t>(order_.stub.count()));
    const Result<Value> sent = ask(from_, "host-move-forward", std::move(question));
    if (!sent) tell("no_stub", Status(sent.error()));  // it has moved all the same
}

// The intent says where the port is now. A store that takes nothing is asked again for a while; if
// it will not, the port stays where it is all the same, and both hosts know that.
Status PortMove::conclude() {
    Status said = say_where(false);
    for (int i = 0; i < store_tries && !said && said.error().code == Errc::io; ++i) {
        if (job_.is_left()) return said;
        job_.rest(look_round);
        said = say_where(false);
    }
    if (said || said.error().code == Errc::not_found) {
        ground_.forget_arrival(order_.port);
        return said;
    }
    Error why = said.error();
    why.message += "; the port works on " + order_.to + ", but the intent says " + from_ +
                   " still: apply it with host: " + order_.to;
    return why;
}

Status PortMove::say_where(bool dry_run) const {
    const auto say = [this](model::Snapshot& intent) -> Status {
        const auto* found = intent.find<model::Port>(order_.port);
        if (!found)
            return Error{Errc::not_found, "port/" + order_.port, {}, "was deleted while it moved"};
        model::Port port = *found;
        port.host = order_.to;
        intent.put(std::move(port));
        return {};
    };
    ApplyOptions options;
    options.note = "move of port/" + order_.port;
    options.dry_run = dry_run;
    return ground_.intent.edit(say, options).status();
}

void PortMove::undo() {
    if (is_there_) return;
    if (is_saved_)
        if (const auto thawed = ask(from_, "host-move-thaw"); !thawed)
            log::warn("migration.undo", {{"why", thawed.error().text()}});
    if (!is_prepared_) return;
    if (const auto gone = ask(order_.to, "host-move-abandon"); !gone)
        log::info("migration.undo", {{"why", gone.error().text()}});
    ground_.forget_arrival(order_.port);
}

Status PortMove::steps() {
    if (Status fit = check(); !fit) return fit;
    if (order_.dry_run) return {};
    tell("started");
    if (Status kept = job_.keep_as("prepare"); !kept) return kept;
    using Step = Status (PortMove::*)();
    for (const Step step :
         {&PortMove::prepare, &PortMove::precopy, &PortMove::wait_ready, &PortMove::freeze,
          &PortMove::wait_frozen, &PortMove::hand_over, &PortMove::conclude})
        if (Status done = (this->*step)(); !done) return done;
    return {};
}

Status PortMove::await_connected(const std::string& host) {
    for (const auto until = ground_.now() + order_.patience; !ground_.is_connected(host);) {
        if (Status stopped = job_.stopped(); !stopped) return stopped;
        if (ground_.now() > until)
            return Error{Errc::unavailable, "host/" + host, {}, "is not connected"};
        job_.rest(look_again);
    }
    return {};
}

// Only the destination knows whether the port was activated there. If so, its old host may have
// waited too long and gone on with it: it is frozen there again, as the machine is elsewhere.
Status PortMove::resume() {
    const model::Move record = job_.record();
    job_.be("resuming");
    from_ = record.from;
    anchor_ = record.anchor;
    const auto intent = ground_.intent.current();
    const auto* port = intent->intent.find<model::Port>(order_.port);
    if (port && port->host.name == order_.to) {
        ground_.forget_arrival(order_.port);
        is_there_ = true;
        return {};
    }
    is_prepared_ = is_saved_ = true;  // perhaps
    const Error ended{Errc::unavailable, "port/" + order_.port, {},
                      "its controller ended in the middle of the move (" + record.state + ")"};
    if (const auto* to = intent->intent.find<model::Host>(order_.to)) to_id_ = to->id;
    if (Status there = await_connected(order_.to); !there) return there;
    const Result<Value> found = ask(order_.to, "host-move-state");
    if (!found) return found.error();
    if (Status there = await_connected(from_); !there && (*found)["state"].as_text() != "here")
        return there;
    if ((*found)["state"].as_text() != "here") return ended;
    is_there_ = true;
    job_.commit_regardless();
    if (freeze_again()) send_on();
    return conclude();
}

}  // namespace

MoveOrder move_of_port(PortMoveOrder order) {
    model::Move record;
    record.subject = model::MoveSubject::port;
    record.object = order.port;
    record.to = order.to;
    record.patience_ms = static_cast<std::uint32_t>(order.patience.count());
    record.stub_ms = static_cast<std::uint32_t>(order.stub.count());
    return {std::move(record), [order = std::move(order)](MoveGround& ground, MoveJob& job) {
                for (const char* what : {"passes", "flows", "last_flows", "bytes"})
                    job.set(what, 0);
                for (const char* what : {"prepare_ms", "precopy_ms", "freeze_ms"})
                    job.measure(what, 0);
                job.be("precheck");
                return std::make_unique<PortMove>(ground, job, order);
            }};
}

MoveOrder resumed_move_of_port(const model::Move& record) {
    PortMoveOrder order;
    order.port = record.object;
    order.to = record.to;
    order.patience = milliseconds(record.patience_ms);
    order.stub = milliseconds(record.stub_ms);
    MoveOrder out = move_of_port(std::move(order));
    out.record = record;
    return out;
}

}  // namespace weir::controller
