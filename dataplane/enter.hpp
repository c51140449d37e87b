#pragma once
#include "dataplane/emit.hpp"

namespace weir::dataplane {

// The packet is about to reach a guest port of this host: its context starts, here or in the engine
// that owns the port.
inline void enter_destination(Packet& p, const PortEntry& port, Emit& emit) {
    p.destination_port = port.index;
    p.hand.port = port.index;
    p.hand.vni = p.vni = port.vni;
    p.hand.entry = net::Entry::deliver;
    p.program = nullptr;
    p.flow = nullptr;
    if (port.foreign) {
        emit.hand_to_engine(p);
        return;
    }
    emit.enter(p, Context::destination);
}

}  // namespace weir::dataplane
