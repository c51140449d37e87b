#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"

namespace weir::routing {

// Decides where packets to the router's MAC go: longest prefix, then the neighbour's MAC and place.
struct Route {
    static constexpr std::string_view name = "route";
    using Tables = dataplane::NoTables;
    using State = dataplane::NoState;
    enum class Exit : std::uint8_t { no_route, no_neighbour, to_router, count_ };
    static constexpr std::array<std::string_view, 3> exit_names = {
        "route.no_route", "route.no_neighbour", "route.to_router"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
};
static_assert(dataplane::Stage<Route>);

}  // namespace weir::routing
