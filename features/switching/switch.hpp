#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"

namespace weir::switching {

// Finds the way of a frame by its destination MAC and writes it into the flow's program.
struct Switch {
    static constexpr std::string_view name = "switch";
    using Tables = dataplane::NoTables;
    struct State {
        std::uint64_t replicated = 0;  // copies made of broadcast and multicast frames
    };
    enum class Exit : std::uint8_t { unknown_destination, hairpin, no_receiver, count_ };
    static constexpr std::array<std::string_view, 3> exit_names = {
        "switch.unknown_destination", "switch.hairpin", "switch.no_receiver"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
        sink.add("weir_replicated_packets_total", {}, state.replicated);
    }
};
static_assert(dataplane::Stage<Switch>);

}  // namespace weir::switching
