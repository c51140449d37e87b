#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"

namespace weir::guard {

// Drops what a guest sends in somebody else's name (spoof guard). Runs before anything is
// remembered.
struct Guard {
    static constexpr std::string_view name = "guard";
    using Tables = dataplane::NoTables;
    using State = dataplane::NoState;
    enum class Exit : std::uint8_t {
        multicast_source,
        foreign_mac,
        foreign_address,
        foreign_claim,
        count_
    };
    static constexpr std::array<std::string_view, 4> exit_names = {
        "guard.multicast_source", "guard.foreign_mac", "guard.foreign_address",
        "guard.foreign_claim"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
};
static_assert(dataplane::Stage<Guard>);

// Whether the guest of the port may use the address as its own.
bool owns(const dataplane::PortEntry& port, const net::Ip& ip, const dataplane::Emit& emit);

}  // namespace weir::guard
