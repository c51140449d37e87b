#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace weir::gen {

enum class Work : std::uint8_t {
    udp,       // packets of known flows
    tcp,       // connections opened once, then data both ways for ever
    new_udp,   // every packet of a flow of its own
    full_tcp,  // connections of eight packets, one after the other
};

// What side a sends beside that, as much of it as the page says; see noise.hpp.
enum class NoiseKind : std::uint8_t { none, bad, syn };

// What service nodes do with a packet; all give it back unchanged, without any work of their own.
enum class Nodes : std::uint8_t {
    none,
    wire,  // a bump in the wire: out of the other one of its two ports
    turn,  // out of its only port, to whom it came from: MACs swapped
    echo,  // out of its only port as it came
};
// What the other host does with what comes through the tunnel; see hop_host.hpp.
enum class Far : std::uint8_t { none, smd, nsh, echo };

// What is sent, and what must come back.
struct Settings {
    std::string page;  // file of gen::Page
    Work work = Work::udp;
    bool ip6 = false;
    std::uint32_t flows = 1000;
    bool answers = true;   // side b sends too
    bool from_b = false;   // side b sends, side a only takes
    bool routed = false;   // through the router: its MAC, one hop less
    bool swapped = false;  // the side under test only swaps MACs
    bool tunnel = false;   // side b is the underlay: Geneve there, plain frames at side a
    bool imix = false;     // 7 × 60, 4 × 566, 1 × 1510 bytes; udp over IPv4 only
    NoiseKind noise = NoiseKind::none;
    bool apart = false;          // the noise comes from a port of its own, as much as is asked for
    Nodes nodes = Nodes::none;   // behind ports first_node_port …
    Far far = Far::none;         // behind port far_port
    std::uint32_t window = 512;  // connections being opened at a time
    std::uint32_t parts = 1;     // queues that each side's port has, each with flows of its own
    std::uint32_t flight = 0;    // packets of a side under way at a time, which may
                                 // overtake each other; 0: any number, in order
};

inline constexpr std::uint32_t most_parts = 8;
inline constexpr std::uint32_t far_port = 2;
inline constexpr std::uint32_t noise_port = 3;
inline constexpr std::uint32_t first_node_port = 10;  // even: left, the next one: right

// "work=tcp flows=1000 …", names as above; work and page are needed, others have defaults.
Result<Settings> parse_settings(std::string_view text);

}  // namespace weir::gen
