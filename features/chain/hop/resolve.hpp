#pragma once
#include <array>
#include <memory>
#include <string_view>

#include "features/chain/hop/stale.hpp"
#include "features/chain/plane.hpp"

namespace weir::chain {

// Finds where a packet of the service plane goes next: a node here, a node behind a tunnel, or the
// anchor (spec §4.5). The same for anchors and nodes, local and remote legs (DP-21).
//
// Takes service-plane packets that have no way yet: no destination port, no tunnel peer, R = 0.
struct Resolve {
    static constexpr std::string_view name = "resolve";
    using Tables = Plane;
    enum class Exit : std::uint8_t {
        ttl_expired,
        no_next_hop,
        bad_epoch,
        hop_down,
        bad_frame,  // a super-frame or partial checksum that cannot be resolved before a tunnel
        count_
    };
    static constexpr std::array<std::string_view, 5> exit_names = {
        "TTL_EXPIRED", "NO_NEXT_HOP", "BAD_EPOCH", "HOP_DOWN", "resolve.bad_frame"};

    struct State {
        std::uint64_t legs_local = 0, legs_remote = 0;  // TM-4; a leg to the anchor counts as well
        std::uint64_t copies = 0, copies_lost = 0;
        std::uint64_t skipped = 0, fail_skipped = 0;  // hops
        std::uint64_t segmented = 0;                  // super-frames
        StaleReports reports;
        MoveBoard moves;
        void open(const dataplane::OpenInput& input) { moves.open(input); }
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    // "next-hops" and "segments" of the service plane (spec §12.2).
    static bool query(std::string_view what, const Tables&, State&, dataplane::Emit&,
                      model::Value& rows);
};
static_assert(dataplane::Stage<Resolve>);

}  // namespace weir::chain
