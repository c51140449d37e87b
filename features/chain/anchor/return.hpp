#pragma once
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "features/chain/anchor/path_times.hpp"
#include "features/chain/anchor/port_segments.hpp"
#include "features/chain/anchor/symmetry.hpp"
#include "features/chain/plane.hpp"
#include "flow/alias_homes.hpp"

namespace weir::chain {

// Takes packets back that have had their services, at the host that inserted them, and lets them go
// on behind the insertion point of their port (spec §3.6, R1 … R6).
struct Return {
    static constexpr std::string_view name = "return";
    enum class Exit : std::uint8_t {
        not_anchor,     // meant for another host, not on its chain's or port's segment, or of none
        stale_anchor,   // the port is gone, or another one has its index
        tuple_changed,  // a node without the right to do so changed addresses or ports
        count_
    };
    static constexpr std::array<std::string_view, 3> exit_names = {"NOT_ANCHOR", "STALE_ANCHOR",
                                                                   "TUPLE_CHANGED"};

    struct Tables {
        std::shared_ptr<const Plane> plane;
        PortSegments segments;
        std::vector<std::string> port_names;  // guest ports by index
    };
    struct PortCounters {
        std::uint64_t returned = 0, no_record = 0;
    };
    // How packets went on: by the flow's program as it was, by one to be compiled again, or by one
    // of their own, for want of a record.
    struct Resumed {
        std::uint64_t replayed = 0, compiled = 0, without_record = 0;
    };
    struct State {
        State() : ports(2 * limits::max_ports) {}
        void open(const dataplane::OpenInput& input) {
            bool fresh = false;
            homes = static_cast<flow::AliasHomes*>(
                input.pool(flow::AliasHomes::pool_name, sizeof(flow::AliasHomes),
                           flow::AliasHomes::layout_version, fresh));
            times.open(input);
        }
        PathTimes times;                    // of watched flows
        flow::AliasHomes* homes = nullptr;  // of translated tuples; null: there is no memory
        Resumed resumed;
        std::vector<PortCounters> ports;      // 2 × port index + call point
        std::array<std::uint64_t, 64> ttl{};  // packets by TTL at their return
        std::uint64_t translations = 0;       // further keys that flows got (R4)
        Symmetry symmetry;
        std::uint64_t told_ns = 0;    // when operators heard of an asymmetric flow last
        std::uint64_t handed_on = 0;  // to the worker or engine of the flow
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
};
static_assert(dataplane::Stage<Return>);

// A returning packet is at its anchor's port again, past the insertion point (R5).
void stand_at_port(net::Packet& p, const dataplane::PortEntry& port);

}  // namespace weir::chain
