#pragma once
#include <array>
#include <memory>
#include <string_view>

#include "features/chain/hop/stale.hpp"
#include "features/chain/plane.hpp"

namespace weir::chain {

// Checks packets that another host sent on the service plane and finds the node they are for (spec
// §3.5 step 2, the last part of §10.2; the tunnel's own part stands in the overlay).
//
// Takes service-plane packets that came through a tunnel. Returning ones are left to Return,
// control packets to those who read them.
struct Arrive {
    static constexpr std::string_view name = "arrive";
    using Tables = Plane;
    enum class Exit : std::uint8_t {
        unknown_tep,  // the sender takes no part in the service segment
        ttl_expired,
        bad_si,   // beyond its start, or a start beyond what a path can have
        bad_smd,  // R without SI = 0 or the reverse, a returning copy, inner addresses, O without
                  // a message for an anchor
        not_anchor,  // a control packet for another host
        wrong_node,  // the node this index is for is not the one it was sent to
        no_next_hop,
        bad_epoch,
        unannounced,  // says that a node has come to its host, which the controller did not say
        count_
    };
    static constexpr std::array<std::string_view, 9> exit_names = {
        "UNKNOWN_TEP", "TTL_EXPIRED", "BAD_SI",    "BAD_SMD",           "NOT_ANCHOR",
        "WRONG_NODE",  "NO_NEXT_HOP", "BAD_EPOCH", "arrive.unannounced"};

    struct State {
        std::uint64_t for_nodes = 0, returning = 0;
        std::uint64_t relayed = 0;   // for nodes that have gone: sent after them
        std::uint64_t arrivals = 0;  // of nodes, at other hosts: announcements that were believed
        StaleReports reports;
        MoveBoard moves;
        bool moving = true;  // there were moves when it was looked last
        void open(const dataplane::OpenInput& input) { moves.open(input); }
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    // Tells other hosts of nodes that have come here.
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
};
static_assert(dataplane::Stage<Arrive>);

}  // namespace weir::chain
