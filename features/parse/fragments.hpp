#pragma once
#include <array>
#include <string_view>

#include "dataplane/hold.hpp"
#include "dataplane/no_tables.hpp"

namespace weir::parse {

// Gives later fragments the ports of their datagram's first one, so that they take its flow's way.
//
// Where the first one does not come, they go on as orphans (DP-12). Runs in both guest contexts.
// Memory is fixed: 1024 datagrams a worker, 64 fragments held at once.
struct Fragments {
    static constexpr std::string_view name = "fragments";
    using Tables = dataplane::NoTables;
    enum class Exit : std::uint8_t {
        hold_full,  // too many wait
        port_gone,  // its port went while it waited
        count_
    };
    static constexpr std::array<std::string_view, 2> exit_names = {"fragments.hold_full",
                                                                   "fragments.port_gone"};

    struct Datagram {
        net::Ip src, dst;
        std::uint32_t vni = 0, id = 0;
        std::uint64_t expires_ns = 0;  // 0: free
        std::uint16_t src_port = 0, dst_port = 0;
        std::uint8_t proto = 0;
    };
    struct Place {
        dataplane::Context context = dataplane::Context::source;
        std::uint32_t incarnation = 0;  // of the port whose context it waits in
    };
    struct State {
        std::array<Datagram, 1024> datagrams{};
        dataplane::HoldQueue<Place, 64> held;
        std::uint64_t remembered = 0;
        std::uint64_t orphans = 0;  // went on without ports
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    // What has waited in vain goes on as an orphan: Firewall and Insert judge it without ports.
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
        sink.add("weir_fragments_orphaned_total", {}, state.orphans);
    }
    // What waits here goes on waiting in the engine that has its port now.
    static void leave(State&, dataplane::Exits<Exit>&, dataplane::Emit&);
};
static_assert(dataplane::Stage<Fragments>);

}  // namespace weir::parse
