#include "features/overlay/encap.hpp"

#include "features/overlay/service_leg.hpp"
#include "net/arp.hpp"
#include "net/geneve.hpp"
#include "net/nd.hpp"

namespace weir::overlay {

namespace {

using dataplane::Emit;
using dataplane::Packet;

constexpr std::uint64_t refresh_ns = 30'000'000'000, forget_ns = 60'000'000'000;
constexpr std::uint64_t wait_ns = 1'000'000'000, ask_again_ns = 100'000'000;
constexpr std::uint8_t outer_ttl = 64;

// The address to resolve on the underlay: the peer itself, or the gateway when it is off-link.
net::Ip next_hop(const dataplane::Topology& topology, const net::Ip& peer) {
    if (topology.underlay_gateway.is_zero()) return peer;
    const net::Prefix link =
        net::Prefix{topology.tunnel_address, topology.underlay_prefix_length}.network();
    return link.contains(peer) ? peer : topology.underlay_gateway;
}

// What is known of the neighbour, unless it has been silent for too long.
NeighbourCache::Found look_up(const net::Ip& address, const Encap::State& state, const Emit& emit) {
    NeighbourCache::Found found =
        state.cache ? state.cache->find(address) : NeighbourCache::Found{};
    found.known = found.known && emit.now_ns - found.learned_ns < forget_ns;
    return found;
}

void ask(const net::Ip& address, Encap::State& state, Emit& emit) {
    if (address == state.asked && emit.now_ns - state.asked_ns < ask_again_ns) return;
    Packet* question = emit.allocate();
    if (!question) return;
    const net::Ip& self = emit.ports->tunnel_address;
    const net::Mac& mac = emit.ports->underlay_mac;
    const bool built = address.is4()
                           ? net::write_arp_request(*question, mac, self, address)
                           : net::write_neighbour_solicitation(*question, mac, self, address);
    if (!built) {
        emit.release(*question);
        return;
    }
    state.asked = address;
    state.asked_ns = emit.now_ns;
    ++state.questions;
    emit.transmit(*question, emit.ports->underlay_port);
}

// Orders of many nodes need more room than a packet comes with: it comes here again in a buffer
// that has it.
void widen(Packet& p, dataplane::Exits<Encap::Exit>& exits, Emit& emit) {
    Packet* wider = with_headroom(p, emit);
    if (!wider) return exits.take(p, Encap::Exit::no_headroom);
    emit.release(p);
    emit.enter(*wider, dataplane::Context::service, emit.stages->service_from_anchor);
}

bool push_tunnel_header(Packet& p) {
    net::GeneveHeader header;
    header.vni = p.vni;
    const net::SmdTrace trace{p.hand.trace_id, p.hand.trace_collector};
    if (trace.trace_id != 0) header.trace = &trace;
    const net::Serviced serviced{p.hand.serviced_flags, p.hand.serviced_sci,
                                 p.hand.serviced_anchor};
    if (serviced.flags != 0) header.serviced = &serviced;
    return net::push_geneve(p, header);
}

// The packet starts with its Geneve header; `peer` is known.
bool push_outer(Packet& p, const dataplane::Peer& peer, const net::Mac& to, const Emit& emit) {
    const net::OuterAddresses way{emit.ports->tunnel_address, peer.address,
                                  emit.ports->underlay_mac, to};
    return net::push_outer(p, way, net::outer_source_port(p.hash), outer_ttl);
}

// For the next packets to that peer.
void keep_header(const Packet& p, std::uint32_t peer, const NeighbourCache::Found& found,
                 std::uint32_t changes, Encap::State& state, const Emit& emit) {
    if (p.headers.family != net::Family::ip4) return;
    const std::uint64_t until_ns = found.learned_ns + refresh_ns;
    if (state.headers.find(peer, emit.ticket, changes, emit.now_ns)) return;
    state.headers.keep(p.data, {peer, changes, emit.ticket, until_ns});
}

}  // namespace

void Encap::run(dataplane::Burst& burst, const Tables& tables, State& state,
                dataplane::Exits<Exit>& exits, Emit& emit) {
    Signer signer{tables, state.windows, state.numbers};
    const std::uint32_t changes = state.cache ? state.cache->changes() : 0;  // before any look
    for (Packet* p : burst.packets()) {
        const bool service =
            static_cast<dataplane::Context>(p->context) == dataplane::Context::service;
        const dataplane::Peer* peer = emit.ports->peer(p->tunnel_peer);
        if (!peer) {
            exits.take(*p, Exit::unknown_peer);
            continue;
        }
        if (emit.ports->underlay_port == net::no_port) {
            exits.take(*p, Exit::no_underlay);
            continue;
        }
        if (service && !has_headroom(*p)) [[unlikely]] {
            widen(*p, exits, emit);
            continue;
        }
        emit.note(*p, "peer", peer->name);
        emit.note(*p, "vni", p->vni);
        const std::uint32_t outer = peer->address.is4() ? 20 + 8 : 40 + 8;
        const bool pushed = service ? push_service_leg(*p, emit.ports->segment(p->vni), signer)
                                    : push_tunnel_header(*p);
        if (!pushed || p->length + outer > emit.ports->underlay_mtu) {
            exits.take(*p, Exit::mtu);
            continue;
        }
        PeerPackets::Count& sent = state.sent.of(peer->host_id);
        ++(service ? sent.service : sent.guest);
        const net::Ip hop = next_hop(*emit.ports, peer->address);
        const auto found = look_up(hop, state, emit);
        if (!found.known || emit.now_ns - found.learned_ns > refresh_ns) ask(hop, state, emit);
        if (!found.known) {
            if (!state.waiting.hold(*p, emit.now_ns + wait_ns, hop, emit))
                exits.take(*p, Exit::no_neighbour);
            continue;
        }
        if (!push_outer(*p, *peer, found.mac, emit)) {
            exits.take(*p, Exit::mtu);
            continue;
        }
        keep_header(*p, peer->host_id, found, changes, state, emit);
        emit.transmit(*p, emit.ports->underlay_port);
    }
}

void Encap::tick(const Tables&, State& state, dataplane::Exits<Exit>& exits, Emit& emit) {
    state.waiting.release([&](auto& held) {
        Packet& p = *held.packet;
        const auto found = look_up(held.what, state, emit);
        const dataplane::Peer* peer = emit.ports->peer(p.tunnel_peer);
        if (found.known && peer && push_outer(p, *peer, found.mac, emit)) {
            emit.transmit(p, emit.ports->underlay_port);
        } else if (emit.now_ns >= held.until_ns || !peer) {
            exits.note(peer ? Exit::no_neighbour : Exit::unknown_peer);
            emit.release(p);
        } else {
            ask(held.what, state, emit);
            return false;
        }
        return true;
    });
}

void Encap::leave(State& state, dataplane::Exits<Exit>& exits, Emit& emit) {
    state.waiting.release([&](auto& held) {
        exits.note(Exit::no_neighbour);
        emit.release(*held.packet);
        return true;
    });
}

}  // namespace weir::overlay
