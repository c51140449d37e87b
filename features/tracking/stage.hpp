#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"
#include "flow/alias_homes.hpp"
#include "flow/table.hpp"

namespace weir::tracking {

// Finds or makes the flow record of a packet and follows its TCP state (flow/tcp.hpp).
struct Track {
    static constexpr std::string_view name = "flow";
    using Tables = dataplane::NoTables;
    enum class Exit : std::uint8_t {
        out_of_state,
        invalid_flags,
        table_full,
        no_flow_for_error,
        count_
    };
    static constexpr std::array<std::string_view, 4> exit_names = {
        "flow.out_of_state", "flow.invalid_flags", "flow.table_full", "flow.no_flow_for_error"};

    struct State {
        flow::Table* flows = nullptr;
        std::uint64_t inserted_before = 0;  // Stats::inserted at the last tick
        std::uint64_t translations = 0;     // tuples that services wrote, met here first
        flow::AliasHomes* homes = nullptr;  // null: there is no memory
        void open(const dataplane::OpenInput& input) {
            bool fresh = false;
            homes = static_cast<flow::AliasHomes*>(
                input.pool(flow::AliasHomes::pool_name, sizeof(flow::AliasHomes),
                           flow::AliasHomes::layout_version, fresh));
            flows = input.flows;
            if (flows) inserted_before = flows->stats().inserted;
        }
    };

    // The worker that keeps the flow of this translated tuple, if that is another one.
    static std::uint32_t home_elsewhere(const State& state, const dataplane::PortEntry& port,
                                        std::uint32_t hash, const dataplane::Emit& emit) {
        if (!state.homes || emit.workers == 1) return flow::AliasHomes::nowhere;
        const std::uint32_t worker =
            state.homes->find(flow::AliasHomes::key_of(port.scope, port.vni, hash));
        return worker < emit.workers && worker != emit.worker ? worker : flow::AliasHomes::nowhere;
    }

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
};
static_assert(dataplane::Stage<Track>);

// Marks the direction of the packet as decided under the port's present epoch.
struct Settle {
    static constexpr std::string_view name = "settle";
    using Tables = dataplane::NoTables;
    using State = dataplane::NoState;
    enum class Exit : std::uint8_t { count_ };
    static constexpr std::array<std::string_view, 0> exit_names = {};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
};
static_assert(dataplane::Stage<Settle>);

}  // namespace weir::tracking
