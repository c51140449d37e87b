#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/delta.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"

namespace weir::features {

// Of two kinds, resources of the same name belong together, on whatever hosts they are. The second
// builds on the first: that reaches every host that others rely on before any host gets the second,
// and leaves no host while one runs the second, nor shortly after (spec service-plane CP-2).
struct Order {
    std::string_view first, then;
    // Whether others rely on this host having `first/name` of its plan. Pure.
    bool (*relied_upon)(const model::Snapshot& plan, const std::string& name,
                        std::string_view host);
};

// A change of what operators want is about to be made, or time goes on and nothing is changed.
struct Occasion {
    const model::Snapshot& before;  // what operators wanted until now
    const model::Snapshot& intent;  // and what they want
    std::uint64_t now_s = 0;        // since 1970
    bool is_start = false;          // of a controller: hosts may know more than it does
};

// What a feature gives to everybody who is not a worker: its words, its checks, its plan.
struct Feature {
    std::string_view name;
    // Adds the feature's resource kinds.
    void (*add_kinds)(model::Registry&);
    // Everything that generic validation (bounds, references) cannot know; empty means valid.
    std::vector<Error> (*validate)(const model::Snapshot& intent);
    // Puts into `out` what `host` needs to know of `intent`. Pure.
    void (*plan)(const model::Snapshot& intent, std::string_view host, model::Snapshot& out);
    // Turns an event of `host` into what hosts report (a node is down, an address was learned),
    // kept in `reported`; true if that changed. Null: the feature has no reports. Pure.
    bool (*report)(const model::Value& event, std::string_view host,
                   model::Snapshot& reported) = nullptr;
    // In which order hosts get its resources, where that matters.
    std::span<const Order> orders = {};
    // What of a host's `planned` should wait because `held` does. Null: nothing. Pure.
    std::vector<model::ResourceKey> (*waits)(const model::Snapshot& planned,
                                             std::span<const model::ResourceKey> held) = nullptr;
    // As `report`, where the answer to `host` depends on what operators want. Pure.
    bool (*answer)(const model::Value& event, std::string_view host, const model::Snapshot& intent,
                   model::Snapshot& reported) = nullptr;
    // Which of the resources in `left` (a host runs them, its plan has them no more) must stay as
    // long as `lingering` of them do for other hosts' sake (Order). Null: none. Pure.
    std::vector<model::ResourceKey> (*keeps)(
        const model::Snapshot& left, std::span<const model::ResourceKey> lingering) = nullptr;
    // Keeps in `reported` what operators took away and hosts need for a while; true if that
    // changed. What stands there is planned like what operators want. Null: nothing. Pure.
    bool (*remember)(const Occasion&, model::Snapshot& reported) = nullptr;
};

using Features = std::span<const Feature>;

// All features, in the order of features/all.hpp.
Features all();

// Their kinds and checks.
model::Registry registry_of(Features features);

// What `host` needs to know: the features' plans for what operators want and hosts report.
model::Snapshot plan_for(Features features, const model::Registry& registry,
                         const model::Snapshot& intent, const model::Snapshot& reported,
                         std::string_view host);

// Has every feature remember; true if `reported` changed and hosts should be planned again.
bool remember(Features features, const Occasion& occasion, model::Snapshot& reported);

// Gives the event to every feature; true if `reported` changed and hosts should be planned again.
bool take_report(Features features, const model::Value& event, std::string_view host,
                 const model::Snapshot& intent, model::Snapshot& reported);

}  // namespace weir::features
