#include "features/switching/locate.hpp"

#include "dataplane/enter.hpp"
#include "flow/record.hpp"
#include "net/trace_id.hpp"

namespace weir::switching {

namespace {

using dataplane::Emit;
using dataplane::Packet;
using dataplane::PortEntry;

// A copy for every local port but the last, which gets the frame itself.
bool replicate(Packet& p, const dataplane::SegmentEntry& segment, Emit& emit) {
    const PortEntry* last = nullptr;
    for (const std::uint32_t index : segment.local_ports) {
        const PortEntry* port = emit.ports->at(index);
        if (!port) continue;
        if (last)
            if (Packet* copy = emit.clone(p)) dataplane::enter_destination(*copy, *last, emit);
        last = port;
    }
    if (!last) return false;
    dataplane::enter_destination(p, *last, emit);
    return true;
}

// To the host that the guest moved to a moment ago: the sender does not know yet.
bool send_on(Packet& p, const net::Mac& to, Emit& emit) {
    if (emit.ports->moved.empty()) return false;
    const dataplane::MovedPort* moved = emit.ports->moved_mac(p.vni, to, emit.now_ns);
    if (!moved || !emit.ports->peer(moved->to_host)) return false;
    emit.note(p, "moved", moved->name);
    p.tunnel_peer = moved->to_host;
    emit.enter(p, dataplane::Context::source, emit.stages->encap);
    return true;
}

}  // namespace

void Locate::run(dataplane::Burst& burst, const Tables&, State&, dataplane::Exits<Exit>& exits,
                 Emit& emit) {
    for (Packet* p : burst.packets()) {
        const dataplane::SegmentEntry* segment = emit.ports->segment(p->vni);
        const net::Mac to = net::Mac::from(p->data);
        if (!segment) {
            exits.take(*p, Exit::unknown_destination);
            continue;
        }
        if (to.is_multicast()) {
            if (!replicate(*p, *segment, emit)) exits.take(*p, Exit::no_receiver);
            continue;
        }
        const auto found = segment->by_mac.find(to);
        const PortEntry* port =
            found == segment->by_mac.end() ? nullptr : emit.ports->at(found->second.port);
        if (!port) {
            if (!send_on(*p, to, emit)) exits.take(*p, Exit::unknown_destination);
            continue;
        }
        emit.note(*p, "to", port->name);
        dataplane::enter_destination(*p, *port, emit);
    }
}

void Deliver::run(dataplane::Burst& burst, const Tables&, State& state,
                  dataplane::Exits<Exit>& exits, Emit& emit) {
    for (Packet* p : burst.packets()) {
        const PortEntry* port = emit.ports->at(dataplane::context_port(*p));
        if (p->flow && !p->flow->condemned && !p->program->behind_is(port->epoch, emit.engine)) {
            p->program->act_behind = emit.stages->deliver;
            p->program->behind_epoch = port->epoch;
            p->program->behind_engine = emit.engine;
            emit.store_program(*p);
        }
        emit.note(*p, "port", port->name);
        // A question, not a packet of anybody's.
        if (p->hand.trace_id != 0 && (p->hand.trace_id & net::trace_delivers) == 0) {
            exits.take(*p, Exit::traced);
            continue;
        }
        ++state.delivered;
        emit.transmit(*p, port->index);
    }
}

}  // namespace weir::switching
