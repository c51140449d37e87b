#include "features/express.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/prefetch.hpp"
#include "dataplane/dispatch.hpp"
#include "dataplane/overhead.hpp"
#include "features/express_across.hpp"
#include "features/express_route.hpp"
#include "flow/table_look.hpp"
#include "flow/tcp.hpp"
#include "flow/tcp_quick.hpp"
#include "net/rss.hpp"

namespace weir::features {
namespace {

using dataplane::ActionProgram;
using dataplane::Egress;
using dataplane::PortEntry;
using dataplane::PortRole;
using net::Packet;
using net::QuickFrame;

constexpr std::uint64_t nobody = 1;   // no frame comes from a multicast address
constexpr std::uint64_t nowhere = 0;  // no hand-over begins so: its version is not 0
constexpr std::uint64_t ip4_behind_mac = std::uint64_t{0x0008} << 48;  // as the machine reads it
constexpr std::uint64_t ip6_behind_mac = std::uint64_t{0xdd86} << 48;

// Out of line: what IPv4 needs stays in registers.
[[gnu::noinline]] bool read_ip6(const std::uint8_t* frame, std::uint32_t length, QuickFrame& out) {
    return net::detail::quick_ip6(frame, length, out);
}

bool is_unicast(const std::uint8_t* frame) {
    return ((frame[0] | frame[6]) & 1) == 0;
}

inline bool is_tcp(const QuickFrame& frame) {
    return frame.tuple.proto == net::proto_tcp;
}

// How many packets are worked on before memory is asked for the next ones: enough to hide a miss,
// few enough for what the core can have under way.
constexpr std::uint32_t stride = 8;

}  // namespace

// Packets go through four steps, a stride of them at a time, each step one stride behind the one
// before it: while one stride is worked on, memory brings what the others need.
std::uint32_t Express::run(std::span<Packet*> packets, const Plane::Tables& tables) {
    prepare(tables);
    const auto count = static_cast<std::uint32_t>(packets.size());
    joined_ = ~Places{0} >> (limits::max_burst - count);
    for (std::uint32_t at = 0; at < count + 3 * stride; at += stride) {
        const auto strides_back = [&](std::uint32_t n) {
            constexpr Places one_stride = (Places{1} << stride) - 1;
            const std::uint32_t from = at - n * stride;  // below 0: beyond the burst, none
            return from < count ? joined_ & one_stride << from : 0;
        };
        if (at < count) enter(packets, at, std::min(at + stride, count));
        fetch(strides_back(1) & ~on_plane_);
        find(strides_back(2) & ~on_plane_);
        act(strides_back(3) & ~on_plane_);
        if (on_plane_ != 0) [[unlikely]]
            act_on_plane(strides_back(3) & on_plane_);
    }
    if (opening_count_ != 0) open_flows();
    packets_ += std::uint64_t{2} * crossed_;
    fused_packets_ += crossed_;
    pipeline_.state<switching::Deliver>().delivered += crossed_;
    if (reaching_count_ != 0) reach_guests();
    std::uint32_t left = 0;
    for (; stays_ != 0; stays_ &= stays_ - 1)
        packets[left++] = packets[static_cast<unsigned>(std::countr_zero(stays_))];
    return left;
}

void Express::prepare(const Plane::Tables& tables) {
    const dataplane::Topology& topology = *emit_.ports;
    ports_ = topology.ports.data();
    port_count_ = static_cast<std::uint32_t>(topology.ports.size());
    if (reaches_ticket_ != emit_.ticket || crossings_generation_ != emit_.program_generation())
        look_at_reaches();
    inlet_ = {};
    const std::uint32_t overhead = dataplane::tunnel_overhead(topology);
    tunnel_mtu_ = topology.underlay_port != net::no_port && topology.underlay_mtu > overhead
                      ? topology.underlay_mtu - overhead
                      : 0;
    const auto* cache = pipeline_.state<overlay::Encap>().cache;
    neighbour_changes_ = cache ? cache->changes() : 0;
    foreign_acts_ = ~(emit_.stages->ttl | emit_.stages->egress);
    slow_leaving_.clear();
    slow_reaching_.clear();
    slow_on_plane_.clear();
    opening_flows_.clear();
    stays_ = on_plane_ = 0;
    reaching_count_ = crossed_ = opening_count_ = 0;
    emit_.flows->begin_burst();
    first_.begin(tables);
    plane_.begin_burst({&Plane::Worker::table<chain::Insert>(tables),
                        &Plane::Worker::table<chain::Resolve>(tables),
                        &Plane::Worker::table<chain::FromNode>(tables),
                        &Plane::Worker::table<chain::ToNode>(tables)});
}

void Express::enter(std::span<Packet*> packets, std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t i = from; i < to; ++i) {
        Packet& p = *packets[i];
        Lane& lane = lanes_[i];
        lane.packet = &p;
        if (first_word(p) != inlet_.first_word && p.hand.port != inlet_.index) [[unlikely]]
            look_at_inlet(p.hand.port);
        const Way way = first_word(p) == inlet_.first_word ? enter_from_guest(lane, is_bare(p))
                                                           : enter_else(lane);
        if (way == Way::joined) [[likely]]
            continue;
        if (way == Way::on_plane) {
            on_plane_ |= Places{1} << i;
            continue;
        }
        joined_ &= ~(Places{1} << i);
        stays_ |= Places{way == Way::slow} << i;
    }
}

// From where no guest is, or by way of another worker.
Express::Way Express::enter_else(Lane& lane) {
    return inlet_.role == PortRole::underlay  ? enter_from_tunnel(lane)
           : inlet_.role == PortRole::service ? enter_from_node(lane)
           : inlet_.role == PortRole::guest   ? enter_from_guest(lane, false)
                                              : Way::slow;
}

void Express::look_at_inlet(std::uint32_t index) {
    const PortEntry* port = emit_.ports->at(index);
    inlet_ = {nowhere, index, port ? port->role : PortRole::none, port, nobody, 0};
    if (inlet_.role != PortRole::guest) return;
    inlet_.first_word = fresh_word(index);
    if (!port->mac.is_multicast()) inlet_.mac = mac_bits(port->mac);
    inlet_.seed = emit_.flows->scope_seed(port->scope, port->vni);
}

// `fresh`: as a device gave it to us, for sure.
inline Express::Way Express::enter_from_guest(Lane& lane, bool fresh) {
    Packet& p = *lane.packet;
    if (p.length < net::quick_bytes) return Way::slow;
    // The MAC it comes from and the type behind it, as they should be.
    const std::uint64_t differs = word_at(p.data + 6) ^ inlet_.mac;
    const bool as_always = fresh && (p.data[0] & 1) == 0;
    const bool read =
        as_always && differs == ip4_behind_mac   ? net::read_quick_ip4(p.data, p.length, lane.frame)
        : as_always && differs == ip6_behind_mac ? read_ip6(p.data, p.length, lane.frame)
                                                 : read_from_guest(lane);
    if (!read) return Way::slow;
    if (shared_ && send_to_owner(p, lane.frame)) return Way::taken;
    lane.port = inlet_.port;
    lane.strip = 0;
    emit_.flows->begin(lane.probe, inlet_.seed, lane.frame.hash);
    return Way::joined;
}

// The same for any frame. False: it takes the stages.
bool Express::read_from_guest(Lane& lane) {
    const Packet& p = *lane.packet;
    if (!net::read_quick(p.data, p.length, lane.frame)) return false;
    const bool own = mac_bits(p.data + 6) == inlet_.mac;
    if (is_plain(p) && is_unicast(p.data) && (own || !inlet_.port->spoof_guard)) return true;
    slow_leaving_.add(lane.frame);
    return false;
}

bool Express::send_to_owner(Packet& p, const QuickFrame& frame) {
    if (p.hand.dispatched >= 2) return false;
    const std::uint32_t owner = net::flow_owner(frame.tuple, emit_.workers);
    p.hand.dispatched = 2;
    if (owner == emit_.worker) return false;
    p.slot = net::no_slot;
    emit_.hand_to_worker(p, owner);
    return true;
}

void Express::fetch(Places places) {
    flow::Table& flows = *emit_.flows;
    for (Lane* lane = first_of(places); places != 0; places = next_of(places, lane))
        flows.fetch(lane->probe, lane->frame.upward, is_tcp(lane->frame), lane->hit);
}

void Express::find(Places places) {
    flow::Table& flows = *emit_.flows;
    for (Lane* lane = first_of(places); places != 0; places = next_of(places, lane)) {
        const PortEntry& port = *lane->port;
        if (!flows.confirm(lane->hit, port.scope, port.vni, lane->frame.tuple)) [[unlikely]]
            lane->hit = flows.answer(lane->hit, lane->query());
    }
}

void Express::act(Places places) {
    for (Lane* lane = first_of(places); places != 0; places = next_of(places, lane)) {
        const flow::Table::Hit hit = lane->hit;
        if (hit && flow::Table::leads_steadily(*hit.pair) && lane->strip == 0 &&
            !slow_leaving_.has(lane->frame) && cross(*lane)) [[likely]]
            continue;
        if (!act_on(*lane, true)) stays_ |= Places{1} << (lane - lanes_.data());
    }
}

// False: the stages must. `opens`: a new flow may wait for the others that begin with it.
inline bool Express::act_on(Lane& lane, bool opens) {
    Slow& slow = lane.strip != 0 ? slow_reaching_ : slow_leaving_;
    if (slow.has(lane.frame)) return false;
    if (lane.strip != 0 ? reach_guest(lane) : leave_guest(lane, opens)) return true;
    if (!lane.hit && lane.strip == 0 && refuse(lane)) return true;
    slow.add(lane.frame);
    return false;
}

// A flow that does not begin with others.
bool Express::act_apart(Lane& lane) {
    return act_on(lane, false);
}

// What left a guest for another one of this host whose record is not fused with the sender's.
void Express::reach_guests() {
    std::array<flow::Table::Query, limits::max_burst> queries;
    std::array<flow::Table::Hit, limits::max_burst> hits;
    for (std::uint32_t i = 0; i < reaching_count_; ++i) queries[i] = reaching_[i]->query();
    emit_.flows->find_bulk({queries.data(), reaching_count_}, hits);
    for (std::uint32_t i = 0; i < reaching_count_; ++i) {
        Lane& lane = *reaching_[i];
        lane.hit = hits[i];
        if (!slow_reaching_.has(lane.frame) && reach_guest(lane)) {
            if (is_worth_fusing(lane)) fuse(lane);
            continue;
        }
        slow_reaching_.add(lane.frame);
        reach_guest_by_stages(lane);
    }
}

// A program that is valid as a whole and leads past no service; null: the stages must look.
const ActionProgram* Express::program_of(flow::FlowPair& pair, std::uint8_t direction,
                                         const PortEntry& port) {
    const flow::Hot& hot = pair.hot[direction];
    if (hot.epoch != port.epoch && !emit_.renew(pair, direction, port)) return nullptr;
    if (hot.engine != emit_.engine) return nullptr;
    const ActionProgram* program = emit_.program(hot.program);
    const bool whole =
        program && program->act_before == 0 && program->behind_is(port.epoch, emit_.engine);
    return whole ? program : nullptr;
}

// A port of this engine with a guest; null: another kind, or none.
const PortEntry* Express::guest_at(std::uint32_t index) const {
    if (index >= port_count_) return nullptr;
    const PortEntry& port = ports_[index];
    return port.role == PortRole::guest && !port.foreign ? &port : nullptr;
}

// What the flow's record says of the way, or that of others that go it; null: the stages must look.
inline const ActionProgram* Express::way_of(Lane& lane, bool outgoing) {
    lane.goes_on = false;
    if (lane.hit) [[likely]] {
        flow::FlowPair& pair = *lane.hit.pair;
        const ActionProgram* program = program_of(pair, lane.hit.direction, *lane.port);
        if (program) [[likely]]
            return program;
    }
    return way_of_others(lane, outgoing);
}

const ActionProgram* Express::way_of_others(Lane& lane, bool outgoing) {
    const PortEntry& port = *lane.port;
    const std::uint64_t to_mac = mac_bits(lane.packet->data);
    if (!lane.hit && outgoing && first_.begins_too_much(port)) return nullptr;
    if (!lane.hit)
        return outgoing ? first_.way_out(port, to_mac, lane.frame)
                        : first_.way_in(port, lane.frame);
    const flow::Hot& hot = lane.hit.pair->hot[lane.hit.direction];
    if (hot.epoch == port.epoch && hot.engine == emit_.engine) return nullptr;
    lane.goes_on = true;
    return first_.way_on(port, outgoing, to_mac, lane.frame, *lane.hit.pair);
}

// The last test a packet meets, because it changes the flow.
inline Express::Followed Express::follow(const Lane& lane) {
    const QuickFrame& q = lane.frame;
    flow::FlowPair& pair = *lane.hit.pair;
    if (!is_tcp(q)) return Followed::as_it_was;
    const std::uint8_t* header = lane.packet->data + lane.strip + q.l4;
    const std::uint32_t bytes = q.l3_end - q.l4;
    if (flow::follow_established(pair, lane.hit.direction, header, bytes))
        return Followed::as_it_was;
    return flow::track_packet(pair, lane.hit.direction, header, bytes) ? Followed::moved
                                                                       : Followed::no;
}

// The flow takes the packet: it is followed and counted, or has its record made.
inline bool Express::take(const Lane& lane, std::uint32_t bytes, bool outgoing) {
    if (!lane.hit || lane.goes_on) [[unlikely]]
        return take_first(lane, bytes, outgoing);
    const Followed followed = follow(lane);
    if (followed == Followed::no) return false;
    count(lane, followed, bytes);
    return true;
}

// The same for what enters the service plane, in another file.
bool Express::take_to_plane(const Lane& lane, std::uint32_t bytes, bool outgoing) {
    return take(lane, bytes, outgoing);
}

bool Express::take_first(const Lane& lane, std::uint32_t bytes, bool outgoing) {
    const First::Packet packet{*lane.port, lane.frame,
                               lane.packet->data + lane.strip + lane.frame.l4, bytes, outgoing};
    if (!lane.hit) {
        if (!first_.open(packet)) return false;
        ++packets_;
        return true;
    }
    const Followed followed = follow(lane);
    if (followed == Followed::no) return false;
    count(lane, followed, bytes);
    first_.go_on(packet, lane.hit.pair->hot[lane.hit.direction]);
    return true;
}

// What Track does for a packet that passed.
inline void Express::count(const Lane& lane, Followed followed, std::uint32_t bytes) {
    flow::FlowPair& pair = *lane.hit.pair;
    const std::uint8_t direction = lane.hit.direction;
    const flow::Timeouts& timeouts = lane.port->timeouts;
    flow::Hot& hot = pair.hot[direction];
    ++hot.packets;
    hot.bytes += bytes;
    ++packets_;
    if (followed == Followed::as_it_was &&
        flow::keeps_idle_time(hot, direction, is_tcp(lane.frame), timeouts)) [[likely]]
        hot.last_seen_ns = emit_.now_ns;
    else emit_.flows->touch(pair, direction, timeouts, emit_.now_ns);
}

inline bool Express::leave_guest(Lane& lane, bool opens) {
    if (lane.hit &&
        (lane.hit.pair->partner != 0 ||
         lane.hit.pair->hot[lane.hit.direction].scope != lane.port->scope) &&
        move_or_cut(lane))
        return true;
    Packet& p = *lane.packet;
    const QuickFrame& q = lane.frame;
    const ActionProgram* program = way_of(lane, true);
    if (!program) return enter_plane(lane, chain::CallPoint::egress);
    if ((program->act_behind & foreign_acts_) != 0) return false;
    if (q.l3_end - net::ethernet_bytes > program->mtu || (program->routed && q.ttl(p.data) <= 1))
        return false;
    if (!lane.hit && opens && open_later(lane, *program)) return true;
    if (program->egress == Egress::tunnel) return leave_by_tunnel(lane, *program);
    const PortEntry* next = guest_at(program->egress_port);
    if (!next || !take(lane, p.length, true)) return false;
    route(p, *program, q);
    p.slot = net::no_slot;
    p.source_port = p.hand.source_port = lane.port->index;
    lane.sender = lane.hit.pair;
    lane.port = next;
    reaching_[reaching_count_++] = &lane;
    return true;
}

bool Express::may_cross(const Crossing& way, const QuickFrame& q, const std::uint8_t* frame) {
    return (!way.program.routed || q.ttl(frame) > 1) &&
           (!way.learns || q.tuple.src_port != dhcp_server_port);
}

// From the sender's guest straight to the receiver's: one record stands for both. What held when
// they were fused holds until they are cut, and is not asked again.
inline bool Express::cross(Lane& lane) {
    const QuickFrame& q = lane.frame;
    const std::uint8_t direction = lane.hit.direction;
    flow::FlowPair& pair = *lane.hit.pair;
    flow::Hot& own = pair.hot[direction];
    const Crossing* way = crossing_of(pair, direction, *lane.port);
    Packet& p = *lane.packet;
    if (!way || q.l3_end > way->longest || (!way->straight && !may_cross(*way, q, p.data)) ||
        !flow::keeps_idle_time(own, direction, is_tcp(q), lane.port->timeouts))
        return false;
    if (is_tcp(q) &&
        !flow::follow_steady(own, pair.hot[direction ^ 1], p.data + q.l4, q.l3_end - q.l4))
        return false;
    own.last_seen_ns = emit_.now_ns;
    count_across(own, p, *way, q);
    return true;
}

bool Express::leave_by_tunnel(Lane& lane, const ActionProgram& program) {
    Packet& p = *lane.packet;
    overlay::Encap::State& encap = pipeline_.state<overlay::Encap>();
    const overlay::TunnelHeader* header =
        encap.headers.find(program.peer, emit_.ticket, neighbour_changes_, emit_.now_ns);
    if (!header || p.headroom < overlay::TunnelHeader::bytes ||
        lane.frame.l3_end - net::ethernet_bytes > tunnel_mtu_ || !take(lane, p.length, true))
        return false;
    route(p, program, lane.frame);
    p.slot = net::no_slot;
    header->push(p, program.vni, lane.frame.hash);
    ++encap.sent.of(program.peer).guest;
    emit_.forward(p, emit_.ports->underlay_port);
    return true;
}

bool Express::reach_guest(Lane& lane) {
    const PortEntry& port = *lane.port;
    const QuickFrame& q = lane.frame;
    if (port.learn_addresses && q.tuple.src_port == dhcp_server_port) return false;
    if (lane.hit && (lane.hit.pair->partner != 0 ||
                     lane.hit.pair->hot[lane.hit.direction].scope != port.scope)) [[unlikely]]
        return false;  // the stages cut it, or find this guest's own
    const ActionProgram* program = way_of(lane, false);
    if (!program) return enter_plane(lane, chain::CallPoint::ingress);
    if (program->act_behind != emit_.stages->deliver) return false;
    Packet& p = *lane.packet;
    if (!take(lane, lane.strip != 0 ? lane.end - lane.strip : p.length, false)) return false;
    if (lane.strip != 0) {
        p.trim_to(lane.end);
        p.strip(lane.strip);
        ++pipeline_.state<overlay::Decap>().received.of(p.tunnel_peer).guest;
    }
    ++pipeline_.state<switching::Deliver>().delivered;
    emit_.forward(p, port.index);
    return true;
}

}  // namespace weir::features
