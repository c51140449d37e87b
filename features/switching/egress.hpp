#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"

namespace weir::switching {

// Sends a packet the way its program says: into the local port's context, or on to the tunnel.
//
// Last stage of the source context but one (encap). Packets larger than the way out takes are
// answered with ICMP (DF, IPv6) or cut (IPv4 without DF).
struct Egress {
    static constexpr std::string_view name = "egress";
    using Tables = dataplane::NoTables;
    struct State {
        std::uint64_t fragmented = 0, segmented = 0;
    };
    enum class Exit : std::uint8_t {
        mtu,      // larger than the way out takes, and not to be cut
        not_cut,  // a super-frame of a kind that we cannot segment
        count_
    };
    static constexpr std::array<std::string_view, 2> exit_names = {"egress.mtu", "egress.not_cut"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
        sink.add("weir_fragmented_packets_total", {}, state.fragmented);
        sink.add("weir_segmented_packets_total", {}, state.segmented);
    }
};
static_assert(dataplane::Stage<Egress>);

}  // namespace weir::switching
