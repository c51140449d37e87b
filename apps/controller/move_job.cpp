#include "apps/controller/move_job.hpp"

#include <utility>

#include "base/log.hpp"

namespace weir::controller {
namespace {

using model::Move;
using model::MoveOutcome;
using model::MoveSubject;
using model::Value;

const char* key_of(MoveSubject subject) {
    return subject == MoveSubject::port ? "port" : "node";
}

Value head(const Move& record, const std::string& state, bool is_over) {
    Value out = Value::object();
    out.set(key_of(record.subject), record.object);
    out.set("from", record.from);
    out.set("to", record.to);
    out.set("state", state);
    out.set("over", is_over);
    return out;
}

}  // namespace

std::string MoveJob::text() const {
    return std::string(model::enum_name(record_.subject)) + "/" + record_.object;
}

Error MoveJob::error(Errc code, std::string why) const {
    return {code, text(), {}, std::move(why)};
}

void MoveJob::be(const std::string& state) {
    const std::lock_guard lock(mutex_);
    state_ = state;
    is_waiting_ = false;
    changed_.notify_all();
}

void MoveJob::wait_as(const std::string& state) {
    const std::lock_guard lock(mutex_);
    state_ = state;
    is_waiting_ = true;
    changed_.notify_all();
}

void MoveJob::put(const std::function<void(Move&)>& edit) {
    const std::lock_guard lock(mutex_);
    edit(record_);
}

void MoveJob::measure(const char* what, double ms) {
    const std::lock_guard lock(mutex_);
    progress_.set(what, ms);
}

void MoveJob::set(const char* what, std::uint64_t now) {
    const std::lock_guard lock(mutex_);
    progress_.set(what, now);
    changed_.notify_all();
}

void MoveJob::count(const char* what, std::uint64_t more) {
    const std::lock_guard lock(mutex_);
    progress_.set(what, progress_[what].as_uint() + more);
    changed_.notify_all();
}

std::uint64_t MoveJob::counted(const char* what) const {
    const std::lock_guard lock(mutex_);
    return progress_[what].as_uint();
}

Move MoveJob::record() const {
    const std::lock_guard lock(mutex_);
    return record_;
}

Status MoveJob::keep(const Edit& also) {
    const Move now = record();
    const auto report = [&](model::Snapshot& reported) {
        reported.put(now);
        if (also) also(reported);
        return true;
    };
    return ground_.intent.report(report, "move of " + text());
}

Status MoveJob::keep_as(const std::string& state, const Edit& also) {
    put([&](Move& record) { record.state = state; });
    return keep(also);
}

void MoveJob::end(const Status& status) {
    const std::lock_guard lock(mutex_);
    if (!status) errors_.push_back(status.error());
    state_ = status ? "done" : "failed";
    is_over_ = is_final_ = true;
    is_waiting_ = false;
    changed_.notify_all();
}

Status MoveJob::stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_now();
}

// Under the lock.
Status MoveJob::stopped_now() const {
    if (is_left_) return error(Errc::unavailable, "the controller ends");
    if (is_cancelled_) return error(Errc::conflict, "the move was cancelled");
    return {};
}

Status MoveJob::commit() {
    const std::lock_guard lock(mutex_);
    if (Status wanted = stopped_now(); !wanted) return wanted;
    is_final_ = true;
    return {};
}

void MoveJob::commit_regardless() {
    const std::lock_guard lock(mutex_);
    is_cancelled_ = false;
    is_final_ = true;
}

bool MoveJob::was_told(std::chrono::milliseconds within) {
    std::unique_lock lock(mutex_);
    ground_.rest(lock, changed_, within,
                 [&] { return is_told_ || is_cancelled_ || is_left_; });
    return std::exchange(is_told_, false);
}

void MoveJob::rest(std::chrono::milliseconds span) {
    std::unique_lock lock(mutex_);
    ground_.rest(lock, changed_, span, [&] { return (is_cancelled_ && !is_final_) || is_left_; });
}

Status MoveJob::go_on() {
    const std::lock_guard lock(mutex_);
    if (!is_waiting_) return error(Errc::conflict, "its move waits for nobody: " + state_);
    is_waiting_ = false;
    is_told_ = true;
    state_ += ", going on";
    changed_.notify_all();
    return {};
}

Status MoveJob::cancel() {
    const std::lock_guard lock(mutex_);
    if (is_over_) return error(Errc::conflict, "its move is over: " + state_);
    if (is_final_) return error(Errc::conflict, "it has moved: there is no way back");
    is_cancelled_ = true;
    changed_.notify_all();
    return {};
}

void MoveJob::leave() {
    const std::lock_guard lock(mutex_);
    is_left_ = true;
    changed_.notify_all();
}

bool MoveJob::is_left() const {
    const std::lock_guard lock(mutex_);
    return is_left_;
}

bool MoveJob::is_over() const {
    const std::lock_guard lock(mutex_);
    return is_over_;
}

bool MoveJob::is_free() const {
    const std::lock_guard lock(mutex_);
    return is_free_;
}

void MoveJob::set_free() {
    const std::lock_guard lock(mutex_);
    is_free_ = true;
    changed_.notify_all();
}

Value MoveJob::status() const {
    const std::lock_guard lock(mutex_);
    Value out = head(record_, state_, is_over_);
    for (const Value::Member& member : progress_.members()) out.set(member.key, member.value);
    Value& errors = out.set("errors", Value::array());
    for (const Error& error : errors_) {
        Value& one = errors.push(Value::object());
        one.set("object", error.object);
        one.set("field", error.field);
        one.set("message", error.message);
    }
    return out;
}

Value status_of(const Move& record) {
    Value out = head(record, std::string(model::enum_name(record.outcome)),
                     record.outcome != MoveOutcome::under_way);
    out.set(record.subject == MoveSubject::port ? "freeze_ms" : "frozen_ms", record.frozen_ms);
    out.set("started", record.started);
    out.set("ended", record.ended);
    Value& errors = out.set("errors", Value::array());
    if (!record.why.empty()) errors.push(Value::object()).set("message", record.why);
    return out;
}

void MoveLead::tell(const std::string& what, const Status& status) {
    const std::string type = event_name() + "." + what;
    const Move record = job_.record();
    Value details = Value::object();
    details.set(key_of(record.subject), record.object);
    details.set("from", record.from);
    details.set("to", record.to);
    if (!status) details.set("why", status.error().text());
    describe(details);
    ground_.events.add(type, record.to, details);
    log::info(type, {{key_of(record.subject), record.object}, {"to", record.to}});
}

}  // namespace weir::controller
