#include "features/chain/arrive.hpp"

#include "net/bfd.hpp"
#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

using dataplane::Packet;
using Exit = Arrive::Exit;

constexpr Exit goes_on = Exit::count_;

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

// A control packet is one in both headers, brings a message or a BFD packet, and ends at this host:
// those who read them take it from here.
Exit check_control(const Packet& p, const Plane& plane) {
    if (!p.oam || !p.smd.oam || !p.smd.returning) return Exit::bad_smd;
    if (p.ctrl_count == 0 && !net::bfd_payload(p)) return Exit::bad_smd;
    return p.smd.anchor_host == plane.host_id ? goes_on : Exit::not_anchor;
}

// The node that the packet's index is for must be of this host, and the one it was addressed to.
Exit find_node(Packet& p, const Plane& plane) {
    const NextHop* next = plane.next_hops.find(p.vni, p.smd);
    if (!next)
        return plane.next_hops.knows(p.vni, p.smd) ? Exit::bad_epoch : Exit::no_next_hop;
    const Hop& hop = *next->hop;
    const std::uint32_t port = hop.port[p.smd.reverse];
    if (hop.host_id != plane.host_id || port == net::no_port || net::destination_mac(p) != hop.mac)
        return Exit::wrong_node;
    if (p.smd.copy != (hop.action == HopAction::copy)) return Exit::bad_smd;
    p.destination_port = port;
    return goes_on;
}

// CP-6: tables differ between hosts. In the name of the node that the packet was addressed to.
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
        } else if (why == goes_on) {
            p->tunnel_peer = net::no_port;
            emit.note(*p, "spi", p->smd.spi);
            emit.note(*p, "si", p->smd.si);
            emit.note(*p, "d", p->smd.reverse ? 1 : 0);
            if (p->smd.returning) {
                ++state.returning;
            } else if ((why = find_node(*p, plane)) == goes_on) {
                ++state.for_nodes;
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
    state.reports.counters(sink, name);
}

}  // namespace weir::chain
