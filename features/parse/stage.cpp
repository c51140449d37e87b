#include "features/parse/stage.hpp"

#include "dataplane/dispatch.hpp"
#include "net/checksum.hpp"

namespace weir::parse {

void Parse::run(dataplane::Burst& burst, const Tables&, State&, dataplane::Exits<Exit>& exits,
                dataplane::Emit& emit) {
    for (dataplane::Packet* p : burst.packets()) {
        const dataplane::PortEntry* port = emit.ports->at(p->hand.port);
        if (!port || port->role != dataplane::PortRole::guest) {
            exits.take(*p, Exit::port_not_realised);
            continue;
        }
        p->source_port = port->index;
        p->vni = p->hand.vni = port->vni;
        p->hand.source_port = port->index;
        if (const net::ParseError error = net::parse(*p); error != net::ParseError::none) {
            exits.take(*p, exit_of(error));
            continue;
        }
        if (p->hand.fragment_known) {
            p->tuple.src_port = p->hand.fragment_src_port;
            p->tuple.dst_port = p->hand.fragment_dst_port;
        }
        p->hash = net::symmetric_hash(p->tuple);
        if (dataplane::dispatch(*p, emit)) continue;
        if ((p->flags & net::packet_partial_checksum) && !net::resolve_partial_checksum(*p))
            exits.take(*p, Exit::bad_l4_checksum);
    }
}

}  // namespace weir::parse
