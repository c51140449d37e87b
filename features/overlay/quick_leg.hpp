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

}  // namespace weir::overlay
