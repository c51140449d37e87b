#include "features/switching/switch.hpp"

namespace weir::switching {

namespace {

using dataplane::Egress;
using dataplane::Emit;
using dataplane::Packet;
using dataplane::SegmentEntry;

// One receiver of a frame for everybody.
struct Receiver {
    Egress egress = Egress::none;
    std::uint32_t port = net::no_port;
    std::uint32_t host = 0;
};

void address(Packet& p, const Receiver& to, const SegmentEntry& segment) {
    p.program = dataplane::own_program(p);
    p.program->egress = to.egress;
    p.program->egress_port = to.port;
    p.program->peer = to.host;
    p.program->vni = segment.vni;
    p.program->mtu = 0;  // a frame for everybody is not cut
}

// Copies for all receivers but the last, which gets the frame itself. False: nobody is there.
bool replicate(Packet& p, const SegmentEntry& segment, Switch::State& state, Emit& emit) {
    Receiver last;
    std::size_t copies = 0;
    const auto receive = [&](const Receiver& next) {
        if (last.egress != Egress::none && copies < limits::max_replicas) {
            if (Packet* copy = emit.clone(p)) {
                address(*copy, last, segment);
                emit.enter(*copy, dataplane::Context::source, p.pending);
                ++state.replicated;
                ++copies;
            }
        }
        last = next;
    };
    for (const std::uint32_t port : segment.local_ports)
        if (port != p.source_port) receive({Egress::local_port, port, 0});
    for (const std::uint32_t host : segment.remote_hosts)
        receive({Egress::tunnel, net::no_port, host});
    if (last.egress == Egress::none) return false;
    address(p, last, segment);
    return true;
}

}  // namespace

void Switch::run(dataplane::Burst& burst, const Tables&, State& state,
                 dataplane::Exits<Exit>& exits, Emit& emit) {
    for (Packet* p : burst.packets()) {
        if (p->program->egress != Egress::none) continue;  // a copy that has its way
        const SegmentEntry* segment = emit.ports->segment(p->vni);
        const net::Mac to = net::Mac::from(p->data);
        if (!segment) {
            exits.take(*p, Exit::unknown_destination);
            continue;
        }
        if (to.is_multicast()) {
            if (!replicate(*p, *segment, state, emit)) exits.take(*p, Exit::no_receiver);
            continue;
        }
        if (segment->router != net::no_port && emit.ports->routers[segment->router].mac == to)
            continue;  // route decides
        const auto found = segment->by_mac.find(to);
        if (found == segment->by_mac.end()) {
            exits.take(*p, Exit::unknown_destination);
        } else if (found->second.port == p->source_port && found->second.local()) {
            exits.take(*p, Exit::hairpin);
        } else {
            dataplane::ActionProgram& program = *p->program;
            program.egress = found->second.local() ? Egress::local_port : Egress::tunnel;
            program.egress_port = found->second.port;
            program.peer = found->second.host_id;
            program.vni = segment->vni;
            program.mtu = static_cast<std::uint16_t>(segment->mtu);
            emit.note(*p, "to", found->second.port_name);
        }
    }
}

}  // namespace weir::switching
