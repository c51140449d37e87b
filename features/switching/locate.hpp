#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"

namespace weir::switching {

// Which ports of this host a decapsulated guest frame is for (last stage of the underlay context).
struct Locate {
    static constexpr std::string_view name = "locate";
    using Tables = dataplane::NoTables;
    using State = dataplane::NoState;
    enum class Exit : std::uint8_t { unknown_destination, no_receiver, count_ };
    static constexpr std::array<std::string_view, 2> exit_names = {"locate.unknown_destination",
                                                                   "locate.no_receiver"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
};
static_assert(dataplane::Stage<Locate>);

// Hands a frame to the guest (last stage of the destination context).
struct Deliver {
    static constexpr std::string_view name = "deliver";
    using Tables = dataplane::NoTables;
    struct State {
        std::uint64_t delivered = 0;
    };
    enum class Exit : std::uint8_t { traced, count_ };
    static constexpr std::array<std::string_view, 1> exit_names = {"deliver.traced"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
        sink.add("weir_delivered_packets_total", {}, state.delivered);
    }
};
static_assert(dataplane::Stage<Deliver>);

}  // namespace weir::switching
