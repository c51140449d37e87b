#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"

namespace weir::ttl {

// Takes one hop from routed packets; the last hop is answered with "time exceeded".
struct Ttl {
    static constexpr std::string_view name = "ttl";
    using Tables = dataplane::NoTables;
    using State = dataplane::NoState;
    enum class Exit : std::uint8_t { expired, count_ };
    static constexpr std::array<std::string_view, 1> exit_names = {"ttl.expired"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
};
static_assert(dataplane::Stage<Ttl>);

}  // namespace weir::ttl
