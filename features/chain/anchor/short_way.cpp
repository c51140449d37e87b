#include "features/chain/anchor/short_way.hpp"

#include "features/chain/hop/resolve_step.hpp"
#include "features/chain/node/cookie.hpp"
#include "features/chain/node/from_node_work.hpp"
#include "features/chain/node/metadata.hpp"
#include "features/chain/node/to_node_work.hpp"
#include "net/ethernet.hpp"
#include "net/nsh.hpp"
#include "net/quick_nsh.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

using dataplane::PortEntry;
using net::Packet;
using net::QuickFrame;

std::uint64_t path_number(const Path& path) {
    return std::uint64_t{path.svni} << 24 | path.spi;
}

std::uint8_t tcp_flags(const QuickFrame& frame, const std::uint8_t* begin) {
    return frame.tuple.proto == net::proto_tcp ? begin[frame.l4 + 13] : std::uint8_t{0};
}

// What ToNode asks of what parse() would have found, of nodes whose packets need a context.
void tell_headers(Packet& p, const QuickFrame& frame) {
    p.tuple = frame.tuple;
    p.headers.proto = frame.tuple.proto;
    p.headers.fragment = net::Fragment::whole;
    p.headers.tcp_flags = tcp_flags(frame, p.data);
}

}  // namespace

void ShortWay::make_ready() {
    is_ready_ = true;
    generation_ = emit_.health->generation.load(std::memory_order_acquire);
    FromNode::State& from = states_.from_node;
    may_deliver_ = states_.to_node.binding.follow(tables_.to_node->nodes, true);
    may_take_back_ = may_deliver_ && from.digest == tables_.nodes->digest &&
                     from.binding.follow(*tables_.nodes, true);
    for (Step& step : steps_) step.number = 0;
    on_path_.path = nullptr;
    chain_sci_ = 0;
    rule_counters_ = nullptr;
}

void ShortWay::look_at_origin(std::uint32_t port) {
    const NodeTable::Place* place = tables_.nodes->at(port);
    origin_ = {port, place, place ? &tables_.nodes->nodes[place->node] : nullptr};
}

const Path* ShortWay::path_of(const flow::InsertionDecision& record) {
    if (on_path_.path && on_path_.sci == record.sci && on_path_.spi == record.spi)
        return on_path_.path;
    const Chain* chain = tables_.plane->chain(record.sci);
    on_path_ = {record.sci, record.spi, chain ? chain->path(record.spi) : nullptr, nullptr};
    return on_path_.path;
}

// Plane::is_on_segment(), of the chain that was asked for last without a search.
bool ShortWay::is_of_segment(const net::Smd& smd, std::uint32_t svni) {
    if (chain_sci_ == smd.sci && smd.sci != 0) return chain_svni_ == svni;
    const Chain* chain = tables_.plane->chain(smd.sci);
    if (!chain) return tables_.plane->is_on_segment(svni, smd);
    chain_sci_ = smd.sci;
    chain_svni_ = chain->svni;
    return chain_svni_ == svni;
}

// What resolve_step() makes of a packet whose flow skips nothing.
const ShortWay::Step& ShortWay::step_of(const net::Smd& smd, std::uint32_t svni) {
    const std::uint64_t number = NextHopTable::number_of(svni, smd);
    Step& known = steps_[(number * 0x9e3779b97f4a7c15ull >> 61) % steps_.size()];
    if (known.number == number && number != 0) [[likely]]
        return known;
    net::Smd usual = smd;
    usual.skip_mask = 0;
    usual.ttl = initial_ttl;
    const ResolveStep step = resolve_step(usual, svni, *tables_.plane, *emit_.health);
    // A node on its way to another host: the stages know where it is (MB-9).
    known = {};
    known.number = number;
    known.usual = step.what == Resolved::forward && step.fail_skipped == 0 &&
                  step.stale == StaleReason::none && step.hop->moving_to == 0;
    if (!known.usual) return known;
    known.host = step.hop->host_id;
    known.mac = step.hop->mac;
    if (known.host != tables_.plane->host_id) return known;
    known.place = tables_.to_node->nodes.at(step.hop->port[smd.reverse]);
    known.usual = known.place != nullptr;
    return known;
}

// Into the service plane.

bool ShortWay::is_usual(Packet& p, const Entrance& at) {
    if (!is_ready_) make_ready();
    if (!may_deliver_ || at.pair.insertion == flow::no_index ||
        Symmetry::watches(tables_.plane->host_id, emit_.flows->make_handle(at.pair)))
        return false;
    const flow::InsertionDecision record = emit_.flows->insertion(at.pair);
    const bool reverse = static_cast<std::uint8_t>(at.point) != record.initiator_call_point;
    if (record.revision != tables_.insert->revision(at.port.index) ||
        record.failed_paths_generation != generation_ || record.orders_of(reverse) != 0 ||
        record.verdict[reverse] != flow::ServiceVerdict::redirect || record.skip[reverse] != 0)
        return false;
    path_ = path_of(record);
    if (!path_ || path_->epoch != record.path_epoch || at.ip_bytes > path_->mtu[reverse])
        return false;
    reverse_ = reverse;
    rule_id_ = record.rule_id;
    fill_metadata(p.smd, {at.port, at.pair, *path_, record, *tables_.plane, *emit_.flows, at.frame,
                          reverse, at.point});
    const std::uint32_t headroom = p.headroom + static_cast<std::uint32_t>(at.frame - p.data);
    return find_next(p, path_->svni, at.bytes, headroom) == Next::on;
}

void ShortWay::enter(Packet& p, const Entrance& at, const QuickFrame& frame) {
    const std::size_t point = at.point == CallPoint::egress ? 0 : 1;
    Insert::PortCounters& port = states_.insert.ports[2 * at.port.index + point];
    ++port.packets;
    port.bytes += p.length;
    ++port.ct_hit;
    ++port.redirected;
    if (on_path_.path != path_ || !on_path_.counters)
        on_path_ = {path_->sci, path_->spi, path_, &states_.insert.paths[path_number(*path_)]};
    ++on_path_.counters->packets[reverse_];
    on_path_.counters->bytes[reverse_] += p.length;
    if (!rule_counters_ || rule_counted_ != rule_id_) {
        rule_counters_ = &states_.insert.rules[rule_id_];
        rule_counted_ = rule_id_;
    }
    ++rule_counters_->packets;
    rule_counters_->bytes += p.length;
    p.vni = path_->svni;
    go_on(p, frame);
}

ShortWay::Next ShortWay::find_next(Packet& p, std::uint32_t svni, std::uint32_t bytes,
                                   std::uint32_t headroom) {
    net::Smd& smd = p.smd;
    place_ = nullptr;
    if (smd.si == 0) {
        if (!turn_to_anchor(smd)) return Next::unusual;
        host_ = smd.anchor_host;
        if (host_ == tables_.plane->host_id) return Next::anchor;
        next_mac_ = net::service_plane_mac(host_);
        return Next::on;
    }
    if (skips_hop(smd)) return Next::unusual;
    const Step& step = step_of(smd, svni);
    if (!step.usual || !spend_ttl(smd)) return Next::unusual;
    place_ = step.place;
    host_ = step.host;
    next_mac_ = step.mac;
    return !place_ || fits(*place_, p, bytes, headroom) ? Next::on : Next::unusual;
}

bool ShortWay::fits(const NodeTable::Place& place, const Packet& p, std::uint32_t bytes,
                    std::uint32_t headroom) const {
    const LocalNode& node = tables_.to_node->nodes.nodes[place.node];
    if (node.frozen_for != 0) return false;
    if (node.mode == NodeMode::aware)
        return node.metadata == NshMetadata::type2 &&
               bytes + net::nsh_md2_bytes <= node.vnics[0].mtu &&
               headroom >= net::nsh_md2_bytes + net::ethernet_bytes;
    if (!node.has_vlan_contexts()) return false;
    const LocalNode::Vnic& vnic = node.vnics[p.smd.reverse ? 1 : 0];
    return vnic.port != net::no_port && bytes - net::ethernet_bytes <= vnic.mtu &&
           headroom >= net::vlan_bytes &&
           states_.to_node.binding.contexts(place.node).has_room(p.smd);
}

void ShortWay::go_on(Packet& p, const QuickFrame& frame) {
    p.slot = net::no_slot;
    p.exit = net::no_exit;
    p.ctrl_count = 0;
    p.oam = false;
    p.hash = frame.hash;
    leaves_host_ = place_ == nullptr;
    if (!leaves_host_) {
        ++states_.resolve.legs_local;
        return give_to_node(p, frame);
    }
    ++states_.resolve.legs_remote;
    const LocalVnic* vnic = tables_.plane->vnic(p.hand.port);
    net::set_macs(p, next_mac_, vnic ? vnic->mac : net::service_plane_mac(tables_.plane->host_id));
    p.tunnel_peer = host_;
    p.destination_port = net::no_port;
    p.flow = nullptr;
    p.program = nullptr;
}

void ShortWay::give_to_node(Packet& p, const QuickFrame& frame) {
    if (tables_.to_node->nodes.nodes[place_->node].has_vlan_contexts()) tell_headers(p, frame);
    const ToNode::Exit why = give_usual(p, *place_, *tables_.to_node, states_.to_node, emit_);
    if (why == ToNode::Exit::count_) return;
    states_.to_node_exits.note(why);
    emit_.release(p);
}

// From another host.

// In the order of SEC-6, as Arrive does.
ShortWay::Next ShortWay::look_at_arrived(Packet& p, const Arrived& arrived) {
    if (!is_ready_) make_ready();
    const net::Smd& smd = p.smd;
    const net::Mac to = net::Mac::from(arrived.macs), from = net::Mac::from(arrived.macs + 6);
    if (net::check_smd(smd) != net::SmdError::none || from.is_multicast() || from.is_zero())
        return Next::unusual;
    if (smd.returning) {
        const std::uint32_t this_host = tables_.plane->host_id;
        const bool here =
            smd.anchor_host == this_host && to == net::service_plane_mac(this_host);
        return here ? Next::anchor : Next::unusual;
    }
    const NextHop* next = tables_.plane->next_hops.find(arrived.svni, smd);
    if (!may_deliver_ || !next || next->hop->mac != to || next->hop->moving_to != 0 ||
        next->hop->host_id != tables_.plane->host_id || next->hop->action != HopAction::redirect)
        return Next::unusual;
    const NodeTable& nodes = tables_.to_node->nodes;
    place_ = nodes.at(next->hop->port[smd.reverse]);
    return place_ && fits(*place_, p, arrived.bytes, p.headroom + arrived.strip) ? Next::on
                                                                                : Next::unusual;
}

void ShortWay::take_arrived(Packet& p, const Arrived& arrived, Next next, const QuickFrame& frame) {
    p.trim_to(arrived.strip + arrived.bytes);
    p.strip(arrived.strip);
    net::set_macs(p, p.smd.original_dst, p.smd.original_src);
    p.vni = p.hand.vni = arrived.svni;
    p.hand.source_port = net::no_port;
    leaves_host_ = false;
    if (next == Next::anchor) {
        ++states_.arrive.returning;
        return;
    }
    ++states_.arrive.for_nodes;
    p.slot = net::no_slot;
    p.exit = net::no_exit;
    p.ctrl_count = 0;
    p.oam = false;
    p.hash = frame.hash;
    give_to_node(p, frame);
}

// Back from a node.

bool ShortWay::read_returned(Packet& p, QuickFrame& frame, std::uint32_t& strip) {
    if (!is_ready_) make_ready();
    if (!may_take_back_) return false;
    const Origin& from = origin_of(p);
    if (!from.place) return false;
    if (from.node->mode == NodeMode::aware) return read_aware(p, from, frame, strip);
    return from.node->has_vlan_contexts() && read_l2(p, from, frame, strip);
}

bool ShortWay::tells_flow(const Packet& p, QuickFrame& frame) {
    const Origin& from = origin_of(p);
    if (!from.place || p.length < net::ethernet_bytes + net::nsh_md2_bytes) return false;
    const LocalNode& node = *from.node;
    const std::uint16_t type = net::load16(p.data + 12);
    std::uint32_t strip = net::vlan_bytes;
    if (node.mode == NodeMode::aware) {
        constexpr std::uint32_t words = net::nsh_md2_bytes / 4;
        if (type != net::ethertype_nsh || (p.data[net::ethernet_bytes + 1] & 0x3f) != words)
            return false;
        strip = net::ethernet_bytes + net::nsh_md2_bytes;
    } else if (!node.has_vlan_contexts() || type != net::ethertype_vlan) {
        return false;
    }
    return net::read_quick(p.data + strip, p.length - strip, frame);
}

bool ShortWay::read_aware(Packet& p, const Origin& from, QuickFrame& frame,
                          std::uint32_t& strip) {
    const LocalNode& node = *from.node;
    constexpr std::uint32_t in_front = net::ethernet_bytes + net::nsh_md2_bytes;
    std::uint32_t cookie_back = 0;
    if (node.metadata != NshMetadata::type2 || p.length < in_front + net::ethernet_bytes ||
        net::load16(p.data + 12) != net::ethertype_nsh || net::source_mac(p) != node.vnics[0].mac ||
        !net::read_quick_nsh(p.data + net::ethernet_bytes, p.smd, cookie_back))
        return false;
    const std::uint8_t* inner = p.data + in_front;
    p.smd.original_dst = net::Mac::from(inner);
    p.smd.original_src = net::Mac::from(inner + 6);
    const std::uint8_t before = p.smd.si;
    if (node.can_decrement_si) p.smd.si = static_cast<std::uint8_t>(before + 1);
    const NodeSecret& secret = states_.from_node.binding.secret(from.place->node);
    if (states_.to_node.cookies.of(secret, p.smd, false) != cookie_back) return false;
    p.smd.si = static_cast<std::uint8_t>(p.smd.si - 1);
    strip = in_front;
    return net::read_quick(inner, p.length - in_front, frame);
}

bool ShortWay::read_l2(Packet& p, const Origin& from, QuickFrame& frame, std::uint32_t& strip) {
    const NodeTable::Place& place = *from.place;
    if (p.hand.dispatched != 0 || p.length < net::ethernet_bytes + net::vlan_bytes ||
        net::load16(p.data + 12) != net::ethertype_vlan)
        return false;
    const auto vlan = static_cast<std::uint16_t>(net::load16(p.data + 14) & 0x0fff);
    if (context_owner(vlan, emit_.workers) != emit_.worker) return false;
    const Context* context =
        states_.from_node.binding.contexts(place.node).find(vlan, emit_.now_ns);
    if (!context || context->trace_id != 0 || context->smd.trace || context->smd.copy ||
        context->smd.moved || place.side != (context->smd.reverse ? Side::left : Side::right) ||
        net::source_mac(p) != context->smd.original_src ||
        net::destination_mac(p) != context->smd.original_dst)
        return false;
    p.smd = context->smd;
    p.smd.si = static_cast<std::uint8_t>(p.smd.si - 1);
    strip = net::vlan_bytes;
    // The tag stands between the MACs, which are not read, and the type.
    return net::read_quick(p.data + strip, p.length - strip, frame);
}

ShortWay::Next ShortWay::look_further(Packet& p, std::uint32_t strip) {
    if (states_.from_node.orders.proxies.is_carrying()) return Next::unusual;
    return find_next(p, origin_of(p).node->svni, p.length - strip, p.headroom + strip);
}

ShortWay::Anchor ShortWay::find_anchor(const Packet& p, std::uint32_t svni, std::uint32_t strip,
                                       const QuickFrame& frame) {
    const net::Smd& smd = p.smd;
    const PortEntry* port = emit_.ports->at(smd.anchor_port & 0xffffff);
    if (!is_of_segment(smd, svni) || !port || port->anchor_id() != smd.anchor_port ||
        port->vni != smd.tenant_vni || port->role != dataplane::PortRole::guest || port->foreign ||
        emit_.flows->worker_of(smd.flow_handle) != emit_.worker || Symmetry::watches(smd))
        return {};
    // A port that has moved, or moves (MB-6); what a node may have said in the other end's name.
    if (emit_.ports->moved_anchor(smd.anchor_port, emit_.now_ns) ||
        (tcp_flags(frame, p.data + strip) & net::tcp_syn) != 0)
        return {};
    flow::FlowPair* pair = emit_.flows->at_handle(smd.flow_handle);
    if (!pair || pair->key.scope != port->scope || pair->condemned) return {};
    const bool forward = frame.tuple == pair->key.tuple;
    if (!forward && frame.tuple.reversed() != pair->key.tuple) return {};
    return {port, pair, static_cast<std::uint8_t>(forward ? 0 : 1), smd.at_ingress};
}

bool ShortWay::take_back(Packet& p, std::uint32_t strip, Next next, const QuickFrame& frame) {
    const NodeTable::Place& place = *origin_of(p).place;
    const LocalNode& node = *origin_of(p).node;
    from::Work work{*tables_.nodes, states_.from_node, emit_};
    if (!from::within_rate(place, work)) return false;
    if (node.mode == NodeMode::aware) {
        p.strip(strip);
    } else {
        const auto vlan = static_cast<std::uint16_t>(net::load16(p.data + 14) & 0x0fff);
        from::leave_context(
            *states_.from_node.binding.contexts(place.node).find(vlan, emit_.now_ns), p, place,
            work);
        std::uint16_t tci = 0;
        net::pop_vlan(p, tci);
    }
    p.vni = p.hand.vni = node.svni;
    p.hand.source_port = net::no_port;
    add_one(states_.from_node.binding.tally(place.node).returned[p.smd.reverse ? 1 : 0]);
    leaves_host_ = false;
    if (next == Next::on) go_on(p, frame);
    else ++states_.resolve.legs_local;
    return true;
}

void ShortWay::resume(Packet& p, const Anchor& anchor) {
    Return::State& state = states_.back;
    ++state.ttl[p.smd.ttl & 63];
    ++state.ports[2 * anchor.port->index + p.smd.at_ingress].returned;
    ++state.resumed.replayed;
    stand_at_port(p, *anchor.port);
}

}  // namespace weir::chain
