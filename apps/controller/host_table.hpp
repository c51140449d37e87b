#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/rest/protocol.hpp"
#include "api/rest/watch.hpp"
#include "apps/controller/event_log.hpp"
#include "apps/controller/intent.hpp"
#include "apps/controller/query_desk.hpp"
#include "apps/controller/rollout.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"

namespace weir::controller {

// What one host needs to know. Pure.
using Plan = std::function<model::Snapshot(const State& state, std::string_view host)>;
// Takes an event of a host that may say something worth remembering.
using ReportTaker = std::function<bool(const model::Value& event, const std::string& host)>;

struct HostStatus {
    std::string name;
    bool is_connected = false;  // its watch is open, and it has said what it runs
    std::int64_t since_s = 0;   // connected or gone since, seconds since 1970
    std::uint64_t desired = 0;  // revision it should run
    std::uint64_t applied = 0;  // revision it last said it runs, nothing held back
    std::vector<model::ResourceKey> waiting;  // of that revision, until other hosts are ready
    std::optional<rest::Refused> refused;  // its answer to the newest change, if that was no
};

// The hosts and what each runs, brought to the newest revision by differences. Thread-safe.
class HostTable {
public:
    HostTable(const model::Registry& registry, Plan plan, ReportTaker take_report,
              EventLog& events, Rollout rollout);

    // From now on every host is to run its part of `state`.
    void publish(std::shared_ptr<const State> state);

    // Lets go what has waited or lingered long enough. To be called a few times a second.
    void tick();

    // A host opens its watch; its certificate says which.
    Result<rest::WatchEvents> admit(const rest::Request& request,
                                    std::shared_ptr<rest::WatchSession> session);

    // Every host that is declared or was ever connected, by name.
    std::vector<HostStatus> statuses() const;

    // Errors: not_found (no such host), unavailable (not connected, gone, or no answer in time).
    void query(const std::string& host, const model::Value& body,
               std::chrono::milliseconds timeout, QueryAnswer answer);

    // A port is to move to this host, which gets its part of the plan from now on, though the
    // intent has it elsewhere (docs/operate/migrate.md).
    void expect_arrival(const std::string& port, const std::string& host);
    void forget_arrival(const std::string& port);
    // The host's plan as it would be then.
    model::Snapshot plan_if(const std::string& host, const std::string& port) const;
    bool is_connected(const std::string& host) const;
    // Whether it runs its part of this revision or a later one, nothing held back; of the newest
    // one. Errors: unavailable, with the reason, if it refused that.
    Result<bool> runs(const std::string& host, std::uint64_t revision) const;
    Result<bool> has_plan(const std::string& host) const;
    std::string why_late(const std::string& host) const;
    const model::Registry& registry() const { return registry_; }

    std::uint64_t resyncs() const;  // hellos answered with a difference that was not empty

private:
    struct InFlight {
        std::uint64_t target = 0;
        model::Digests digests;  // what the host runs if it applies the change
        bool is_whole = true;    // nothing of the revision is held back
        std::uint64_t plan = 0;  // Host::plans then
    };
    struct Host {
        std::shared_ptr<rest::WatchSession> session;
        std::uint64_t incarnation = 0;  // of the session
        std::int64_t since_s = 0;
        bool has_said_hello = false;
        bool must_answer_hello = false;  // a hello is owed a change if anything differs
        std::uint64_t applied = 0;
        std::uint64_t settled = 0;  // the last revision it ran whole
        Standing standing;
        std::uint64_t plans = 0;  // how often it was planned; one revision may have several
        std::vector<model::ResourceKey> held;
        std::optional<Rollout::Time> look_again;
        std::optional<InFlight> in_flight;
        std::optional<rest::Refused> refused;
    };

    void receive(const std::string& name, std::uint64_t incarnation, std::string_view text);
    void take_event(const std::string& name, std::uint64_t incarnation,
                    const rest::HostEvent& event);
    void leave(const std::string& name, std::uint64_t incarnation, const std::string& reason);
    void take(const std::string& name, Host& host, rest::Hello hello);
    void take(const std::string& name, Host& host, rest::Applied applied);
    void take(const std::string& name, Host& host, rest::Refused refused);
    void advance(Host& host);
    void plan(const std::string& name, Host& host);
    void advance_all();
    model::Snapshot plan_of(const std::string& name, std::set<std::string> arriving) const;
    void replan(const std::string& name);
    void set_running(Host& host, model::Digests digests);

    const model::Registry& registry_;
    const Plan plan_;
    const ReportTaker take_report_;
    EventLog& events_;
    mutable std::mutex mutex_;
    std::shared_ptr<const State> state_;
    std::map<std::string, Host> hosts_;  // declared, or once connected
    std::map<std::string, std::string> arrivals_;  // port → host it is about to move to
    Rollout rollout_;
    std::uint64_t next_incarnation_ = 1;
    std::uint64_t resyncs_ = 0;
    QueryDesk desk_;  // its answers may come while everything else still is
};

}  // namespace weir::controller
