#pragma once
#include <cstdint>

#include "features/overlay/tunnel_header.hpp"
#include "net/smd.hpp"

namespace weir::overlay {

// What another host sends on the service plane as nearly all of it is: the metadata in its usual
// form, alone. Decap judges everything else.
struct QuickLeg {
    const std::uint8_t* macs = nullptr;  // of the service plane: to, from
    std::uint32_t inner = 0;             // offset of the guest's frame
};
// `nsh`: the segment's form between hosts. Fills `smd`. False: Decap must look.
bool read_quick_leg(const std::uint8_t* packet, const QuickTunnel& tunnel, bool nsh, net::Smd& smd,
                    QuickLeg& out);

// Puts what push_service_leg() puts in front of an unsigned packet without orders and trace, and
// the outer headers of `header`. `p` begins with the addresses of the plane and has
// `quick_leg_room` bytes of headroom. `hash`: of the guest's flow.
inline constexpr std::uint32_t quick_leg_room = 128;
void push_quick_leg(net::Packet& p, const TunnelHeader& header, bool nsh, std::uint32_t hash);

// What that makes the guest's frame longer by, as IP packet of the underlay.
std::uint32_t quick_leg_overhead(bool nsh);

}  // namespace weir::overlay
