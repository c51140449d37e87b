#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"
#include "features/overlay/exits.hpp"
#include "features/overlay/neighbour_cache.hpp"

namespace weir::overlay {

// The host's memory of underlay neighbours, shared by all workers and engines.
struct SharedNeighbours {
    NeighbourCache* cache = nullptr;
    void open(const dataplane::OpenInput& input) {
        bool fresh = false;
        cache = static_cast<NeighbourCache*>(input.pool(
            "underlay-neighbours", sizeof(NeighbourCache), NeighbourCache::layout_version, fresh));
    }
};

// Speaks for the tunnel address and checks what arrives for it (spec service-plane SEC-6, first
// part).
struct Outer {
    static constexpr std::string_view name = "outer";
    using Tables = dataplane::NoTables;
    using State = SharedNeighbours;
    using Exit = OuterExit;
    static constexpr auto exit_names = outer_exit_names;

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
};
static_assert(dataplane::Stage<Outer>);

// Reads Geneve, tells guest plane from service plane, takes the tunnel headers off.
struct Decap {
    static constexpr std::string_view name = "decap";
    using Tables = dataplane::NoTables;
    struct State {
        std::uint64_t guest_packets = 0, service_packets = 0;
        std::uint64_t serviced_ignored =
            0;  // SERVICED from a host outside the segment's span (SEC-3)
    };
    using Exit = DecapExit;
    static constexpr auto exit_names = decap_exit_names;

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
        sink.add("weir_tunnel_received_packets_total", {{"plane", "guest"}}, state.guest_packets);
        sink.add("weir_tunnel_received_packets_total", {{"plane", "service"}},
                 state.service_packets);
        sink.add("weir_serviced_mark_ignored_total", {}, state.serviced_ignored);
    }
};
static_assert(dataplane::Stage<Decap>);

}  // namespace weir::overlay
