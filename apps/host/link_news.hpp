#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "apps/host/port_set.hpp"

namespace weir::host {

// What the underlay's packets may have at most, and what tunnels need for the largest port here.
struct UnderlayMtu {
    std::uint32_t have = 0;  // 0: there is no underlay
    std::uint32_t needed = 0;
    friend bool operator==(const UnderlayMtu&, const UnderlayMtu&) = default;
};
UnderlayMtu underlay_mtu(const std::map<std::string, HostPort>& ports);

// Tells of ports whose device is not there or has no link, and of their return: the event
// `port-link` {port, up}. Down at once; up when the link has held for a while, longer each time it
// fails soon again (as nodes that are judged alive, dataplane/liveness.hpp). Once a second of a
// port at most, the last state counts. What was bad once, and what is a service node's, is told
// again, for a controller that missed it, or heard it before the port mattered. And of an underlay
// whose MTU is below what tunnels need (spec service-plane DP-24): `mtu-too-small`.
class LinkNews {
public:
    using Tell = std::function<void(const std::string& json)>;
    static constexpr std::uint64_t again_ns = 30'000'000'000;
    static constexpr std::uint64_t pause_ns = 1'000'000'000;  // between two words of a port

    void look(const std::map<std::string, HostPort>& ports, std::uint64_t now_ns, const Tell& tell);

private:
    struct Told {
        bool up = true;           // as was told
        bool was_bad = false;     // at some time, as this process saw it
        std::uint64_t at_ns = 0;  // when
        std::uint64_t down_ns = 0, hold_up_ns = 0;  // of the last time that a link was lost
        std::optional<std::uint64_t> up_since_ns;   // the link itself
    };
    static bool is_news(Told& told, bool up, std::uint64_t now_ns);
    static void take(Told& told, bool up, bool is_new, std::uint64_t now_ns);
    void look_at_mtu(const std::map<std::string, HostPort>& ports, const Tell& tell);

    std::map<std::string, Told> told_;
    UnderlayMtu small_;  // as was told
    std::uint64_t told_ns_ = 0;
};

}  // namespace weir::host
