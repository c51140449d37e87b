#pragma once
#include "features/chain/resources.hpp"
#include "model/snapshot.hpp"

namespace weir::chain {

// What a node must keep to: as it says itself, or else as the strictest profile of its service
// does. 0: no limit.
struct NodeLimits {
    std::uint32_t latency_us = 0;
    std::uint32_t loss = 0;  // thousandths
    LatencyAction action = LatencyAction::alarm;
};

inline NodeLimits limits_of(const model::Snapshot& intent, const ServiceNode& node) {
    if (node.latency_limit_us != 0 || node.loss_limit_permille != 0)
        return {node.latency_limit_us, node.loss_limit_permille, node.latency_action};
    NodeLimits out;
    const auto strictest = [](std::uint32_t& limit, std::uint32_t other) {
        if (other != 0 && (limit == 0 || other < limit)) limit = other;
    };
    for (const auto& row : intent.all<ServiceProfile>()) {
        const ServiceProfile& profile = row.second;
        if (profile.service != node.service) continue;
        strictest(out.latency_us, profile.latency_limit_us);
        strictest(out.loss, profile.loss_limit_permille);
        const bool has = profile.latency_limit_us != 0 || profile.loss_limit_permille != 0;
        if (has && profile.limit_action == LatencyAction::drain) out.action = LatencyAction::drain;
    }
    return out;
}

}  // namespace weir::chain
