#include <future>
#include <set>

#include "apps/controller/migration_job.hpp"
#include "base/log.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/core_resources.hpp"

namespace weir::controller {
namespace {

using model::Value;
using std::chrono::milliseconds;

constexpr milliseconds answer_patience{5'000};
constexpr milliseconds apply_patience{15'000};
constexpr milliseconds look_again{20};
constexpr std::uint64_t few_flows = 64;  // as many as a freeze may carry
constexpr std::uint64_t max_deltas = 10;

Value moving(const std::string& port) {
    Value question = Value::object();
    question.set("port", port);
    return question;
}

}  // namespace

double Migrations::Lead::ms_since(Clock::time_point then) const {
    return std::chrono::duration<double, std::milli>(Clock::now() - then).count();
}

Result<Value> Migrations::Lead::ask(const std::string& host, const char* what, Value question) {
    question.set("what", what);
    const auto answer = std::make_shared<std::promise<Result<Value>>>();
    all_.hosts_.query(host, question, answer_patience,
                      [answer](Result<Value> body) { answer->set_value(std::move(body)); });
    Result<Value> body = answer->get_future().get();
    if (!body) {
        Error error = body.error();
        if (error.object.find(host) == std::string::npos) error.object = "host/" + host;
        return error;
    }
    return body;
}

Result<Value> Migrations::Lead::ask(const std::string& host, const char* what) {
    return ask(host, what, moving(job_.order.port));
}

void Migrations::Lead::event(const char* type, const Status& status) {
    Value details = Value::object();
    details.set("port", job_.order.port);
    details.set("from", job_.from);
    details.set("to", job_.order.to);
    if (!status) details.set("why", status.error().text());
    if (is_there_) {
        details.set("flows", job_.flows);
        details.set("freeze_ms", job_.freeze_ms);
        details.set("passes", job_.passes);
    }
    all_.events_.add(type, job_.order.to, details);
    log::info(type, {{"port", job_.order.port}, {"to", job_.order.to}});
}

// Everything that can be known before anything is changed (spec §8.2, phase 1).
Status Migrations::Lead::check() {
    state_ = all_.intent_.current();
    const model::Snapshot& intent = state_->intent;
    const MoveOrder& order = job_.order;
    const std::string object = "port/" + order.port;
    const auto* port = intent.find<model::Port>(order.port);
    if (!port) return Error{Errc::not_found, object, {}, "there is no such port"};
    if (port->segment.name.empty())
        return Error{Errc::invalid, object, "segment", "only ports of guests move like this"};
    if (port->device.type == model::DeviceType::none)
        return Error{Errc::invalid, object, "device", "the port has none that could be opened"};
    const auto* from = intent.find(port->host);
    const auto* to = intent.find<model::Host>(order.to);
    if (!to) return Error{Errc::not_found, "host/" + order.to, {}, "there is no such host"};
    if (!from || from == to)
        return Error{Errc::invalid, object, "host", "the port is on " + order.to + " already"};
    {
        const std::lock_guard lock(job_.mutex);
        job_.from = from->name;
    }
    from_id_ = from->id;
    to_id_ = to->id;
    for (const std::string& host : {from->name, to->name})
        if (!all_.hosts_.is_connected(host))
            return Error{Errc::unavailable, "host/" + host, {}, "is not connected"};
    if (order.force) return {};
    if (to->underlay.type == model::DeviceType::none || to->tunnel_address.is_zero())
        return Error{Errc::invalid, "host/" + to->name, "underlay",
                     "has no tunnel endpoint: the port's flows could not reach other hosts"};
    const model::Snapshot planned = all_.hosts_.plan_if(order.to, order.port);
    if (Status segments = check_segments(planned); !segments) return segments;
    return check_first_hops(planned);
}

// Chains for which the port is an anchor there: their service segments must reach the host.
Status Migrations::Lead::check_segments(const model::Snapshot& planned) const {
    for (const auto& [name, chain] : planned.all<chain::ServiceChain>()) {
        const auto* segment = state_->intent.find(chain.service_segment);
        if (!segment || segment->hosts.empty()) continue;
        bool takes_part = false;
        for (const auto& host : segment->hosts) takes_part |= host.name == job_.order.to;
        if (!takes_part)
            return Error{Errc::conflict, "service-segment/" + segment->name, "hosts",
                         job_.order.to + " takes no part in it (SVNI " +
                             std::to_string(segment->svni) + "), and service-chain/" + name +
                             " is for this port; add the host, or use force"};
    }
    return {};
}

// A way from there to the first node of every path, in both directions.
Status Migrations::Lead::check_first_hops(const model::Snapshot& planned) {
    std::set<std::uint32_t> down;
    Value question = Value::object();
    const Result<Value> sessions = ask(job_.order.to, "bfd.sessions", question);
    if (sessions)
        for (const Value& row : (*sessions)["rows"].items())
            if (row["counts_as"].as_text() == "down")
                down.insert(static_cast<std::uint32_t>(row["host_id"].as_uint()));
    for (const auto& [name, path] : planned.all<chain::ServicePath>()) {
        for (const auto* hops : {&path.forward, &path.reverse}) {
            if (hops->empty() || hops->front().host == job_.order.to) continue;
            const chain::PathHop& first = hops->front();
            if (!state_->intent.find<model::Host>(first.host))
                return Error{Errc::conflict, "service-path/" + name, "hops",
                             "node " + first.node + " is on no host"};
            if (down.contains(first.host_id))
                return Error{Errc::unavailable, "service-path/" + name, "hops",
                             "host " + job_.order.to + " does not reach host " + first.host +
                                 " with node " + first.node + "; mend that, or use force"};
        }
    }
    return {};
}

// The destination gets the port's part of the plan, then the port itself, still closed.
Status Migrations::Lead::prepare() {
    const auto begun = Clock::now();
    job_.be("prepare");
    all_.hosts_.expect_arrival(job_.order.port, job_.order.to);
    is_prepared_ = true;
    while (!all_.hosts_.has_plan(job_.order.to)) {
        if (Status stopped = cancelled(); !stopped) return stopped;
        if (!all_.hosts_.is_connected(job_.order.to))
            return Error{Errc::unavailable, "host/" + job_.order.to, {}, "went away"};
        if (Clock::now() - begun > apply_patience)
            return Error{Errc::unavailable, "host/" + job_.order.to, {},
                         "did not apply the port's plan in time"};
        std::unique_lock lock(job_.mutex);
        job_.changed.wait_for(lock, look_again);
    }
    Value question = moving(job_.order.port);
    question.set("from_host", from_id_);
    const Result<Value> answer = ask(job_.order.to, "host-move-prepare", std::move(question));
    if (!answer) return answer.error();
    anchor_ = static_cast<std::uint32_t>((*answer)["anchor"].as_uint());
    const std::lock_guard lock(job_.mutex);
    job_.prepare_ms = ms_since(begun);
    return {};
}

// One pass from host to host, in pieces; where flows are there goes back.
Status Migrations::Lead::pass(bool delta) {
    const std::string& port = job_.order.port;
    std::uint64_t flows = 0;
    for (bool begin = true, done = false; !done; begin = false) {
        if (Status stopped = cancelled(); !stopped) return stopped;
        Value question = moving(port);
        question.set("begin", begin);
        question.set("delta", delta);
        const Result<Value> saved = ask(job_.from, "host-move-save", std::move(question));
        if (!saved) return saved.error();
        done = (*saved)["done"].as_bool();
        const Value& blobs = (*saved)["blobs"];
        if (blobs.items().empty()) continue;
        std::uint64_t bytes = 0;
        for (const Value& blob : blobs.items()) bytes += blob.as_text().size() / 4 * 3;
        Value load = moving(port);
        load.set("blobs", blobs);
        const Result<Value> loaded = ask(job_.order.to, "host-move-load", std::move(load));
        if (!loaded) return loaded.error();
        Value learn = moving(port);
        learn.set("handles", (*loaded)["handles"]);
        const Result<Value> learned = ask(job_.from, "host-move-handles", std::move(learn));
        if (!learned) return learned.error();
        flows += (*loaded)["flows"].as_uint();
        const std::lock_guard lock(job_.mutex);
        job_.bytes += bytes;
        job_.changed.notify_all();
    }
    const std::lock_guard lock(job_.mutex);
    ++job_.passes;
    job_.last_flows = flows;
    job_.flows += flows;
    job_.changed.notify_all();
    return {};
}

Status Migrations::Lead::precopy() {
    const auto begun = Clock::now();
    job_.be("precopy");
    if (Status first = pass(false); !first) return first;
    std::uint64_t before = ~std::uint64_t{0};
    // Until little is left, or passes do not get shorter.
    for (std::uint64_t i = 0; i < max_deltas && job_.last_flows > few_flows; ++i) {
        if (job_.last_flows >= before) break;
        before = job_.last_flows;
        if (Status next = pass(true); !next) return next;
    }
    const std::lock_guard lock(job_.mutex);
    job_.precopy_ms = ms_since(begun);
    return {};
}

Status Migrations::Lead::cancelled() {
    const std::lock_guard lock(job_.mutex);
    if (!job_.is_cancelled) return {};
    return Error{Errc::conflict, "port/" + job_.order.port, {}, "the move was cancelled"};
}

bool Migrations::Lead::was_told() {
    std::unique_lock lock(job_.mutex);
    job_.changed.wait_for(lock, milliseconds(200),
                          [&] { return job_.is_told || job_.is_cancelled; });
    return std::exchange(job_.is_told, false);
}

// Somebody outside pauses the guest now; meanwhile what changes follows.
Status Migrations::Lead::wait_ready() {
    if (!job_.order.wait_ready) return {};
    job_.be("ready");
    for (const auto until = Clock::now() + job_.order.patience; !was_told();) {
        if (Clock::now() > until)
            return Error{Errc::unavailable, "port/" + job_.order.port, {},
                         "nobody said that the guest is ready"};
        if (Status next = pass(true); !next) return next;
    }
    return pass(true);
}

Status Migrations::Lead::freeze() {
    is_frozen_ = true;  // from the question on: the answer may be lost
    frozen_at_ = Clock::now();
    const Result<Value> frozen = ask(job_.from, "host-move-freeze");
    if (!frozen) return frozen.error();
    event("migration.frozen");
    return {};
}

// Somebody outside moves the guest now.
Status Migrations::Lead::wait_frozen() {
    if (!job_.order.wait_frozen) return {};
    job_.be("frozen");
    for (const auto until = Clock::now() + job_.order.patience; !was_told();) {
        if (Status stopped = cancelled(); !stopped) return stopped;
        if (Clock::now() > until)
            return Error{Errc::unavailable, "port/" + job_.order.port, {},
                         "nobody said that the guest has moved"};
        const Result<Value> still = ask(job_.from, "host-move-hold");
        if (!still) return still.error();
    }
    return {};
}

// What is left, then the port is there; from then on there is no way back.
Status Migrations::Lead::hand_over() {
    job_.be("activate");
    if (Status last = pass(true); !last) return last;
    const Result<Value> active = ask(job_.order.to, "host-move-activate");
    if (!active) return active.error();
    is_there_ = true;
    {
        const std::lock_guard lock(job_.mutex);
        job_.freeze_ms = ms_since(frozen_at_);
    }
    Value question = moving(job_.order.port);
    question.set("to_host", to_id_);
    question.set("to_anchor", anchor_);
    question.set("stub_ms", static_cast<std::uint64_t>(job_.order.stub.count()));
    const Result<Value> sent = ask(job_.from, "host-move-forward", std::move(question));
    if (!sent) event("migration.no_stub", Status(sent.error()));  // it has moved all the same
    return {};
}

// The intent says where the port is now.
Status Migrations::Lead::conclude() {
    const auto* kind = all_.hosts_.registry().kind("port");
    const auto now = all_.intent_.current();
    if (!now->intent.find<model::Port>(job_.order.port))
        return Error{Errc::conflict, "port/" + job_.order.port, {}, "was deleted while it moved"};
    Value fields = kind->encode(now->intent, job_.order.port);
    fields.set("host", job_.order.to);
    ApplyOptions options;
    options.note = "move of port/" + job_.order.port;
    const Outcome outcome = all_.intent_.apply({{"port", std::move(fields)}}, options);
    all_.hosts_.forget_arrival(job_.order.port);
    if (outcome.ok()) return {};
    return outcome.errors.empty() ? Error{Errc::io, "store", {}, "did not take the port's new host"}
                                  : outcome.errors.front();
}

void Migrations::Lead::undo() {
    if (is_frozen_)
        if (const auto thawed = ask(job_.from, "host-move-thaw"); !thawed)
            log::warn("migration.undo", {{"why", thawed.error().text()}});
    if (!is_prepared_) return;
    if (const auto gone = ask(job_.order.to, "host-move-abandon"); !gone)
        log::info("migration.undo", {{"why", gone.error().text()}});
    all_.hosts_.forget_arrival(job_.order.port);
}

Status Migrations::Lead::steps() {
    if (Status fit = check(); !fit) return fit;
    if (job_.order.dry_run) return {};
    event("migration.started");
    using Step = Status (Lead::*)();
    for (const Step step : {&Lead::prepare, &Lead::precopy, &Lead::wait_ready, &Lead::freeze,
                            &Lead::wait_frozen, &Lead::hand_over, &Lead::conclude})
        if (Status done = (this->*step)(); !done) return done;
    return {};
}

void Migrations::Lead::run() {
    const Status done = steps();
    if (!done && !is_there_) undo();
    if (!job_.order.dry_run)
        event(done ? "migration.done" : "migration.failed", done);
    const std::lock_guard lock(job_.mutex);
    if (!done) job_.errors.push_back(done.error());
    job_.state = done ? "done" : "failed";
    job_.is_over = true;
    job_.changed.notify_all();
}

}  // namespace weir::controller
