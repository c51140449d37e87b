#include <bit>

#include "features/express.hpp"
#include "features/express_route.hpp"
#include "net/nsh.hpp"

// Packets on their way through service chains.
namespace weir::features {

using chain::CallPoint;
using chain::ShortWay;
using dataplane::ActionProgram;
using dataplane::PortEntry;
using net::Packet;
using net::QuickFrame;

// From its guest, or before it reaches one: onto the path that its flow has.
bool Express::enter_plane(const Lane& lane, CallPoint point) {
    if (!lane.hit) return false;
    const bool outgoing = point == CallPoint::egress;
    const PortEntry& port = *lane.port;
    flow::FlowPair& pair = *lane.hit.pair;
    const flow::Hot& hot = pair.hot[lane.hit.direction];
    if (hot.epoch != port.epoch || hot.engine != emit_.engine) return false;
    const ActionProgram* program = emit_.program(hot.program);
    if (!program || program->act_before != emit_.stages->insertion[outgoing ? 0 : 1]) return false;
    Packet& p = *lane.packet;
    const std::uint32_t bytes = lane.strip != 0 ? lane.end - lane.strip : p.length;
    const ShortWay::Entrance at{pair,           port,
                                point,          p.data + lane.strip,
                                bytes,          lane.frame.l3_end - net::ethernet_bytes,
                                lane.frame.hash};
    if (!plane_.is_usual(p, at) || !take_to_plane(lane, bytes, outgoing)) return false;
    if (lane.strip != 0) {
        p.trim_to(lane.end);
        p.strip(lane.strip);
        ++pipeline_.state<overlay::Decap>().received.of(p.tunnel_peer).guest;
    }
    plane_.enter(p, at, lane.frame);
    if (plane_.leaves_host()) leave_host(p);
    ++plane_packets_;
    return true;
}

// What cannot be read does not tell its flow: then nothing behind it may overtake it.
Express::Way Express::enter_from_node(Lane& lane) {
    lane.end = 0;
    if (is_plain(*lane.packet) && plane_.read_returned(*lane.packet, lane.frame, lane.strip))
        return Way::on_plane;
    if (plane_.tells_flow(*lane.packet, lane.frame)) slow_on_plane_.add(lane.frame);
    else slow_on_plane_.add_all();
    return Way::slow;
}

// A tunnel packet with more to it than a guest's frame: of the service plane, as a rule.
Express::Way Express::enter_from_leg(Lane& lane, const overlay::QuickTunnel& tunnel) {
    Packet& p = *lane.packet;
    const Origin* origin = is_plain(p) ? origin_of(tunnel) : nullptr;
    overlay::QuickLeg leg;
    if (!origin || !overlay::read_quick_leg(p.data, tunnel, origin->nsh, p.smd, leg) ||
        !net::read_quick(p.data + leg.inner, tunnel.end - leg.inner, lane.frame)) {
        if (tells_flow(lane, tunnel)) {
            slow_reaching_.add(lane.frame);
            slow_on_plane_.add(lane.frame);
        } else {
            slow_on_plane_.add_all();
        }
        return Way::slow;
    }
    if (emit_.workers != 1 && send_to_owner(p, lane.frame)) return Way::taken;
    p.tunnel_peer = origin->host;
    lane.svni = tunnel.vni;
    lane.macs = tunnel.inner;
    lane.strip = leg.inner;
    lane.end = tunnel.end;
    return Way::on_plane;
}

bool Express::tells_flow(Lane& lane, const overlay::QuickTunnel& tunnel) const {
    const std::uint8_t* inner = lane.packet->data + tunnel.inner;
    std::uint32_t bytes = tunnel.end - tunnel.inner;
    if (bytes >= net::ethernet_bytes + 2 && net::load16(inner + 12) == net::ethertype_nsh) {
        const std::uint32_t skipped =
            net::ethernet_bytes + (inner[net::ethernet_bytes + 1] & 0x3fu) * 4;
        if (skipped > bytes) return false;
        inner += skipped;
        bytes -= skipped;
    }
    return net::read_quick(inner, bytes, lane.frame);
}

// Null: it is no other host of a service segment, or one that signs what it sends.
const Express::Origin* Express::origin_of(const overlay::QuickTunnel& tunnel) {
    Origin& origin = origins_[(tunnel.from.bytes[15] ^ tunnel.vni) % origins_.size()];
    if (origin.ticket == emit_.ticket && origin.address == tunnel.from && origin.svni == tunnel.vni)
        return &origin;
    const auto* segment = emit_.ports->segment(tunnel.vni);
    const auto peer = emit_.ports->peer_by_address.find(tunnel.from);
    if (!segment || !segment->service || segment->l3 || segment->signed_legs ||
        peer == emit_.ports->peer_by_address.end() || !plane_.in_span(tunnel.vni, peer->second))
        return nullptr;
    origin = {tunnel.from, emit_.ticket, tunnel.vni, peer->second, segment->nsh};
    return &origin;
}

void Express::act_on_plane(Places places) {
    for (; places != 0; places &= places - 1) {
        const auto place = static_cast<unsigned>(std::countr_zero(places));
        Lane& lane = lanes_[place];
        const bool from_node = lane.end == 0;
        if (!slow_on_plane_.has(lane.frame) && (from_node ? leave_node(lane) : leave_leg(lane))) {
            ++plane_packets_;
            continue;
        }
        slow_on_plane_.add(lane.frame);
        stays_ |= Places{1} << place;
    }
}

bool Express::leave_node(Lane& lane) {
    switch (plane_.look_further(*lane.packet, lane.strip)) {
        case ShortWay::Next::on:
            return take_from_plane(lane, ShortWay::Next::on);
        case ShortWay::Next::anchor:
            return come_back(lane, plane_.svni_of(*lane.packet));
        default:
            return false;
    }
}

ShortWay::Arrived Express::arrived_of(const Lane& lane) const {
    return {lane.svni, lane.packet->data + lane.macs, lane.strip, lane.end - lane.strip};
}

bool Express::leave_leg(Lane& lane) {
    switch (plane_.look_at_arrived(*lane.packet, arrived_of(lane))) {
        case ShortWay::Next::on:
            return take_from_plane(lane, ShortWay::Next::on);
        case ShortWay::Next::anchor:
            return come_back(lane, lane.svni);
        default:
            return false;
    }
}

// False: its node sent more than it may; nothing has changed.
bool Express::take_from_plane(Lane& lane, ShortWay::Next next) {
    Packet& p = *lane.packet;
    if (lane.end == 0) {
        if (!plane_.take_back(p, lane.strip, next, lane.frame)) return false;
        if (plane_.leaves_host()) leave_host(p);
        return true;
    }
    ++pipeline_.state<overlay::Decap>().received.of(p.tunnel_peer).service;
    plane_.take_arrived(p, arrived_of(lane), next, lane.frame);
    return true;
}

// Into the tunnel, behind a header that others have had; else to the tunnel's own stage.
void Express::leave_host(Packet& p) {
    if (form_.ticket != emit_.ticket || form_.svni != p.vni) {
        const auto* segment = emit_.ports->segment(p.vni);
        const bool other = !segment || segment->signed_legs || segment->l3;
        form_ = {emit_.ticket, p.vni, segment && segment->nsh, other};
    }
    overlay::Encap::State& encap = pipeline_.state<overlay::Encap>();
    const overlay::TunnelHeader* header =
        encap.headers.find(p.tunnel_peer, emit_.ticket, neighbour_changes_, emit_.now_ns);
    if (!header || form_.is_other || emit_.ports->underlay_port == net::no_port ||
        p.headroom < overlay::quick_leg_room ||
        p.length + overlay::quick_leg_overhead(form_.nsh) > emit_.ports->underlay_mtu)
        return emit_.start(p, dataplane::Context::service, Service::bit_of<overlay::Encap>());
    overlay::push_quick_leg(p, *header, form_.nsh, p.hash);
    ++encap.sent.of(p.tunnel_peer).service;
    emit_.forward(p, emit_.ports->underlay_port);
}

// Its services are done: on behind the insertion point, as part two of the flow's program says.
bool Express::come_back(Lane& lane, std::uint32_t svni) {
    Packet& p = *lane.packet;
    const QuickFrame& q = lane.frame;
    const ShortWay::Anchor anchor = plane_.find_anchor(p, svni, lane.strip, q);
    if (!anchor.port) return false;
    const PortEntry& port = *anchor.port;
    const flow::Hot& hot = anchor.pair->hot[anchor.direction];
    if (hot.epoch != port.epoch || hot.engine != emit_.engine) return false;
    const ActionProgram* program = emit_.program(hot.program);
    if (!program || !program->behind_is(port.epoch, emit_.engine)) return false;
    if (anchor.ingress) {
        if (program->act_behind != emit_.stages->deliver ||
            !take_from_plane(lane, ShortWay::Next::anchor))
            return false;
        plane_.resume(p, anchor);
        p.slot = net::no_slot;
        ++pipeline_.state<switching::Deliver>().delivered;
        emit_.forward(p, port.index);
        return true;
    }
    const PortEntry* next =
        program->egress == dataplane::Egress::local_port ? guest_at(program->egress_port) : nullptr;
    if (!next || (program->act_behind & foreign_acts_) != 0 ||
        q.l3_end - net::ethernet_bytes > program->mtu ||
        (program->routed && q.ttl(p.data + lane.strip) <= 1) ||
        !take_from_plane(lane, ShortWay::Next::anchor))
        return false;
    plane_.resume(p, anchor);
    route(p, *program, q);
    p.slot = net::no_slot;
    lane.sender = nullptr;
    lane.strip = 0;
    lane.port = next;
    reaching_[reaching_count_++] = &lane;
    return true;
}

}  // namespace weir::features
