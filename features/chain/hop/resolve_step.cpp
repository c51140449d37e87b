#include "features/chain/hop/resolve_step.hpp"

namespace weir::chain {

ResolveStep resolve_step(net::Smd& smd, std::uint32_t svni, const Plane& plane,
                         const dataplane::HealthBoard& health) {
    ResolveStep step;
    const auto done = [&](Resolved what) {
        step.what = what;
        return step;
    };
    for (;;) {
        while (smd.si > 0 && skips_hop(smd)) {
            --smd.si;
            ++step.skipped;
        }
        if (smd.si == 0)
            return done(turn_to_anchor(smd) ? Resolved::to_anchor : Resolved::ttl_expired);
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
