#include "apps/controller/rollout.hpp"

#include <algorithm>

namespace weir::controller {
namespace {

using features::Order;
using model::Digests;
using model::ResourceKey;

// Calls act(name) for every resource of the kind.
template <class Act>
void each_of_kind(const Digests& digests, std::string_view kind, Act act) {
    for (auto at = digests.lower_bound({std::string(kind), {}});
         at != digests.end() && at->first.kind == kind; ++at)
        act(at->first.name);
}

bool has(const Digests& digests, std::string_view kind, const std::string& name) {
    return digests.contains({std::string(kind), name});
}

// The target keeps what runs under this key, which may be nothing.
void keep_running(const Standing& host, const ResourceKey& key, Digests& target) {
    const auto running = host.running.find(key);
    if (running == host.running.end()) {
        target.erase(key);
    } else {
        target[key] = running->second;
    }
}

}  // namespace

void Rollout::replace_plan(const model::Registry& registry, Standing& host, model::Snapshot plan) {
    Digests planned = model::digests(registry, plan);
    model::Snapshot left;
    const auto take = [&](const model::Snapshot& from, const ResourceKey& key) {
        if (planned.contains(key)) return;
        const model::Kind* kind = registry.kind(key.kind);
        if (kind == nullptr || !kind->contains(from, key.name)) return;
        if (!kind->contains(left, key.name)) kind->copy(from, key.name, left);
    };
    for (const auto& [key, digest] : host.planned) take(host.plan, key);  // perhaps on its way
    for (const auto& [key, digest] : host.running) take(host.left, key);
    host.left = std::move(left);
    host.plan = std::move(plan);
    host.planned = std::move(planned);
}

void Rollout::leave(Standing& host) {
    if (std::exchange(host.is_counted, false)) count(host, -1);
}

void Rollout::join(Standing& host, Time now) {
    if (!std::exchange(host.is_counted, true)) count(host, +1);
    for (const Key& key : left_) {
        Tally& tally = tallies_[key];
        if (tally.users == 0 && !tally.free_since) tally.free_since = now;
    }
    left_.clear();
}

void Rollout::count(const Standing& host, int by) {
    const auto step = static_cast<std::size_t>(by);  // modulo arithmetic: −1 takes one away
    for (const features::Feature& feature : features_) {
        for (const Order& order : feature.orders) {
            each_of_kind(host.planned, order.first, [&](const std::string& name) {
                if (lacks(order, host, name)) tallies_[{&order, name}].lacking += step;
            });
            each_of_kind(host.running, order.then, [&](const std::string& name) {
                Tally& tally = tallies_[{&order, name}];
                tally.users += step;
                if (tally.users != 0) tally.free_since.reset();
                if (tally.users == 0) left_.push_back({&order, name});
            });
        }
    }
}

void Rollout::forget(Time now) {
    std::erase_if(tallies_, [&](const auto& row) {
        const Tally& tally = row.second;
        return tally.users == 0 && tally.lacking == 0 && tally.free_since &&
               now - *tally.free_since > 2 * times_.linger;
    });
}

bool Rollout::lacks(const Order& order, const Standing& host, const std::string& name) {
    return has(host.planned, order.first, name) && !has(host.running, order.first, name) &&
           order.relied_upon(host.plan, name, host.name);
}

// The host itself gets both in one change.
bool Rollout::is_ready(const Order& order, const Standing& host, const std::string& name) const {
    const auto tally = tallies_.find({&order, name});
    if (tally == tallies_.end()) return true;
    return tally->second.lacking <= (lacks(order, host, name) ? 1u : 0u);
}

void Rollout::hold_what_is_not_ready(const Order& order, const Standing& host,
                                     Target& target) const {
    each_of_kind(host.planned, order.then, [&](const std::string& name) {
        const ResourceKey key{std::string(order.then), name};
        if (host.running.contains(key) || is_ready(order, host, name)) return;
        target.digests.erase(key);
        target.held.push_back(key);
    });
}

void Rollout::hold_what_waits_for_it(const Standing& host, Target& target) const {
    const std::vector<ResourceKey> held = target.held;
    for (const features::Feature& feature : features_) {
        if (feature.waits == nullptr) continue;
        for (const ResourceKey& key : feature.waits(host.plan, held)) {
            const auto running = host.running.find(key);
            const auto planned = host.planned.find(key);
            if (planned == host.planned.end() ||
                (running != host.running.end() && running->second == planned->second))
                continue;
            keep_running(host, key, target.digests);
            target.held.push_back(key);
        }
    }
}

// As long as something of the kind is not ready, what it may replace stays.
void Rollout::keep_what_is_replaced(const Order& order, const Standing& host,
                                    Target& target) const {
    const bool waits = std::ranges::any_of(
        target.held, [&](const ResourceKey& key) { return key.kind == order.then; });
    if (!waits) return;
    each_of_kind(host.running, order.then, [&](const std::string& name) {
        if (!has(host.planned, order.then, name))
            keep_running(host, {std::string(order.then), name}, target.digests);
    });
}

void Rollout::keep_what_is_used(const Order& order, const Standing& host, Time now, Target& target,
                                std::vector<ResourceKey>& lingering) {
    each_of_kind(host.running, order.first, [&](const std::string& name) {
        if (has(host.planned, order.first, name)) return;
        Tally& tally = tallies_[{&order, name}];
        if (tally.users == 0 && !tally.free_since) tally.free_since = now;
        const Time until = tally.free_since.value_or(now) + times_.linger;
        if (until <= now) return;
        keep_running(host, {std::string(order.first), name}, target.digests);
        lingering.push_back({std::string(order.first), name});
        if (!target.look_again || until < *target.look_again) target.look_again = until;
    });
}

void Rollout::keep_what_lingers_on(const Standing& host, const std::vector<ResourceKey>& lingering,
                                   Target& target) const {
    if (lingering.empty()) return;
    for (const features::Feature& feature : features_) {
        if (feature.keeps == nullptr) continue;
        for (const ResourceKey& key : feature.keeps(host.left, lingering))
            if (!host.planned.contains(key)) keep_running(host, key, target.digests);
    }
}

Rollout::Target Rollout::target(Standing& host, Time now) {
    Target target;
    target.digests = host.planned;
    for (const features::Feature& feature : features_)
        for (const Order& order : feature.orders) hold_what_is_not_ready(order, host, target);
    if (target.held.empty()) {
        host.held_since.reset();
    } else if (!host.held_since) {
        host.held_since = now;
    }
    if (!target.held.empty() && now - *host.held_since < times_.patience) {
        for (const features::Feature& feature : features_)
            for (const Order& order : feature.orders) keep_what_is_replaced(order, host, target);
        hold_what_waits_for_it(host, target);
        target.look_again = *host.held_since + times_.patience;
    }
    std::vector<ResourceKey> lingering;
    for (const features::Feature& feature : features_)
        for (const Order& order : feature.orders)
            keep_what_is_used(order, host, now, target, lingering);
    keep_what_lingers_on(host, lingering, target);
    return target;
}

}  // namespace weir::controller
