#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"
#include "features/overlay/auth_tables.hpp"
#include "features/overlay/exits.hpp"
#include "features/overlay/neighbour_cache.hpp"
#include "features/overlay/peer_packets.hpp"

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

// What is known of one sender's failures, for the worker that tells of them.
struct AuthWatch {
    std::uint64_t failed = 0;   // when it was looked at last
    std::uint64_t told_ns = 0;  // when operators heard of it last; 0: never
    bool seen = false;          // it was looked at since this engine started
};

// Reads Geneve, tells guest plane from service plane, takes the tunnel headers off.
struct Decap {
    static constexpr std::string_view name = "decap";
    using Tables = AuthTables;
    struct State {
        SharedWindows windows;
        bool speaks = false;        // of what the workers share
        std::uint64_t look_ns = 0;  // when failures of AUTH are looked at next
        std::array<AuthWatch, AuthWindows::capacity> watched{};

        PeerPackets received;
        std::uint64_t serviced_ignored =
            0;  // SERVICED from a host outside the segment's span (SEC-3)

        void open(const dataplane::OpenInput& input) {
            windows.open(input);
            speaks = input.worker == 0;
        }
    };
    using Exit = DecapExit;
    static constexpr auto exit_names = decap_exit_names;

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(input, previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    // Tells operators of bursts of packets that fail AUTH.
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    static void shared_counters(const Tables&, const State&, dataplane::CounterSink&);
};
static_assert(dataplane::Stage<Decap>);

}  // namespace weir::overlay
