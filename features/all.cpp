#include <algorithm>
#include <array>

#include "features/chain/feature.hpp"
#include "features/chain/planned.hpp"
#include "features/feature.hpp"
#include "features/firewall/feature.hpp"
#include "features/switching/feature.hpp"
#include "model/core_resources.hpp"

namespace weir::features {

namespace {

bool takes_part(const model::ServiceSegment& segment, std::string_view host) {
    return segment.hosts.empty() ||
           std::ranges::any_of(segment.hosts, [&](const auto& ref) { return ref.name == host; });
}

// Hosts, segments, ports and routers are everybody's words, so this host learns of all of them.
template <class R>
void plan_with_groups(const model::Snapshot& intent, model::Snapshot& out) {
    for (const auto& [name, one] : intent.all<R>()) {
        out.put(one);
        for (const auto& ref : one.applied_to)
            if (const auto* group = intent.find<model::Group>(ref.name)) out.put(*group);
    }
}

// Devices of other hosts' ports and keys of segments of others are their own business.
void plan_core(const model::Snapshot& intent, std::string_view host, model::Snapshot& out) {
    for (const auto& [name, one] : intent.all<model::Host>()) out.put(one);
    for (const auto& [name, one] : intent.all<model::Segment>()) out.put(one);
    for (const auto& [name, one] : intent.all<model::ServiceSegment>()) {
        model::ServiceSegment segment = one;
        if (!takes_part(segment, host)) segment.auth_keys.clear();
        out.put(std::move(segment));
    }
    for (const auto& [name, one] : intent.all<model::Router>()) out.put(one);
    plan_with_groups<model::FlowTimeouts>(intent, out);
    plan_with_groups<model::FlowLimits>(intent, out);
    const auto coming = chain::ports_of_nodes_to(intent, host);
    for (const auto& [name, one] : intent.all<model::Port>()) {
        model::Port port = one;
        if (coming.contains(name)) port.host = model::Ref<model::Host>(std::string(host));
        if (port.host.name != host) port.device = {};
        out.put(std::move(port));
    }
}

std::vector<Error> nothing_to_check(const model::Snapshot&) {
    return {};
}

constexpr Feature core = {"core", model::add_core_kinds, nothing_to_check, plan_core};

}  // namespace

Features all() {
    static const std::array features = {core, switching::feature, firewall::feature,
                                        chain::feature};
    return features;
}

model::Registry registry_of(Features features) {
    model::Registry registry;
    for (const Feature& feature : features) {
        feature.add_kinds(registry);
        registry.add_validator(feature.validate);
    }
    return registry;
}

model::Snapshot plan_for(Features features, const model::Registry& registry,
                         const model::Snapshot& intent, const model::Snapshot& reported,
                         std::string_view host) {
    model::Snapshot whole = intent;
    for (const model::Kind* kind : registry.kinds())
        for (const std::string& name : kind->names(reported)) kind->copy(reported, name, whole);
    model::Snapshot out;
    out.revision = intent.revision;
    for (const Feature& feature : features) feature.plan(whole, host, out);
    return out;
}

bool remember(Features features, const Occasion& occasion, model::Snapshot& reported) {
    bool changed = false;
    for (const Feature& feature : features)
        if (feature.remember) changed |= feature.remember(occasion, reported);
    return changed;
}

bool take_report(Features features, const model::Value& event, std::string_view host,
                 const model::Snapshot& intent, model::Snapshot& reported) {
    bool changed = false;
    for (const Feature& feature : features) {
        if (feature.report) changed |= feature.report(event, host, reported);
        if (feature.answer) changed |= feature.answer(event, host, intent, reported);
    }
    return changed;
}

}  // namespace weir::features
