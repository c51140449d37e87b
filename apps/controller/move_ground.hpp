#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "apps/controller/event_log.hpp"
#include "apps/controller/host_table.hpp"
#include "apps/controller/intent.hpp"
#include "base/result.hpp"
#include "model/value.hpp"

namespace weir::controller {

// What whoever leads a move stands on: what is wanted, the hosts, and time. Thread-safe.
class MoveGround {
public:
    using Time = std::chrono::steady_clock::time_point;
    using Span = std::chrono::milliseconds;

    MoveGround(const model::Registry& kinds, Intent& wanted, EventLog& log)
        : registry(kinds), intent(wanted), events(log) {}
    virtual ~MoveGround() = default;

    // Waits for the host's answer, for some seconds at most; what it calls an error is one here.
    virtual Result<model::Value> ask(const std::string& host, model::Value question) = 0;
    virtual bool is_connected(const std::string& host) const = 0;
    // Whether the host runs its part of this revision or a later one, nothing held back. Errors: it
    // will not, as it refused it.
    virtual Result<bool> runs(const std::string& host, std::uint64_t revision) const = 0;
    // As to the newest revision, expected arrivals included.
    virtual Result<bool> has_plan(const std::string& host) const = 0;
    // Why it does not yet, for people.
    virtual std::string why_late(const std::string& host) const = 0;
    virtual void expect_arrival(const std::string& port, const std::string& host) = 0;
    virtual void forget_arrival(const std::string& port) = 0;
    virtual model::Snapshot plan_if(const std::string& host, const std::string& port) const = 0;

    virtual Time now() const = 0;
    // Until `is_enough`, which `changed` announces, but no longer than `span`.
    virtual void rest(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                      Span span, const std::function<bool()>& is_enough) = 0;

    const model::Registry& registry;
    Intent& intent;
    EventLog& events;
};

// The one that is real.
class HostGround : public MoveGround {
public:
    HostGround(Intent& wanted, HostTable& hosts, EventLog& log)
        : MoveGround(hosts.registry(), wanted, log), hosts_(hosts) {}

    Result<model::Value> ask(const std::string& host, model::Value question) override;
    bool is_connected(const std::string& host) const override;
    Result<bool> runs(const std::string& host, std::uint64_t revision) const override;
    Result<bool> has_plan(const std::string& host) const override;
    std::string why_late(const std::string& host) const override;
    void expect_arrival(const std::string& port, const std::string& host) override;
    void forget_arrival(const std::string& port) override;
    model::Snapshot plan_if(const std::string& host, const std::string& port) const override;
    Time now() const override { return std::chrono::steady_clock::now(); }
    void rest(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, Span span,
              const std::function<bool()>& is_enough) override;

private:
    HostTable& hosts_;
};

}  // namespace weir::controller
