#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"
#include "features/switching/announcements.hpp"

namespace weir::switching {

// Answers ARP and neighbour solicitations of guests for every address that Weir knows, and
// announces guests that have just moved to this host.
struct Neighbours {
    static constexpr std::string_view name = "neighbours";
    using Tables = dataplane::NoTables;
    struct State {
        std::uint64_t answered = 0, asked_around = 0;
        Announcements announcements;
    };
    enum class Exit : std::uint8_t { malformed, own_address, announcement, count_ };
    static constexpr std::array<std::string_view, 3> exit_names = {
        "neighbours.malformed", "neighbours.own_address", "neighbours.announcement"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State& state, dataplane::Exits<Exit>&, dataplane::Emit& emit) {
        state.announcements.tick(emit);
    }
    static void counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
        sink.add("weir_neighbour_answers_total", {}, state.answered);
        sink.add("weir_neighbour_questions_flooded_total", {}, state.asked_around);
        sink.add("weir_neighbour_announcements_total", {}, state.announcements.sent());
    }
};
static_assert(dataplane::Stage<Neighbours>);

}  // namespace weir::switching
