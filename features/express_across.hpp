#pragma once
#include "features/express.hpp"
#include "features/express_route.hpp"

// What packets of fused records have in common, whether they move them or not. Not for others.
namespace weir::features {

inline const Express::Crossing* Express::crossing_of(flow::FlowPair& pair, std::uint8_t direction,
                                                     const dataplane::PortEntry& from) {
    const flow::Hot& own = pair.hot[direction];
    const Crossing& known = crossings_[own.program % crossings_.size()];
    if (known.number == own.program && known.era == own.era() && known.from == &from) [[likely]]
        return &known;
    return find_crossing(pair, direction, from);
}

inline void Express::count_across(flow::Hot& own, net::Packet& p, const Crossing& way,
                                  const net::QuickFrame& q) {
    ++own.packets;
    own.bytes += p.length;
    ++crossed_;
    if (!way.straight) [[unlikely]]
        route(p, way.program, q);
    emit_.forward(p, way.program.egress_port);
}

}  // namespace weir::features
