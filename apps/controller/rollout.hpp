#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "features/feature.hpp"
#include "model/canonical.hpp"
#include "model/delta.hpp"
#include "model/snapshot.hpp"

namespace weir::controller {

struct RolloutTimes {
    std::chrono::milliseconds linger{
        30'000};  // what others used stays that long after its last use
    std::chrono::milliseconds patience{
        10'000};  // what waits for hosts that do not answer goes then
};

// What one host should run and what it runs, as far as the controller knows.
struct Standing {
    std::string name;
    model::Snapshot plan;
    model::Snapshot left;  // runs, as far as is known, and the plan has it no more
    model::Digests planned, running;
    std::optional<std::chrono::steady_clock::time_point> held_since;
    bool is_counted = false;
};

// Make before break, over all hosts (spec service-plane CP-2): what others build upon reaches its
// hosts first and leaves them last. Features say which kinds stand in such an order; names tie the
// resources of the two together. Not thread-safe; the clock is the caller's.
class Rollout {
public:
    using Time = std::chrono::steady_clock::time_point;

    Rollout(features::Features features, RolloutTimes times) : features_(features), times_(times) {}

    // The host is to run `plan` from now on. Between leave() and join().
    static void replace_plan(const model::Registry& registry, Standing& host, model::Snapshot plan);

    // Around every change of what a host should run or runs.
    void leave(Standing& host);
    void join(Standing& host, Time now);

    // What the host is to run now.
    struct Target {
        model::Digests digests;
        std::vector<model::ResourceKey> held;  // planned, and waiting for other hosts
        // When to ask again though nothing happened: something waits or lingers until then.
        std::optional<Time> look_again;
    };
    Target target(Standing& host, Time now);

    // What nobody has used for long. Now and then.
    void forget(Time now);

private:
    struct Tally {
        std::size_t lacking = 0;  // hosts that others rely on to have the first, and do not
        std::size_t users = 0;    // hosts that run the second
        std::optional<Time> free_since;
    };
    using Key = std::pair<const features::Order*, std::string>;

    void count(const Standing& host, int by);
    void hold_what_is_not_ready(const features::Order&, const Standing&, Target&) const;
    void hold_what_waits_for_it(const Standing&, Target&) const;
    void keep_what_is_replaced(const features::Order&, const Standing&, Target&) const;
    void keep_what_is_used(const features::Order&, const Standing&, Time now, Target&,
                           std::vector<model::ResourceKey>& lingering);
    void keep_what_lingers_on(const Standing&, const std::vector<model::ResourceKey>& lingering,
                              Target&) const;
    static bool lacks(const features::Order&, const Standing&, const std::string& name);
    bool is_ready(const features::Order&, const Standing&, const std::string& name) const;

    const features::Features features_;
    const RolloutTimes times_;
    std::map<Key, Tally> tallies_;
    std::vector<Key> left_;  // whose last user may have gone, between leave() and join()
};

}  // namespace weir::controller
