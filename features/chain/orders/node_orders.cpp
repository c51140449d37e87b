#include "features/chain/orders/node_orders.hpp"

#include <algorithm>
#include <cstring>

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/geneve.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using net::Packet;

constexpr std::uint64_t repeat_after_ns = 100'000'000;
constexpr std::uint32_t most_headers = 128;
constexpr std::uint32_t option_bytes = 4 + net::ctrl_bytes;
constexpr std::uint8_t both = ctrl_forward | ctrl_reverse;

// Room for one option more, wherever the packet goes next (DP-24).
bool has_room(const Packet& p, const Emit& emit) {
    if (p.ctrl_count == net::max_ctrl_options) return false;
    if (emit.ports->underlay_port == net::no_port) return true;
    const std::uint32_t ip = emit.ports->tunnel_address.is4() ? net::ip4_min_bytes : net::ip6_bytes;
    const std::size_t headers = ip + net::udp_bytes + net::geneve_bytes + net::nsh_md2_bytes +
                                net::ethernet_bytes + 4 + net::auth_bytes + 16 +
                                (p.ctrl_count + 1u) * option_bytes;
    return p.length + headers <= emit.ports->underlay_mtu;
}

// The first bytes of `of`; an empty frame where they cannot be read on their own.
bool copy_headers(const Packet& of, Packet& p) {
    const std::uint32_t bytes = std::min(of.length, most_headers);
    std::uint8_t* room = p.append(bytes);
    if (!room) return false;
    std::memcpy(room, of.data, bytes);
    mend_cut_frame(p);
    if (net::parse(p) == net::ParseError::none) return true;
    p.trim_to(0);
    p.headers = {};
    p.tuple = {};
    if (!net::start_frame(p, 60)) return false;
    net::store16(p.data + 12, net::ethertype_heartbeat);
    return true;
}

}  // namespace

void mend_cut_frame(Packet& p) {
    std::uint32_t at = 12;
    std::uint16_t type = 0;
    for (;; at += net::vlan_bytes) {
        if (p.length < at + 2) return;
        type = net::load16(p.data + at);
        if (type != net::ethertype_vlan && type != net::ethertype_qinq) break;
    }
    std::uint8_t* ip = p.data + at + 2;
    const std::uint32_t left = p.length - at - 2;
    std::uint32_t l4 = 0;
    std::uint8_t proto = 0;
    if (type == net::ethertype_ip4 && left >= net::ip4_min_bytes) {
        const std::uint16_t said = net::load16(ip + 2);
        if (said <= left) return;
        net::store16(ip + 2, static_cast<std::uint16_t>(left));
        net::store16(ip + 10, net::update_checksum16(net::load16(ip + 10), said,
                                                     static_cast<std::uint16_t>(left)));
        l4 = (ip[0] & 15u) * 4;
        proto = ip[9];
    } else if (type == net::ethertype_ip6 && left >= net::ip6_bytes) {
        if (net::load16(ip + 4) + net::ip6_bytes <= left) return;
        net::store16(ip + 4, static_cast<std::uint16_t>(left - net::ip6_bytes));
        l4 = net::ip6_bytes;
        proto = ip[6];
    }
    if (proto == net::proto_udp && l4 + net::udp_bytes <= left)
        net::store16(ip + l4 + 4, static_cast<std::uint16_t>(left - l4));
}

std::optional<net::NodeControl> flow_action(std::uint8_t nibble) {
    static constexpr std::array<CtrlOp, 7> ops = {
        CtrlOp{},          CtrlOp::flow_allow,  CtrlOp::flow_drop, CtrlOp::flow_reset,
        CtrlOp::node_skip, CtrlOp::path_change, CtrlOp::restore};
    if (nibble == 0) return {};
    const CtrlOp op = nibble < ops.size() ? ops[nibble] : CtrlOp{};
    return net::NodeControl{static_cast<std::uint8_t>(op), both, 0, 0};
}

std::optional<Ctrl> translate(const net::NodeControl& control, const LocalNode& node,
                              OrderFate& fate) {
    const auto may = [&](Privilege privilege) { return (node.privileges & bit(privilege)) != 0; };
    const auto refuse = [&](OrderFate why) {
        fate = why;
        return std::nullopt;
    };
    auto op = static_cast<CtrlOp>(control.operation);
    if (op < CtrlOp::flow_allow || op > CtrlOp::restore) return refuse(OrderFate::unknown);
    const std::uint8_t scope = control.scope == 0 ? both : control.scope;
    if ((scope & ~both) != 0) return refuse(OrderFate::bad_scope);
    if (op == CtrlOp::flow_allow && !may(Privilege::exempt_chain)) op = CtrlOp::node_skip;
    if (op == CtrlOp::flow_reset && !may(Privilege::reset_flow)) op = CtrlOp::flow_drop;
    if (op == CtrlOp::path_change && !may(Privilege::change_path))
        return refuse(OrderFate::not_privileged);
    if (op == CtrlOp::chain_change && !may(Privilege::change_chain))
        return refuse(OrderFate::not_privileged);
    const bool far_reaching =
        op == CtrlOp::flow_reset || op == CtrlOp::path_change || op == CtrlOp::chain_change;
    if (far_reaching && !node.signed_legs) return refuse(OrderFate::forgeable);
    Ctrl ctrl;
    ctrl.op = static_cast<std::uint8_t>(op);
    ctrl.scope = scope;
    ctrl.reason = control.reason;
    ctrl.parameter = control.parameter;
    return ctrl;
}

bool send_standalone(const Packet& of, std::uint32_t this_host, const Ctrl& ctrl, Emit& emit) {
    Packet* p = emit.allocate();
    if (!p) return false;
    if (!copy_headers(of, *p)) {
        emit.release(*p);
        return false;
    }
    net::set_macs(*p, net::service_plane_mac(of.smd.anchor_host),
                  net::service_plane_mac(this_host));
    p->hash = of.hash;
    p->smd = of.smd;
    p->smd.oam = p->smd.returning = true;
    p->smd.copy = p->smd.live_query = p->smd.live_ack = p->smd.trace = false;
    p->smd.si = 0;
    p->smd.ttl = net::Smd{}.ttl - 1;  // one leg
    p->oam = true;
    encode(ctrl, p->ctrl[0]);
    p->ctrl_count = 1;
    p->vni = p->hand.vni = of.vni;
    if (of.smd.anchor_host != this_host) p->tunnel_peer = of.smd.anchor_host;
    emit.enter(*p, dataplane::Context::service, emit.stages->service_from_anchor);
    return true;
}

bool NodeOrders::repeats(const Ctrl& ctrl, std::uint64_t now_ns) {
    const std::array<std::uint64_t, 2> key{ctrl.issuer, ctrl.flow_handle};
    std::array<std::uint8_t, 6> said{ctrl.op, ctrl.scope};
    net::store32(said.data() + 2, ctrl.parameter);
    const std::uint64_t what = net::siphash24(key, said);
    Recent& place = recent_[what % recent_.size()];
    if (place.what == what && now_ns - place.sent_ns < repeat_after_ns) return true;
    place = {what, now_ns};
    return false;
}

OrderFate NodeOrders::send(Packet& p, Ctrl& ctrl, const Place& place, Emit& emit) {
    ctrl.flow_handle = p.smd.flow_handle;
    ctrl.issuer = place.node.id;
    ctrl.hop = place.hop;
    if (p.headers.fragment == net::Fragment::later || ctrl.flow_handle == 0)
        return OrderFate::no_flow;
    if (repeats(ctrl, emit.now_ns)) return OrderFate::repeated;
    ctrl.digest = flow_digest(p.tuple, p.smd.tenant_vni);
    ctrl.sequence = proxies.next_sequence(place.node.id, emit.now_ns);
    if (!place.stays && has_room(p, emit)) {
        encode(ctrl, p.ctrl[p.ctrl_count++]);
        ++embedded_;
        return OrderFate::sent;
    }
    if (!send_standalone(p, emit.ports->host_id, ctrl, emit)) return OrderFate::no_buffer;
    ++standalone_;
    return OrderFate::sent;
}

OrderFate NodeOrders::take(Packet& p, const net::NodeControl& control, const Place& place,
                           Emit& emit) {
    OrderFate fate = OrderFate::sent;
    if (auto ctrl = translate(control, place.node, fate)) fate = send(p, *ctrl, place, emit);
    const std::size_t op = control.operation < order_names.size() ? control.operation : 0;
    ++counts_[place.index][op][static_cast<std::size_t>(fate)];
    emit.note(p, "order", control.operation);
    emit.note(p, "fate", order_fates[static_cast<std::size_t>(fate)]);
    return fate;
}

void NodeOrders::take_overload(const net::NodeControl& control, std::size_t index,
                               std::atomic<std::uint64_t>& said) {
    const std::uint32_t share = control.parameter & 0xffff, seconds = control.parameter >> 16;
    const bool good = share <= dataplane::Overloads::whole;
    const auto fate = good ? OrderFate::sent : OrderFate::unknown;
    ++counts_[index][static_cast<std::size_t>(CtrlOp::overload)][static_cast<std::size_t>(fate)];
    if (!good) return;
    const std::uint64_t word = std::uint64_t{seconds != 0 ? seconds : 10} << 16 | share;
    std::uint64_t before = said.load(std::memory_order_relaxed);
    while (!said.compare_exchange_weak(before, ((before >> 32) + 1) << 32 | word,
                                       std::memory_order_acq_rel)) {
    }
}

void NodeOrders::counters(const NodeTable& table, dataplane::CounterSink& sink) const {
    for (std::size_t n = 0; n < table.nodes.size(); ++n)
        for (std::size_t op = 0; op < order_names.size(); ++op)
            for (std::size_t fate = 0; fate < order_fates.size(); ++fate)
                if (const std::uint64_t count = counts_[n][op][fate]; count != 0)
                    sink.add("weir_service_node_orders_total",
                             {{"node", table.nodes[n].name},
                              {"order", op == 0 ? "unknown" : order_names[op]},
                              {"result", order_fates[fate]}},
                             count);
    sink.add("weir_orders_sent_total", {{"way", "embedded"}}, embedded_);
    sink.add("weir_orders_sent_total", {{"way", "standalone"}}, standalone_);
}

}  // namespace weir::chain
