#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "dataplane/no_tables.hpp"

namespace weir::chain {

// Sends packets that come back to a port which has moved to the host where it is now: with the
// anchor's new names, marked M, one TTL less (spec service-plane MB-6); orders for its flows with
// them (MB-4). Between the port's freeze here and its start there it keeps them. Stands before
// Orders and Return. Which ports have moved says Topology::moved.
struct Stub {
    static constexpr std::string_view name = "stub";
    using Tables = dataplane::NoTables;
    enum class Exit : std::uint8_t {
        moved_twice,  // another stub has sent it on already
        ttl_expired,
        hold_full,    // more come back to a frozen port than can be kept
        hold_gone,    // they waited for it, and the engine went
        count_
    };
    static constexpr std::array<std::string_view, 4> exit_names = {
        "MOVED_TWICE", "TTL_EXPIRED", "stub.hold_full", "stub.hold_gone"};

    struct State {
        static constexpr std::size_t capacity = 512;  // of a worker
        std::array<dataplane::Packet*, capacity> held{};
        std::size_t count = 0;
        std::uint64_t kept = 0;       // packets that had to wait
        std::uint64_t forwarded = 0;  // to the new anchor
        std::uint64_t orders = 0;     // … of which brought orders
        std::uint64_t no_handle = 0;  // … of flows that the new anchor was not told of
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void leave(State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
};
static_assert(dataplane::Stage<Stub>);

}  // namespace weir::chain
