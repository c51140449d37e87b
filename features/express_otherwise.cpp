// Packets that Express does not carry to their end.
#include "base/check.hpp"
#include "dataplane/enter.hpp"
#include "features/express.hpp"
#include "net/parse.hpp"

namespace weir::features {

using net::Packet;

// The first packet of a flow that the guest may not begin.
bool Express::refuse(const Lane& lane) {
    Packet& p = *lane.packet;
    if (!first_.refuse({*lane.port, lane.frame, p.data + lane.frame.l4, p.length, true}))
        return false;
    p.slot = net::no_slot;
    emit_.drop(p);
    return true;
}

// The guest that sent it is done with it; the stages of its receiver begin.
void Express::reach_guest_by_stages(Lane& lane) {
    Packet& p = *lane.packet;
    const std::uint32_t source = p.hand.source_port;
    p.clear_scratch();
    const net::ParseError error = net::parse(p);
    WEIR_CHECK(error == net::ParseError::none, "what was read quickly can be read");
    p.hash = lane.frame.hash;
    p.source_port = source;
    dataplane::enter_destination(p, *lane.port, emit_);
}

}  // namespace weir::features
