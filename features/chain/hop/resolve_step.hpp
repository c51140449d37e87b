#pragma once
#include <cstdint>

#include "dataplane/health.hpp"
#include "features/chain/hop/stale.hpp"
#include "features/chain/plane.hpp"
#include "net/smd.hpp"

namespace weir::chain {

inline constexpr std::uint8_t initial_ttl = 63;

enum class Resolved : std::uint8_t {
    none = 0,
    forward,      // to `hop`; the TTL is counted down
    to_anchor,    // past the last service: R is set, the TTL counted down
    copy,         // a duplicate goes to `hop`; the metadata stands behind it already: ask again
    ttl_expired,
    no_next_hop,
    bad_epoch,
    hop_down,
};

struct ResolveStep {
    Resolved what = Resolved::none;
    const Hop* hop = nullptr;     // of forward, copy and hop_down
    StaleReason stale = StaleReason::none;  // what the anchor should know
    std::uint32_t dead_node = 0;            // of stale hop_down
    std::uint8_t copy_si = 0;     // index of the duplicate
    std::uint8_t skipped = 0;     // hops passed over because the flow skips them
    std::uint8_t fail_skipped = 0;  // … because they are down and the chain lets packets pass
};

// One step of §4.5: where the packet of this metadata goes next. Changes SI, TTL and R alone.
ResolveStep resolve_step(net::Smd& smd, std::uint32_t svni, const Plane& plane,
                         const dataplane::HealthBoard& health);

// One leg less; false if the packet must die.
inline bool spend_ttl(net::Smd& smd) {
    if (smd.ttl <= 1) return false;
    --smd.ttl;
    return true;
}

// Past the last service: the leg to the anchor. False if the packet must die.
inline bool turn_to_anchor(net::Smd& smd) {
    if (!spend_ttl(smd)) return false;
    smd.returning = true;
    return true;
}

// Whether the flow skips the hop whose turn it is.
inline bool skips_hop(const net::Smd& smd) {
    return (smd.skip_mask >> ((smd.initial_si - smd.si) & 7) & 1) != 0;
}

}  // namespace weir::chain
