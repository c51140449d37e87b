#include "apps/controller/migration.hpp"

#include <algorithm>
#include <utility>

#include "apps/controller/migration_job.hpp"

namespace weir::controller {
namespace {

using model::Value;

Error no_move(const std::string& port) {
    return {Errc::not_found, "port/" + port, {}, "is not being moved"};
}

}  // namespace

Migrations::~Migrations() {
    for (auto& [port, job] : jobs_) {
        {
            const std::lock_guard lock(job->mutex);
            job->is_cancelled = true;
            job->changed.notify_all();
        }
        if (job->thread.joinable()) job->thread.join();
    }
}

std::shared_ptr<Migrations::Job> Migrations::find(const std::string& port) const {
    const std::lock_guard lock(mutex_);
    const auto at = jobs_.find(port);
    return at == jobs_.end() ? nullptr : at->second;
}

Status Migrations::start(MoveOrder order) {
    const std::lock_guard lock(mutex_);
    std::size_t running = 0;
    std::vector<std::string> over;
    for (const auto& [port, job] : jobs_) {
        const std::lock_guard job_lock(job->mutex);
        running += !job->is_over;
        if (job->is_over) over.push_back(port);
        else if (port == order.port)
            return Error{Errc::conflict, "port/" + port, {}, "is being moved already"};
    }
    if (running >= max_at_once)
        return Error{Errc::limit, "moves", {},
                     "no more than " + std::to_string(max_at_once) + " at once"};
    for (const std::string& port : over) {
        if (port != order.port && jobs_.size() < max_moves) continue;
        jobs_[port]->thread.join();
        jobs_.erase(port);
    }
    auto job = std::make_shared<Job>();
    job->order = std::move(order);
    jobs_[job->order.port] = job;
    job->thread = std::thread([this, job = job.get()] { Lead(*this, *job).run(); });
    return {};
}

Status Migrations::go_on(const std::string& port) {
    const auto job = find(port);
    if (!job) return no_move(port);
    const std::lock_guard lock(job->mutex);
    if (job->state != "ready" && job->state != "frozen")
        return Error{Errc::conflict, "port/" + port, {},
                     "its move waits for nobody: " + job->state};
    job->is_told = true;
    job->state += ", going on";
    job->changed.notify_all();
    return {};
}

Status Migrations::cancel(const std::string& port) {
    const auto job = find(port);
    if (!job) return no_move(port);
    const std::lock_guard lock(job->mutex);
    if (job->is_over)
        return Error{Errc::conflict, "port/" + port, {}, "its move is over: " + job->state};
    job->is_cancelled = true;
    job->changed.notify_all();
    return {};
}

Value Migrations::status(const std::string& port) const {
    const auto job = find(port);
    if (!job) return {};
    const std::lock_guard lock(job->mutex);
    Value out = Value::object();
    out.set("port", port);
    out.set("from", job->from);
    out.set("to", job->order.to);
    out.set("state", job->state);
    out.set("over", job->is_over);
    out.set("passes", job->passes);
    out.set("flows", job->flows);
    out.set("last_flows", job->last_flows);
    out.set("bytes", job->bytes);
    out.set("prepare_ms", job->prepare_ms);
    out.set("precopy_ms", job->precopy_ms);
    out.set("freeze_ms", job->freeze_ms);
    Value& errors = out.set("errors", Value::array());
    for (const Error& error : job->errors) {
        Value& one = errors.push(Value::object());
        one.set("object", error.object);
        one.set("field", error.field);
        one.set("message", error.message);
    }
    return out;
}

}  // namespace weir::controller
