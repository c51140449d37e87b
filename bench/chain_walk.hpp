#pragma once
#include <cstdint>
#include <string_view>

// What chained packets cost the engine; for path_cost.
namespace weir::bench {

// A chain of `hops` services, and which part of its packets' way is measured.
struct ChainPath {
    enum class Part : std::uint8_t {
        whole,  // guest, every node of this host in turn, guest
        out,    // guest of this host to the tunnel
        hop,    // tunnel, node of this host, tunnel
        back    // tunnel, guest of this host
    };
    std::string_view name;
    std::uint32_t hops = 1;
    Part part = Part::whole;
    bool l2 = false;   // nodes are bumps in the wire, told apart by VLAN tags; else aware (NSH)
    bool nsh = false;  // between hosts the metadata is an NSH, not a Geneve option
};
inline constexpr ChainPath chain_paths[] = {
    {"chained_1", 1},
    {"chained_2", 2},
    {"chained_4", 4},
    {"chained_8", 8},
    {"chained_l2_1", 1, ChainPath::Part::whole, true},
    {"chained_l2_2", 2, ChainPath::Part::whole, true},
    {"chained_out", 1, ChainPath::Part::out},
    {"chained_hop", 1, ChainPath::Part::hop},
    {"chained_back", 1, ChainPath::Part::back},
    {"chained_nsh_out", 1, ChainPath::Part::out, false, true},
    {"chained_nsh_hop", 1, ChainPath::Part::hop, false, true},
    {"chained_nsh_back", 1, ChainPath::Part::back, false, true},
};

// Sends `bursts` bursts of 32 packets of 256 established flows that way; ends the process if one is
// lost, or if one of them had rules asked or a path chosen.
void measure_chain(const ChainPath& path, std::uint32_t bursts);

}  // namespace weir::bench
