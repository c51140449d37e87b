#include "features/express.hpp"

#include <bit>
#include <cstring>

#include "base/check.hpp"
#include "base/prefetch.hpp"
#include "dataplane/dispatch.hpp"
#include "dataplane/enter.hpp"
#include "dataplane/overhead.hpp"
#include "flow/tcp_quick.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"

namespace weir::features {
namespace {

using dataplane::ActionProgram;
using dataplane::Egress;
using dataplane::PortEntry;
using dataplane::PortRole;
using net::Packet;
using net::QuickFrame;

constexpr std::uint16_t dhcp_server_port = 67;

// As a device gave it to us, or its worker handed it over.
bool is_plain(const Packet& p) {
    const net::HandOver& hand = p.hand;
    return p.flags == 0 && hand.entry == net::Entry::receive && hand.trace_id == 0 &&
           (hand.recirculations | hand.fragment_known | hand.serviced_flags |
            hand.call_points_done) == 0;
}

bool is_unicast(const std::uint8_t* frame) {
    return ((frame[0] | frame[6]) & 1) == 0;
}

std::uint64_t mac_bits(const std::uint8_t* mac) {
    return net::detail::load_raw<std::uint32_t>(mac) |
           std::uint64_t{net::detail::load_raw<std::uint16_t>(mac + 4)} << 32;
}

void lower_ttl(std::uint8_t* frame, const QuickFrame& q) {
    std::uint8_t* ip = frame + net::ethernet_bytes;
    if (!q.ip4) {
        --ip[7];
        return;
    }
    const std::uint16_t before = net::load16(ip + 8);
    --ip[8];
    net::store16(ip + 10,
                 net::update_checksum16(net::load16(ip + 10), before, net::load16(ip + 8)));
}

// What Track does for a packet that passed. Only the first answer of what is not TCP changes how
// long a flow may be idle: followed TCP stays established.
void count(flow::FlowPair& pair, std::uint8_t direction, bool tcp, std::uint32_t bytes,
           const flow::Timeouts& timeouts, flow::Table& flows, std::uint64_t now_ns) {
    flow::Hot& hot = pair.hot[direction];
    ++hot.packets;
    hot.bytes += bytes;
    if (tcp && hot.idle_ms == timeouts.tcp_established_ms && hot.kind == flow::Kind::established)
        [[likely]] {
        hot.last_seen_ns = now_ns;
        return;
    }
    flows.touch(pair, direction, timeouts, now_ns);
}

}  // namespace

std::uint32_t Express::run(std::span<Packet*> packets, const Plane::Tables& tables) {
    const dataplane::Topology& topology = *emit_.ports;
    const std::uint32_t overhead = dataplane::tunnel_overhead(topology);
    tunnel_mtu_ = topology.underlay_port != net::no_port && topology.underlay_mtu > overhead
                      ? topology.underlay_mtu - overhead
                      : 0;
    const auto* cache = pipeline_.state<overlay::Encap>().cache;
    neighbour_changes_ = cache ? cache->changes() : 0;
    source_.size = destination_.size = 0;
    source_.slow = destination_.slow = 0;
    for (const Packet* p : packets) prefetch(p->data);

    std::uint32_t stays = 0;
    emit_.flows->begin_burst();
    first_.begin(tables);
    for (std::uint32_t i = 0; i < packets.size(); ++i) {
        lanes_[i].packet = packets[i];
        lanes_[i].place = i;
        if (enter(lanes_[i]) == Way::slow) stays |= 1u << i;
    }
    Hits hits;
    find(source_, hits);
    for (std::uint32_t i = 0; i < source_.size; ++i) {
        Lane& lane = *source_.lanes[i];
        if (source_.is_slow(lane.frame) || !leave_guest(lane, hits[i])) source_.leave(lane, stays);
    }
    find(destination_, hits);
    for (std::uint32_t i = 0; i < destination_.size; ++i) {
        Lane& lane = *destination_.lanes[i];
        if (!destination_.is_slow(lane.frame) && reach_guest(lane, hits[i])) continue;
        if (lane.strip != 0) {
            destination_.leave(lane, stays);
        } else {
            destination_.leave(lane.frame);
            reach_guest_by_stages(lane);
        }
    }
    std::uint32_t left = 0;
    for (; stays != 0; stays &= stays - 1)
        packets[left++] = packets[static_cast<unsigned>(std::countr_zero(stays))];
    return left;
}

Express::Way Express::enter(Lane& lane) {
    const PortEntry* port = emit_.ports->at(lane.packet->hand.port);
    if (!port) return Way::slow;
    if (port->role == PortRole::guest) return enter_from_guest(*port, lane);
    return port->role == PortRole::underlay ? enter_from_tunnel(lane) : Way::slow;
}

Express::Way Express::enter_from_guest(const PortEntry& port, Lane& lane) {
    Packet& p = *lane.packet;
    if (!net::read_quick(p.data, p.length, lane.frame)) return Way::slow;
    if (!is_plain(p) || !is_unicast(p.data) ||
        (port.spoof_guard && mac_bits(p.data + 6) != mac_bits(port.mac.bytes.data()))) {
        source_.leave(lane.frame);
        return Way::slow;
    }
    if (send_to_owner(p, lane.frame)) return Way::taken;
    lane.port = &port;
    lane.strip = 0;
    source_.join(lane);
    return Way::joined;
}

Express::Way Express::enter_from_tunnel(Lane& lane) {
    Packet& p = *lane.packet;
    overlay::QuickTunnel tunnel;
    if (!overlay::read_quick_tunnel(p.data, p.length, emit_.ports->tunnel_address, tunnel))
        return Way::slow;
    const std::uint8_t* inner = p.data + tunnel.inner;
    if (!net::read_quick(inner, tunnel.end - tunnel.inner, lane.frame)) return Way::slow;
    const PortEntry* port = tunnel.plain ? guest_behind(tunnel.vni, inner) : nullptr;
    if (!is_plain(p) || (inner[0] & 1) != 0 || !port || !is_peer(tunnel.from)) {
        destination_.leave(lane.frame);
        return Way::slow;
    }
    if (send_to_owner(p, lane.frame)) return Way::taken;
    lane.port = port;
    lane.strip = tunnel.inner;
    lane.end = tunnel.end;
    destination_.join(lane);
    return Way::joined;
}

bool Express::is_peer(const net::Ip& address) {
    Sender& sender = senders_[address.bytes[15] % senders_.size()];
    if (sender.ticket == emit_.ticket && sender.address == address) return true;
    if (!emit_.ports->peer_by_address.contains(address)) return false;
    sender = {address, emit_.ticket};
    return true;
}

bool Express::send_to_owner(Packet& p, const QuickFrame& frame) {
    if (emit_.workers == 1 || p.hand.dispatched >= 2) return false;
    const std::uint32_t owner = frame.hash % emit_.workers;
    p.hand.dispatched = 2;
    if (owner == emit_.worker) return false;
    p.slot = net::no_slot;
    emit_.hand_to_worker(p, owner);
    return true;
}

// The guest of this host with that MAC in that segment; null: Locate must look.
const PortEntry* Express::guest_behind(std::uint32_t vni, const std::uint8_t* frame) {
    const std::uint64_t mac = mac_bits(frame);
    Place& place = places_[(mac >> 40 ^ mac >> 32 ^ vni) % places_.size()];
    if (place.ticket != emit_.ticket || place.mac != mac || place.vni != vni) {
        const auto* segment = emit_.ports->segment(vni);
        if (!segment || segment->service) return nullptr;
        const auto found = segment->by_mac.find(net::Mac::from(frame));
        if (found == segment->by_mac.end() || !found->second.local()) return nullptr;
        place = {mac, emit_.ticket, vni, found->second.port};
    }
    const PortEntry* port = emit_.ports->at(place.port);
    return port && port->role == PortRole::guest && !port->foreign ? port : nullptr;
}

void Express::find(Road& road, Hits& hits) {
    if (road.size == 0) return;
    std::array<flow::Table::Query, limits::max_burst> queries;
    for (std::uint32_t i = 0; i < road.size; ++i) {
        const Lane& lane = *road.lanes[i];
        queries[i] = {lane.port->scope, lane.port->vni, &lane.frame.tuple, lane.frame.hash};
    }
    emit_.flows->find_bulk({queries.data(), road.size}, hits);
}

// A program that is valid as a whole and leads past no service; null: the stages must look.
const ActionProgram* Express::program_of(const flow::Table::Hit& hit, const PortEntry& port) const {
    if (!hit) return nullptr;
    const flow::Hot& hot = hit.pair->hot[hit.direction];
    if (hot.epoch != port.epoch || hot.engine != emit_.engine) return nullptr;
    const ActionProgram* program = emit_.program(hot.program);
    const bool whole =
        program && program->act_before == 0 && program->behind_is(port.epoch, emit_.engine);
    return whole ? program : nullptr;
}

// The last test a packet meets, because it changes the flow.
bool Express::follow(const Lane& lane, const flow::Table::Hit& hit) {
    const QuickFrame& q = lane.frame;
    if (q.tuple.proto != net::proto_tcp) return true;
    return flow::follow_established(*hit.pair, hit.direction, lane.packet->data + lane.strip + q.l4,
                                    static_cast<std::uint32_t>(q.l3_end - q.l4));
}

// The flow takes the packet: it is followed and counted, or has its record made.
inline bool Express::take(const Lane& lane, const flow::Table::Hit& hit, std::uint32_t bytes,
                          bool outgoing) {
    if (hit) [[likely]] {
        if (!follow(lane, hit)) return false;
        count(*hit.pair, hit.direction, lane.frame.tuple.proto == net::proto_tcp, bytes,
              lane.port->timeouts, *emit_.flows, emit_.now_ns);
    } else if (!first_.open({*lane.port, lane.frame, lane.packet->data + lane.strip + lane.frame.l4,
                             bytes, outgoing})) {
        return false;
    }
    ++packets_;
    return true;
}

bool Express::leave_guest(Lane& lane, const flow::Table::Hit& hit) {
    const ActionProgram* program =
        hit ? program_of(hit, *lane.port)
            : first_.way_out(*lane.port, mac_bits(lane.packet->data), lane.frame);
    if (!program || (program->act_behind & ~(emit_.stages->ttl | emit_.stages->egress)) != 0)
        return false;
    const QuickFrame& q = lane.frame;
    const bool tunnel = program->egress == Egress::tunnel;
    const std::uint32_t ip_bytes = q.l3_end - net::ethernet_bytes;
    if (ip_bytes > program->mtu || (tunnel && ip_bytes > tunnel_mtu_) ||
        (program->routed && q.ttl <= 1))
        return false;
    const PortEntry* next = nullptr;
    const overlay::TunnelHeader* header = nullptr;
    overlay::Encap::State& encap = pipeline_.state<overlay::Encap>();
    Packet& p = *lane.packet;
    if (tunnel) {
        header = encap.headers.find(program->peer, emit_.ticket, neighbour_changes_, emit_.now_ns);
        if (!header || p.headroom < overlay::TunnelHeader::bytes) return false;
    } else {
        next = emit_.ports->at(program->egress_port);
        if (!next || next->role != PortRole::guest || next->foreign) return false;
    }
    if (!take(lane, hit, p.length, true)) return false;
    if (program->routed) {
        lower_ttl(p.data, q);
        program->new_dst.store(p.data);
        program->new_src.store(p.data + 6);
    }
    p.slot = net::no_slot;
    if (tunnel) {
        header->push(p, program->vni, q.hash);
        ++encap.guest_packets;
        emit_.transmit(p, emit_.ports->underlay_port);
        return true;
    }
    p.source_port = p.hand.source_port = lane.port->index;
    lane.port = next;
    destination_.join(lane);
    return true;
}

bool Express::reach_guest(Lane& lane, const flow::Table::Hit& hit) {
    const PortEntry& port = *lane.port;
    const ActionProgram* program = hit ? program_of(hit, port) : first_.way_in(port, lane.frame);
    const QuickFrame& q = lane.frame;
    if (!program || program->act_behind != emit_.stages->deliver ||
        (port.learn_addresses && q.tuple.src_port == dhcp_server_port))
        return false;
    Packet& p = *lane.packet;
    if (!take(lane, hit, lane.strip != 0 ? lane.end - lane.strip : p.length, false)) return false;
    if (lane.strip != 0) {
        p.trim_to(lane.end);
        p.strip(lane.strip);
        ++pipeline_.state<overlay::Decap>().guest_packets;
        p.slot = net::no_slot;
    }
    ++pipeline_.state<switching::Deliver>().delivered;
    emit_.transmit(p, port.index);
    return true;
}

// The guest that sent it is done with it; the stages of its receiver begin.
void Express::reach_guest_by_stages(Lane& lane) {
    Packet& p = *lane.packet;
    const net::ParseError error = net::parse(p);
    WEIR_CHECK(error == net::ParseError::none, "what was read quickly can be read");
    p.hash = lane.frame.hash;
    p.exit = net::no_exit;
    p.oam = false;
    p.ctrl_count = 0;
    p.destination_port = p.tunnel_peer = net::no_port;
    dataplane::enter_destination(p, *lane.port, emit_);
}

}  // namespace weir::features
