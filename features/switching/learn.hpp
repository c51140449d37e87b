#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"

namespace weir::switching {

// Hears which addresses a guest uses, on ports that learn: from its ARP and neighbour discovery
// (source context) and from the DHCP answers it gets (destination context).
//
// Nothing is remembered here: the host reports, the controller plans, and the address comes back as
// part of the topology. At most 10 reports a second and worker.
struct Learn {
    static constexpr std::string_view name = "learn";
    using Tables = dataplane::NoTables;
    struct State {
        std::uint64_t reported = 0;
        std::uint64_t second_ns = 0;
        std::uint32_t in_second = 0;
    };
    enum class Exit : std::uint8_t { count_ };
    static constexpr std::array<std::string_view, 0> exit_names = {};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
        sink.add("weir_address_reports_total", {}, state.reported);
    }
};
static_assert(dataplane::Stage<Learn>);

}  // namespace weir::switching
