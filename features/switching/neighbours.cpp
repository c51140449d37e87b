#include "features/switching/neighbours.hpp"

#include "net/arp.hpp"
#include "net/nd.hpp"
#include "net/wire.hpp"

namespace weir::switching {

namespace {

using dataplane::Emit;
using dataplane::Packet;
using dataplane::SegmentEntry;

enum class Known : std::uint8_t { no, own, yes };

struct Answer {
    Known known = Known::no;
    net::Mac mac;
    bool router = false;
};

// Who has `target` in the segment: its router or one of its ports.
Answer look_up(const SegmentEntry& segment, const net::Ip& target, std::uint32_t asker,
               const Emit& emit) {
    if (segment.router != net::no_port) {
        const dataplane::RouterEntry& router = emit.ports->routers[segment.router];
        for (const auto& interface : router.interfaces)
            if (interface.vni == segment.vni && interface.address == target)
                return {Known::yes, router.mac, true};
    }
    const auto found = segment.by_address.find(target);
    if (found == segment.by_address.end()) return {};
    const bool own = found->second.local() && found->second.port == asker;
    return {own ? Known::own : Known::yes, found->second.mac, false};
}

// What becomes of a question; count_: it goes on and everybody is asked.
Neighbours::Exit arp(Packet& p, const SegmentEntry& segment, Neighbours::State& state, Emit& emit) {
    const auto arp = net::read_arp(p);
    if (!arp) return Neighbours::Exit::malformed;
    // A reply nobody asked for, and "I am here": every host knows declared addresses already.
    if (arp->operation != net::ArpOperation::request || arp->sender == arp->target)
        return segment.learns ? Neighbours::Exit::count_ : Neighbours::Exit::announcement;
    const Answer answer = look_up(segment, arp->target, p.source_port, emit);
    if (answer.known == Known::own) return Neighbours::Exit::own_address;
    if (answer.known == Known::no) return Neighbours::Exit::count_;
    if (!net::write_arp_reply(p, *arp, answer.mac)) return Neighbours::Exit::malformed;
    ++state.answered;
    emit.transmit(p, p.source_port);
    return Neighbours::Exit::count_;
}

Neighbours::Exit discovery(Packet& p, const SegmentEntry& segment, Neighbours::State& state,
                           Emit& emit) {
    const auto neighbour = net::read_neighbour(p);
    if (!neighbour) return Neighbours::Exit::malformed;
    if (!neighbour->solicitation) {
        // An answer to somebody whose question was flooded goes to the asker; others are not
        // needed.
        return net::Mac::from(p.data).is_multicast() && !segment.learns
                   ? Neighbours::Exit::announcement
                   : Neighbours::Exit::count_;
    }
    const Answer answer = look_up(segment, neighbour->target, p.source_port, emit);
    if (answer.known == Known::own) return Neighbours::Exit::own_address;
    if (answer.known == Known::no) return Neighbours::Exit::count_;
    const net::Mac asker = net::Mac::from(p.data + 6);
    if (!net::write_neighbour_advertisement(p, *neighbour, asker, answer.mac, answer.router))
        return Neighbours::Exit::malformed;
    ++state.answered;
    emit.transmit(p, p.source_port);
    return Neighbours::Exit::count_;
}

bool is_discovery(const Packet& p) {
    return p.headers.proto == net::proto_icmp6 && p.headers.l4 != 0 &&
           (p.headers.icmp_type == net::icmp6_neighbour_solicitation ||
            p.headers.icmp_type == net::icmp6_neighbour_advertisement);
}

}  // namespace

void Neighbours::run(dataplane::Burst& burst, const Tables&, State& state,
                     dataplane::Exits<Exit>& exits, Emit& emit) {
    for (Packet* p : burst.packets()) {
        const SegmentEntry* segment = emit.ports->segment(p->vni);
        if (!segment) continue;
        const std::uint64_t taken = emit.taken, answered = state.answered;
        Exit why = Exit::count_;
        if (p->headers.ethertype == net::ethertype_arp) why = arp(*p, *segment, state, emit);
        else if (is_discovery(*p)) why = discovery(*p, *segment, state, emit);
        else continue;
        if (why != Exit::count_) exits.take(*p, why);
        else if (state.answered == answered && taken == emit.taken) ++state.asked_around;
    }
}

}  // namespace weir::switching
