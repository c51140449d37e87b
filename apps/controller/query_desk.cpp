#include "apps/controller/query_desk.hpp"

#include <algorithm>

namespace weir::controller {

QueryDesk::QueryDesk() : thread_([this] { watch_deadlines(); }) {}

QueryDesk::~QueryDesk() {
    std::map<std::uint64_t, Question> left;
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
        left.swap(questions_);
        changed_.notify_all();
    }
    thread_.join();
    for (auto& [id, question] : left) {
        question.answer(Error{Errc::unavailable, "controller", {}, "the controller stops"});
    }
}

std::uint64_t QueryDesk::open(std::string host, std::chrono::milliseconds timeout,
                              QueryAnswer answer) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t id = next_id_++;
    questions_.emplace(id, Question{std::move(host), Clock::now() + timeout, std::move(answer)});
    changed_.notify_all();
    return id;
}

void QueryDesk::close(std::uint64_t id, const std::string& host, Result<model::Value> body) {
    QueryAnswer answer;
    {
        const std::lock_guard lock(mutex_);
        const auto found = questions_.find(id);
        if (found == questions_.end() || found->second.host != host) return;
        answer = std::move(found->second.answer);
        questions_.erase(found);
    }
    answer(std::move(body));
}

std::map<std::uint64_t, QueryDesk::Question> QueryDesk::take_if(
    const std::function<bool(const Question&)>& wanted) {
    std::map<std::uint64_t, Question> taken;
    for (auto at = questions_.begin(); at != questions_.end();) {
        const auto here = at++;
        if (wanted(here->second)) taken.insert(questions_.extract(here));
    }
    return taken;
}

void QueryDesk::close_all(const std::string& host, const Error& why) {
    std::map<std::uint64_t, Question> gone;
    {
        const std::lock_guard lock(mutex_);
        gone = take_if([&](const Question& question) { return question.host == host; });
    }
    for (auto& [id, question] : gone) question.answer(why);
}

void QueryDesk::watch_deadlines() {
    std::unique_lock lock(mutex_);
    while (!is_ending_) {
        const auto now = Clock::now();
        auto late = take_if([&](const Question& question) { return question.deadline <= now; });
        if (!late.empty()) {
            lock.unlock();
            for (auto& [id, question] : late) {
                question.answer(Error{Errc::unavailable, "host/" + question.host, "timeout",
                                      "did not answer in time"});
            }
            lock.lock();
            continue;
        }
        auto next = Clock::time_point::max();
        for (const auto& [id, question] : questions_) next = std::min(next, question.deadline);
        if (questions_.empty()) {
            changed_.wait(lock);
        } else {
            changed_.wait_until(lock, next);
        }
    }
}

}  // namespace weir::controller
