#pragma once
#include "dataplane/topology.hpp"
#include "net/wire.hpp"

namespace weir::dataplane {

// Bytes a guest's IP packet gains on the underlay, from the outer IP header on: outer IP, UDP,
// Geneve with the SERVICED and TRACE options, inner Ethernet with a VLAN tag (spec service-plane
// DP-24).
inline std::uint32_t tunnel_overhead(const Topology& topology) {
    constexpr std::uint32_t options = 12 + 16;
    const std::uint32_t ip = topology.tunnel_address.is4() ? net::ip4_min_bytes : net::ip6_bytes;
    return ip + net::udp_bytes + net::geneve_bytes + options + net::ethernet_bytes +
           net::vlan_bytes;
}

}  // namespace weir::dataplane
