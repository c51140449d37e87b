#pragma once
#include <cstdint>
#include <functional>
#include <map>
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
// `port-link` {port, up}. What was bad once is told again, for a controller that missed it. And of
// an underlay whose MTU is below what tunnels need (spec service-plane DP-24): `mtu-too-small`.
class LinkNews {
public:
    using Tell = std::function<void(const std::string& json)>;
    static constexpr std::uint64_t again_ns = 30'000'000'000;

    void look(const std::map<std::string, HostPort>& ports, std::uint64_t now_ns, const Tell& tell);

private:
    struct Told {
        bool up = true;
        bool was_bad = false;  // at some time, as this process saw it
    };
    void look_at_mtu(const std::map<std::string, HostPort>& ports, const Tell& tell);

    std::map<std::string, Told> told_;
    UnderlayMtu small_;  // as was told
    std::uint64_t told_ns_ = 0;
};

}  // namespace weir::host
