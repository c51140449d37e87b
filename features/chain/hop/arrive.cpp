#include "features/chain/hop/arrive.hpp"

#include "features/chain/hop/resolve_step.hpp"
#include "features/chain/planned.hpp"
#include "net/bfd.hpp"
#include "net/bytes.hpp"
#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

using dataplane::Packet;
using Exit = Arrive::Exit;

constexpr Exit goes_on = Exit::count_;

// How the packet came.
struct Leg {
    std::uint32_t peer = 0;  // host
    bool l3 = false;         // with the guests' addresses
};

// SEC-6, in its order.
Exit check_metadata(const Packet& p) {
    switch (net::check_smd(p.smd)) {
        case net::SmdError::none:
            break;
        case net::SmdError::ttl_zero:
            return Exit::ttl_expired;
        case net::SmdError::too_many_hops:
        case net::SmdError::index_above_start:
            return Exit::bad_si;
        default:
            return Exit::bad_smd;
    }
    return net::check_inner_frame(p.bytes()) == net::SmdError::none ? goes_on : Exit::bad_smd;
}

// A control packet is one in both headers, brings a message, a BFD packet or word of a node that
// has moved, and ends at this host: those who read them take it from here.
Exit check_control(const Packet& p, const Plane& plane) {
    if (!p.oam || !p.smd.oam || !p.smd.returning) return Exit::bad_smd;
    if (p.ctrl_count == 0 && !net::bfd_payload(p) && !arrival_of(p)) return Exit::bad_smd;
    return p.smd.anchor_host == plane.host_id ? goes_on : Exit::not_anchor;
}

// MB-9: packets that are late for a node that was here and has gone. False: it has not, or too long
// ago, so that all who send have heard of it.
bool follows_node(const Hop& hop, const Plane& plane, Arrive::State& state, std::uint64_t now_ns) {
    const Move* move = hop.moving_to != 0 ? plane.move(hop.node_id) : nullptr;
    if (!move || move->from != plane.host_id) return false;
    const bool is_here = hop.host_id == plane.host_id && hop.port[0] != net::no_port;
    if (!is_here) state.moves.note_away(*move, now_ns);
    return state.moves.relays(*move, now_ns);
}

Exit relay(Packet& p, const Hop& hop, Arrive::State& state, dataplane::Emit& emit) {
    if (!spend_ttl(p.smd)) return Exit::ttl_expired;
    p.tunnel_peer = hop.moving_to;
    ++state.relayed;
    emit.note(p, "relayed", hop.node);
    return goes_on;
}

// The leg itself says what it is, whatever the segment's transport is here by now: while it is
// changed, hosts differ. NSH has no field that would say it, and has shown the addresses already.
Leg take_leg(Packet& p, const dataplane::Emit& emit) {
    // Between hosts they say nothing (§4.2), and are not to reach a node as its proxy's word.
    p.smd.live_query = p.smd.live_ack = false;
    const dataplane::SegmentEntry* segment = emit.ports->segment(p.vni);
    const bool nsh = segment && segment->nsh;
    const Leg leg{p.tunnel_peer, nsh ? segment->l3 : p.smd.original_dst.is_zero()};
    if (leg.l3 && !nsh) {
        p.smd.original_dst = net::destination_mac(p);
        p.smd.original_src = net::source_mac(p);
    }
    return leg;
}

// DP-23: the addresses of an L3 leg are the guests'. From here on the packet has those of the
// plane, like one that came by an L2 leg from `peer`.
void take_addresses(Packet& p, const net::Mac& to, std::uint32_t peer) {
    net::set_macs(p, to, net::service_plane_mac(peer));
}

// The node that the packet's index is for must be of this host, and the one it was addressed to.
Exit find_node(Packet& p, const Leg& leg, const Plane& plane, Arrive::State& state,
               dataplane::Emit& emit) {
    const NextHop* next = plane.next_hops.find(p.vni, p.smd);
    if (!next) return plane.next_hops.knows(p.vni, p.smd) ? Exit::bad_epoch : Exit::no_next_hop;
    const Hop& hop = *next->hop;
    const std::uint32_t port = hop.port[p.smd.reverse];
    if (leg.l3) take_addresses(p, hop.mac, leg.peer);
    if (net::destination_mac(p) != hop.mac) return Exit::wrong_node;
    if (hop.moving_to != 0 && follows_node(hop, plane, state, emit.now_ns)) [[unlikely]]
        return relay(p, hop, state, emit);
    if (hop.host_id != plane.host_id || port == net::no_port) return Exit::wrong_node;
    if (p.smd.copy != (hop.action == HopAction::copy)) return Exit::bad_smd;
    p.destination_port = port;
    ++state.for_nodes;
    return goes_on;
}

// "The node is here", says another host: believed of nodes that the controller has announced, and
// of the host they were to come to.
Exit take_arrival(const Packet& p, const net::Mac& mac, const Plane& plane, Arrive::State& state,
                  dataplane::Emit& emit) {
    const std::uint32_t node_id = net::load32(mac.bytes.data() + 2);
    const Move* move = plane.move(node_id);
    if (!move || mac != node_mac(node_id) || move->svni != p.vni || move->to != p.tunnel_peer)
        return Exit::unannounced;
    state.moves.note_away(*move, emit.now_ns);
    ++state.arrivals;
    return goes_on;
}

// CP-6: tables differ between hosts. In the name of the node that the packet was addressed to, by
// its MAC address or, on L3 legs, its place on the path.
void report(const Packet& p, Exit why, const Plane& plane, Arrive::State& state,
            dataplane::Emit& emit) {
    const StaleReason reason = why == Exit::no_next_hop ? StaleReason::no_entry
                               : why == Exit::bad_epoch ? StaleReason::bad_epoch
                                                        : StaleReason::none;
    if (reason == StaleReason::none) return;
    const net::Mac to = net::destination_mac(p);
    for (const LocalVnic& vnic : plane.vnics)
        if (vnic.node_id != 0 && vnic.mac == to)
            return report_stale(p, {reason, vnic.node_id, 0}, state.reports, emit);
    const NextHop* meant = plane.next_hops.of_any_epoch(p.vni, p.smd);
    if (meant && meant->hop->host_id == plane.host_id)
        report_stale(p, {reason, meant->hop->node_id, 0}, state.reports, emit);
}

}  // namespace

Result<std::shared_ptr<const Plane>> Arrive::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    return compile_plane(input, previous);
}

void Arrive::run(dataplane::Burst& burst, const Tables& plane, State& state,
                 dataplane::Exits<Exit>& exits, dataplane::Emit& emit) {
    for (Packet* p : burst.packets()) {
        if (p->tunnel_peer == net::no_port || p->destination_port != net::no_port) continue;
        const bool control = p->oam || p->smd.oam;
        Exit why = plane.in_span(p->vni, p->tunnel_peer) ? check_metadata(*p) : Exit::unknown_tep;
        if (why == goes_on && control) {
            why = check_control(*p, plane);
            const bool bare = why == goes_on && p->ctrl_count == 0;
            const auto arrived = bare ? arrival_of(*p) : std::nullopt;
            if (arrived && (why = take_arrival(*p, *arrived, plane, state, emit)) == goes_on) {
                emit.release(*p);
                continue;
            }
        } else if (why == goes_on) {
            const Leg leg = take_leg(*p, emit);
            p->tunnel_peer = net::no_port;
            emit.note(*p, "spi", p->smd.spi);
            emit.note(*p, "si", p->smd.si);
            emit.note(*p, "d", p->smd.reverse ? 1 : 0);
            if (p->smd.returning) {
                ++state.returning;
                if (leg.l3) take_addresses(*p, net::service_plane_mac(plane.host_id), leg.peer);
            } else {
                why = find_node(*p, leg, plane, state, emit);
            }
        }
        if (why == goes_on) continue;
        report(*p, why, plane, state, emit);
        exits.take(*p, why);
    }
}

void Arrive::counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_service_arrivals_total", {{"for", "node"}}, state.for_nodes);
    sink.add("weir_service_arrivals_total", {{"for", "anchor"}}, state.returning);
    sink.add("weir_service_packets_relayed_total", {{"was", "late"}}, state.relayed);
    sink.add("weir_service_node_arrivals_total", {}, state.arrivals);
    state.reports.counters(sink, name);
}

}  // namespace weir::chain
