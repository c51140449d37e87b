#include "apps/controller/moves.hpp"

#include <algorithm>
#include <vector>

#include "base/log.hpp"

namespace weir::controller {
namespace {

using model::Move;
using model::MoveOutcome;
using model::MoveSubject;
using model::Value;

constexpr std::size_t max_why_bytes = model::default_max_text_bytes;

std::string text(MoveSubject subject, const std::string& object) {
    return std::string(model::enum_name(subject)) + "/" + object;
}

// Of a sort, only the newest are remembered.
void forget_oldest(MoveSubject subject, model::Snapshot& reported) {
    std::vector<std::pair<std::string, std::string>> over;
    for (const auto& [name, move] : reported.all<Move>())
        if (move.subject == subject && move.outcome != MoveOutcome::under_way)
            over.emplace_back(move.ended, name);
    std::ranges::sort(over);
    for (std::size_t i = 0; i + Moves::max_moves < over.size(); ++i)
        reported.erase<Move>(over[i].second);
}

// What was refused before anything was changed leaves no record.
void conclude(MoveJob& job, const Status& status) {
    if (job.record().state.empty()) return;
    job.put([&](Move& record) {
        record.outcome = status ? MoveOutcome::done : MoveOutcome::failed;
        record.why = status ? std::string() : status.error().text().substr(0, max_why_bytes);
        record.ended = time_text();
    });
    const Status kept = job.keep(
        [&](model::Snapshot& reported) { forget_oldest(job.record().subject, reported); });
    if (!kept) log::error("move.not_kept", {{"why", kept.error().text()}});
}

}  // namespace

Moves::~Moves() {
    for (auto& [key, led] : moves_) {
        led.job->leave();
        if (led.thread.joinable()) led.thread.join();
    }
}

Moves::Led& Moves::add(MoveOrder order) {
    const Key key{order.record.subject, order.record.object};
    Led& led = moves_[key];
    led.job = std::make_unique<MoveJob>(*ground_, std::move(order.record));
    led.lead = order.lead(*ground_, *led.job);
    return led;
}

void Moves::recover(const Resume& resume) {
    const std::lock_guard lock(mutex_);
    const auto before = state();
    for (const auto& [name, record] : before->reported.all<Move>()) {
        Led& led = add(resume(record));
        if (record.outcome == MoveOutcome::under_way) {
            log::info("move.resumed", {{"what", led.job->text()}, {"state", record.state}});
            led.lead->prepare_resume();
            led.thread = std::thread([this, &led] { lead(led, true); });
        } else if (led.lead->has_remains()) {
            led.job->end(record.outcome == MoveOutcome::done
                             ? Status()
                             : Status(Error{Errc::unavailable, led.job->text(), {}, record.why}));
            led.thread = std::thread([this, &led] { look_after_remains(led); });
        } else {
            moves_.erase({record.subject, record.object});  // the record says it all
        }
    }
}

void Moves::look_after_remains(Led& led) {
    led.lead->look_after_remains();
    led.job->set_free();
}

void Moves::lead(Led& led, bool is_resumed) {
    MoveLead& lead = *led.lead;
    MoveJob& job = *led.job;
    const Status done = is_resumed ? lead.resume() : lead.steps();
    if (!done && job.is_left()) return job.set_free();
    if (!done) lead.undo();
    if (!lead.is_trial()) {
        lead.tell(done ? "done" : "failed", done);
        conclude(job, done);
    }
    job.end(done);
    if (lead.has_remains()) lead.look_after_remains();
    job.set_free();
}

// Only one move of it, few at once; those that are over make room.
Status Moves::make_room(const Key& key) {
    std::size_t running = 0, remembered = 0;
    std::vector<Key> free;
    for (const auto& [other, led] : moves_) {
        if (other.first != key.first) continue;
        ++remembered;
        running += !led.job->is_over();
        if (led.job->is_free()) free.push_back(other);
        else if (other == key)
            return Error{Errc::conflict, text(key.first, key.second), {},
                         led.job->is_over() ? "has just moved; again in some seconds"
                                            : "is being moved already"};
    }
    if (running >= max_at_once)
        return Error{Errc::limit, "moves", {},
                     "no more than " + std::to_string(max_at_once) + " at once"};
    for (const Key& over : free) {
        std::thread& ended = moves_[over].thread;
        if (ended.joinable()) ended.join();  // its stack goes; what became of it stays
        if (over != key && remembered < max_moves) continue;
        moves_.erase(over);
    }
    return {};
}

Status Moves::start(MoveOrder order) {
    const std::lock_guard lock(mutex_);
    const Key key{order.record.subject, order.record.object};
    if (Status room = make_room(key); !room) return room;
    order.record.name = model::move_name(key.first, key.second);
    order.record.started = time_text();
    Led& led = add(std::move(order));
    if (Status fit = led.lead->fit(); !fit) {
        moves_.erase(key);
        return fit;
    }
    led.thread = std::thread([this, &led] { lead(led, false); });
    return {};
}

Status Moves::go_on(Subject subject, const std::string& object) {
    const std::lock_guard lock(mutex_);
    const auto at = moves_.find({subject, object});
    if (at == moves_.end())
        return Error{Errc::not_found, text(subject, object), {}, "is not being moved"};
    return at->second.job->go_on();
}

Status Moves::cancel(Subject subject, const std::string& object) {
    const std::lock_guard lock(mutex_);
    const auto at = moves_.find({subject, object});
    if (at == moves_.end())
        return Error{Errc::not_found, text(subject, object), {}, "is not being moved"};
    return at->second.job->cancel();
}

Value Moves::status(Subject subject, const std::string& object) const {
    const std::lock_guard lock(mutex_);
    const auto at = moves_.find({subject, object});
    if (at != moves_.end()) return at->second.job->status();
    const auto now = state();
    const auto* record = now->reported.find<Move>(model::move_name(subject, object));
    return record ? status_of(*record) : Value();
}

Value Moves::list(Subject subject) const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, Value> found;
    const auto now = state();
    for (const auto& [name, record] : now->reported.all<Move>())
        if (record.subject == subject) found[record.object] = status_of(record);
    for (const auto& [key, led] : moves_)
        if (key.first == subject) found[key.second] = led.job->status();
    Value items = Value::array();
    for (auto& row : found) items.push(std::move(row.second));
    Value out = Value::object();
    out.set("items", std::move(items));
    return out;
}

}  // namespace weir::controller
