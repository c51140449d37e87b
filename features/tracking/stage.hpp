#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "dataplane/no_tables.hpp"
#include "flow/alias_homes.hpp"
#include "flow/table.hpp"
#include "model/value.hpp"

namespace weir::tracking {

// Finds or makes the flow record of a packet and follows its TCP state (flow/tcp.hpp).
struct Track {
    static constexpr std::string_view name = "flow";
    using Tables = dataplane::NoTables;
    enum class Exit : std::uint8_t {
        out_of_state,
        invalid_flags,
        no_flow_for_error,
        over_rate,   // the guest begins more flows than its port's flow-limits let it
        over_limit,  // the port has as many records as they let it, and none may go
        not_anchor,  // comes back from services, but no flow says that it went there from here
        count_
    };
    static constexpr std::array<std::string_view, 6> exit_names = {
        "flow.out_of_state", "flow.invalid_flags", "flow.no_flow_for_error",
        "flow.over_rate",    "flow.over_limit",    "NOT_ANCHOR"};

    struct PortFlows {
        dataplane::FlowBudget budget;
        std::uint64_t over_rate = 0, over_limit = 0;  // packets that were refused
    };
    struct State {
        std::vector<PortFlows> ports = std::vector<PortFlows>(limits::max_ports);
        flow::Table* flows = nullptr;
        std::uint64_t full_ns = 0;          // when a record found no room last
        std::uint64_t inserted_before = 0;  // Stats::inserted at the last tick
        std::uint64_t translations = 0;     // tuples that services wrote, met here first
        std::uint64_t adopted = 0;          // flows that were met first in their middle
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

    // Whether the guest of the port may begin no flow now; counted. Inline: floods come this way.
    static bool is_over_rate(State& state, const dataplane::PortEntry& port,
                             const dataplane::Emit& emit) {
        PortFlows& flows = state.ports[port.index];
        const bool over = flows.budget.is_used_up(port.flow_limits, emit.workers, emit.now_ns);
        flows.over_rate += over;
        return over;
    }
    // Whether the port may have one record more; makes room among its own if it must.
    static bool has_room(State& state, const dataplane::PortEntry& port,
                         const dataplane::Emit& emit);

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
    static void shared_counters(const Tables&, const State&, dataplane::CounterSink&);
    static bool query(std::string_view what, const Tables&, State&, dataplane::Emit&,
                      model::Value& rows);
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
