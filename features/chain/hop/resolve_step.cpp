#include "features/chain/hop/resolve_step.hpp"

namespace weir::chain {

bool spend_ttl(net::Smd& smd) {
    if (smd.ttl <= 1) return false;
    --smd.ttl;
    return true;
}

ResolveStep resolve_step(net::Smd& smd, std::uint32_t svni, const Plane& plane,
                         const dataplane::HealthBoard& health) {
    ResolveStep step;
    const auto done = [&](Resolved what) {
        step.what = what;
        return step;
    };
    for (;;) {
        while (smd.si > 0 && (smd.skip_mask >> ((smd.initial_si - smd.si) & 7) & 1) != 0) {
            --smd.si;
            ++step.skipped;
        }
        if (smd.si == 0) {
            if (!spend_ttl(smd)) return done(Resolved::ttl_expired);
            smd.returning = true;
            return done(Resolved::to_anchor);
        }
        const NextHop* next = plane.next_hops.find(svni, smd);
        if (!next) {
            const bool other_epoch = plane.next_hops.knows(svni, smd);
            step.stale = other_epoch ? StaleReason::bad_epoch : StaleReason::no_entry;
            return done(other_epoch ? Resolved::bad_epoch : Resolved::no_next_hop);
        }
        step.hop = next->hop;
        const bool up = is_next(*next->hop, plane.host_id, health);
        if (next->hop->action == HopAction::copy) {
            step.copy_si = smd.si--;
            if (!up) continue;
            return done(Resolved::copy);
        }
        if (!up) {
            step.stale = StaleReason::hop_down;
            step.dead_node = next->hop->node_id;
            if (next->path->failure_policy != FailurePolicy::allow) return done(Resolved::hop_down);
            --smd.si;
            ++step.fail_skipped;
            continue;
        }
        return done(spend_ttl(smd) ? Resolved::forward : Resolved::ttl_expired);
    }
}

}  // namespace weir::chain
