#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "apps/controller/migration.hpp"

namespace weir::controller {

// One move, as it stands. What is shared is behind `mutex`.
struct Migrations::Job {
    MoveOrder order;
    std::mutex mutex;
    std::condition_variable changed;
    std::string state = "precheck";
    std::string from;
    std::vector<Error> errors;
    std::uint64_t flows = 0, bytes = 0, passes = 0, last_flows = 0;
    double prepare_ms = 0, precopy_ms = 0, freeze_ms = 0;
    bool is_told = false, is_cancelled = false, is_over = false;
    std::thread thread;

    void be(const std::string& now) {
        const std::lock_guard lock(mutex);
        state = now;
        changed.notify_all();
    }
};

// Leads one move through its steps, on a thread of its own.
class Migrations::Lead {
public:
    Lead(Migrations& all, Job& job) : all_(all), job_(job) {}
    void run();

private:
    using Clock = std::chrono::steady_clock;

    Status steps();
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
    Status conclude();
    void undo();
    // Asks the host; its "error" is one here.
    Result<model::Value> ask(const std::string& host, const char* what, model::Value question);
    Result<model::Value> ask(const std::string& host, const char* what);
    bool was_told();
    Status cancelled();
    void event(const char* type, const Status& status = {});
    double ms_since(Clock::time_point then) const;

    Migrations& all_;
    Job& job_;
    std::shared_ptr<const State> state_;
    std::uint32_t from_id_ = 0, to_id_ = 0, anchor_ = 0;
    bool is_prepared_ = false, is_frozen_ = false, is_there_ = false;
    Clock::time_point frozen_at_;
};

}  // namespace weir::controller
