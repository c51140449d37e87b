#include <algorithm>

#include "dataplane/dispatch.hpp"
#include "features/overlay/service_leg.hpp"
#include "features/overlay/underlay.hpp"
#include "net/arp.hpp"
#include "net/checksum.hpp"
#include "net/geneve.hpp"
#include "net/nd.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::overlay {

namespace {

using dataplane::Emit;
using dataplane::Packet;

enum class Taken : std::uint8_t { no, ended, answered };

// ARP: learn who speaks, answer who asks for us.
Taken arp(Packet& p, Outer::State& state, Emit& emit) {
    const auto arp = net::read_arp(p);
    if (!arp) return Taken::ended;
    if (!arp->sender.is_zero() && state.cache)
        state.cache->learn(arp->sender, arp->sender_mac, emit.now_ns);
    if (arp->operation != net::ArpOperation::request || arp->target != emit.ports->tunnel_address)
        return Taken::ended;
    if (!net::write_arp_reply(p, *arp, emit.ports->underlay_mac)) return Taken::ended;
    emit.transmit(p, emit.ports->underlay_port);
    return Taken::answered;
}

Taken neighbour_discovery(Packet& p, Outer::State& state, Emit& emit) {
    const auto neighbour = net::read_neighbour(p);
    if (!neighbour) return Taken::no;
    const net::Ip& speaker = neighbour->solicitation ? neighbour->src : neighbour->target;
    if (neighbour->link_address && !speaker.is_zero() && state.cache)
        state.cache->learn(speaker, *neighbour->link_address, emit.now_ns);
    if (!neighbour->solicitation || neighbour->target != emit.ports->tunnel_address)
        return Taken::ended;
    const net::Mac asker = net::Mac::from(p.data + 6);
    if (!net::write_neighbour_advertisement(p, *neighbour, asker, emit.ports->underlay_mac, false))
        return Taken::ended;
    emit.transmit(p, emit.ports->underlay_port);
    return Taken::answered;
}

// The worker that owns the inner flow gets the whole packet, as it came.
bool send_to_owner(Packet& p, Emit& emit) {
    if (emit.workers == 1 || p.hand.dispatched >= 2) return false;
    net::GeneveView view;
    if (net::decode(p.bytes().subspan(p.headers.payload), view) != net::GeneveError::none)
        return false;
    net::Headers inner_headers;
    net::Tuple inner;
    const dataplane::SegmentEntry* segment = emit.ports->segment(view.vni);
    const bool nsh = segment && segment->service && segment->nsh;
    const auto frame = nsh ? frame_behind_nsh(view.inner) : view.inner;
    if (net::parse_inner(frame, inner_headers, inner) != net::ParseError::none) return false;
    const dataplane::Home home =
        dataplane::home_of(inner_headers, inner, p.hand, emit.workers, emit.worker);
    if (p.hand.dispatched >= home.dispatched) return false;
    p.hand.dispatched = home.dispatched;
    if (home.worker == emit.worker) return false;
    emit.hand_to_worker(p, home.worker);
    return true;
}

// The outer headers of what claims to be a tunnel packet.
OuterExit check(const Packet& p, const Emit& emit) {
    if (p.headers.fragment != net::Fragment::whole) return OuterExit::fragment;
    if (p.headers.proto != net::proto_udp || p.tuple.dst_port != net::udp_port_geneve)
        return OuterExit::not_geneve;
    if (net::load16(p.data + p.headers.l4 + 6) != 0 && !net::l4_checksum_ok(p))
        return OuterExit::bad_checksum;
    if (!emit.ports->peer_by_address.contains(p.tuple.src)) return OuterExit::unknown_tep;
    return OuterExit::count_;
}

}  // namespace

void Outer::run(dataplane::Burst& burst, const Tables&, State& state, dataplane::Exits<Exit>& exits,
                Emit& emit) {
    for (Packet* p : burst.packets()) {
        if (net::parse(*p) != net::ParseError::none) {
            exits.take(*p, Exit::bad_packet);
            continue;
        }
        Taken taken = Taken::no;
        if (p->headers.ethertype == net::ethertype_arp) taken = arp(*p, state, emit);
        else if (p->headers.proto == net::proto_icmp6) taken = neighbour_discovery(*p, state, emit);
        if (taken == Taken::answered) continue;
        if (taken == Taken::ended) {
            exits.take(*p, Exit::neighbour);
            continue;
        }
        if (p->headers.family == net::Family::none || p->tuple.dst != emit.ports->tunnel_address) {
            exits.take(*p, Exit::not_ours);
            continue;
        }
        if (const Exit why = check(*p, emit); why != Exit::count_) {
            exits.take(*p, why);
            continue;
        }
        p->tunnel_peer = emit.ports->peer_by_address.find(p->tuple.src)->second;
        send_to_owner(*p, emit);
    }
}

}  // namespace weir::overlay
