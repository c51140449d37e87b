#include <bit>

#include "features/express.hpp"
#include "features/express_route.hpp"

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
        ++pipeline_.state<overlay::Decap>().guest_packets;
    }
    plane_.enter(p, at, lane.frame);
    ++plane_packets_;
    return true;
}

// What cannot be read does not tell its flow: then nothing behind it may overtake it.
Express::Way Express::enter_from_node(Lane& lane) {
    if (is_plain(*lane.packet) && plane_.read_returned(*lane.packet, lane.frame, lane.strip))
        return Way::joined;
    if (plane_.tells_flow(*lane.packet, lane.frame)) slow_from_nodes_.add(lane.frame);
    else slow_from_nodes_.add_all();
    return Way::slow;
}

void Express::act_from_nodes(Places places) {
    for (; places != 0; places &= places - 1) {
        const auto place = static_cast<unsigned>(std::countr_zero(places));
        Lane& lane = lanes_[place];
        if (!slow_from_nodes_.has(lane.frame) && leave_node(lane)) {
            ++plane_packets_;
            continue;
        }
        slow_from_nodes_.add(lane.frame);
        stays_ |= Places{1} << place;
    }
}

bool Express::leave_node(Lane& lane) {
    switch (plane_.look_further(*lane.packet, lane.strip)) {
        case ShortWay::Next::on:
            return plane_.take_back(*lane.packet, lane.strip, ShortWay::Next::on, lane.frame);
        case ShortWay::Next::anchor:
            return come_back(lane);
        default:
            return false;
    }
}

// Its services are done: on behind the insertion point, as part two of the flow's program says.
bool Express::come_back(Lane& lane) {
    Packet& p = *lane.packet;
    const QuickFrame& q = lane.frame;
    const ShortWay::Anchor anchor = plane_.find_anchor(p, lane.strip, q);
    if (!anchor.port) return false;
    const PortEntry& port = *anchor.port;
    const flow::Hot& hot = anchor.pair->hot[anchor.direction];
    if (hot.epoch != port.epoch || hot.engine != emit_.engine) return false;
    const ActionProgram* program = emit_.program(hot.program);
    if (!program || !program->behind_is(port.epoch, emit_.engine)) return false;
    if (anchor.ingress) {
        if (program->act_behind != emit_.stages->deliver ||
            !plane_.take_back(p, lane.strip, ShortWay::Next::anchor, q))
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
        !plane_.take_back(p, lane.strip, ShortWay::Next::anchor, q))
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
