#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "apps/controller/event_log.hpp"
#include "apps/controller/host_table.hpp"
#include "apps/controller/intent.hpp"
#include "base/result.hpp"
#include "model/value.hpp"

namespace weir::controller {

// What a move of a port is to be like.
struct MoveOrder {
    std::string port, to;
    bool dry_run = false;       // only look whether it could be done
    bool force = false;         // though paths could not be used from there: their failure policy
    bool wait_ready = false;    // go on to the freeze only when told
    bool wait_frozen = false;   // … and from it to the destination
    std::chrono::milliseconds stub{30'000};      // for how long the old host sends on what comes
    std::chrono::milliseconds patience{30'000};  // with whom is to tell it to go on
};

// Moves guest ports between hosts while they work (spec service-plane §8; docs/operate/migrate.md).
// One thread leads each move through its steps; what goes wrong before the port is activated at its
// destination leaves it working where it was. Thread-safe.
class Migrations {
public:
    Migrations(Intent& intent, HostTable& hosts, EventLog& events)
        : intent_(intent), hosts_(hosts), events_(events) {}
    ~Migrations();  // moves under way end as they would if a host went away

    static constexpr std::size_t max_moves = 64;  // remembered, under way or over
    static constexpr std::size_t max_at_once = 4;

    Status start(MoveOrder order);
    Status go_on(const std::string& port);
    Status cancel(const std::string& port);
    // The newest move of the port; null: none.
    model::Value status(const std::string& port) const;

private:
    struct Job;
    class Lead;
    std::shared_ptr<Job> find(const std::string& port) const;

    Intent& intent_;
    HostTable& hosts_;
    EventLog& events_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Job>> jobs_;  // by port
};

}  // namespace weir::controller
