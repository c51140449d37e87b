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
    std::uint32_t window = 512;  // connections being opened at a time
    std::uint32_t flight = 0;    // packets of a side under way at a time, which may
                                 // overtake each other; 0: any number, in order
};

// "work=tcp flows=1000 …", names as above; work and page are needed, others have defaults.
Result<Settings> parse_settings(std::string_view text);

}  // namespace weir::gen
