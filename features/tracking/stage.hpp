#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"
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
        void open(const dataplane::OpenInput& input) {
            flows = input.flows;
            if (flows) inserted_before = flows->stats().inserted;
        }
    };

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
