#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.hpp"
#include "model/value.hpp"

namespace weir::controller {

using QueryAnswer = std::function<void(Result<model::Value>)>;

// Questions to hosts that wait for their answer. Every question is answered exactly once: by the
// host, by its going away, by the deadline, or by the end of the desk.
class QueryDesk {
public:
    QueryDesk();
    ~QueryDesk();
    QueryDesk(const QueryDesk&) = delete;
    QueryDesk& operator=(const QueryDesk&) = delete;

    std::uint64_t open(std::string host, std::chrono::milliseconds timeout, QueryAnswer answer);
    // Ignored if no question of this id waits for this host.
    void close(std::uint64_t id, const std::string& host, Result<model::Value> body);
    void close_all(const std::string& host, const Error& why);

private:
    using Clock = std::chrono::steady_clock;
    struct Question {
        std::string host;
        Clock::time_point deadline;
        QueryAnswer answer;
    };
    void watch_deadlines();
    std::map<std::uint64_t, Question> take_if(const std::function<bool(const Question&)>& wanted);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::uint64_t, Question> questions_;
    std::uint64_t next_id_ = 1;
    bool is_ending_ = false;
    std::thread thread_;
};

}  // namespace weir::controller
