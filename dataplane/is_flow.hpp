#pragma once
#include "net/ethernet.hpp"
#include "net/packet.hpp"

namespace weir::dataplane {

// Whether the parsed packet is of a flow. Multicast, broadcast and non-IP packets have no record.
inline bool is_flow(const net::Packet& p) {
    return p.headers.family != net::Family::none && !net::Mac::from(p.data).is_multicast() &&
           !p.tuple.dst.is_multicast() && !p.tuple.dst.is_broadcast();
}

}  // namespace weir::dataplane
