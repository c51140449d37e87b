#pragma once
#include "dataplane/topology.hpp"
#include "net/geneve.hpp"
#include "net/nsh.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::dataplane {

inline constexpr std::uint32_t option_header_bytes = 4, trace_option_bytes = 16;

// Outer IP, UDP, Geneve, and the inner Ethernet header with a VLAN tag of the guest.
inline std::uint32_t outer_overhead(const Topology& topology) {
    const std::uint32_t ip = topology.tunnel_address.is4() ? net::ip4_min_bytes : net::ip6_bytes;
    return ip + net::udp_bytes + net::geneve_bytes + net::ethernet_bytes + net::vlan_bytes;
}

// Bytes a guest's IP packet gains on the underlay, from the outer IP header on, with the SERVICED
// and TRACE options (spec service-plane DP-24).
inline std::uint32_t tunnel_overhead(const Topology& topology) {
    constexpr std::uint32_t serviced_option_bytes = 12;
    return outer_overhead(topology) + serviced_option_bytes + trace_option_bytes;
}

// The same between hosts of a service segment: the metadata, as an option or as NSH, AUTH where
// packets are signed, and TRACE.
inline std::uint32_t service_overhead(const Topology& topology, const SegmentEntry& segment) {
    constexpr std::uint32_t smd = option_header_bytes + net::smd_bytes;
    constexpr std::uint32_t nsh = net::ethernet_bytes + net::nsh_md2_bytes;
    const std::uint32_t auth = segment.signed_legs ? option_header_bytes + net::auth_bytes : 0;
    return outer_overhead(topology) + (segment.nsh ? nsh : smd) + auth + trace_option_bytes;
}

}  // namespace weir::dataplane
