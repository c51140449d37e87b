#include "tests/scenario/node_model.hpp"

#include <algorithm>

#include "features/chain/liveness/heartbeat.hpp"
#include "net/arp.hpp"
#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/gwlb.hpp"
#include "net/icmp.hpp"
#include "net/nd.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::scenario {

namespace {

bool has_port(std::span<const std::uint8_t> frame, std::uint32_t port) {
    net::Headers headers;
    net::Tuple tuple;
    if (port == 0 || net::parse_inner(frame, headers, tuple) != net::ParseError::none) return false;
    return tuple.dst_port == port || tuple.src_port == port;
}

bool is_dropped(const NodeModel& node, std::span<const std::uint8_t> frame) {
    return has_port(frame, node.drop_port);
}

// Lets the packet go to another port, with its checksum right again.
Frame rewritten(const Frame& frame, std::uint16_t port) {
    net::PacketBuffer out(frame);
    net::Packet& p = out.packet();
    if (net::parse(p) != net::ParseError::none || p.headers.l4 == 0) return frame;
    net::store16(p.data + p.headers.l4 + 2, port);
    net::fill_l4_checksum(p);
    return out.frame();
}

// Source translation of IPv4, and its undoing on the way back.
Frame translated(const NodeModel& node, std::span<const std::uint8_t> frame) {
    net::PacketBuffer out(frame);
    net::Packet& p = out.packet();
    if (node.nat_to.is_zero() || net::parse(p) != net::ParseError::none ||
        p.headers.family != net::Family::ip4)
        return out.frame();
    std::uint8_t* ip = p.data + p.headers.l3;
    if (p.tuple.src == node.nat_from) std::copy_n(node.nat_to.bytes.begin() + 12, 4, ip + 12);
    else if (p.tuple.dst == node.nat_to) std::copy_n(node.nat_from.bytes.begin() + 12, 4, ip + 16);
    net::fill_ip4_checksum({ip, net::ip4_min_bytes});
    if (net::parse(p) == net::ParseError::none) net::fill_l4_checksum(p);
    return out.frame();
}

std::string visit_text(const net::Smd& smd) {
    return "sci=" + std::to_string(smd.sci) + " spi=" + std::to_string(smd.spi) +
           " si=" + std::to_string(smd.si) + " d=" + std::to_string(smd.reverse ? 1 : 0) +
           " tenant=" + std::to_string(smd.tenant_vni);
}

std::optional<FromNodeModel> keep(NodeModel& node, std::size_t vnic, const Frame& frame) {
    node.held.emplace_back(vnic, frame);
    return {};
}

std::optional<FromNodeModel> through_aware(NodeModel& node, const Frame& frame) {
    if (frame.size() < net::ethernet_bytes || net::load16(frame.data() + 12) != net::ethertype_nsh)
        return {};
    net::NshView view;
    const std::span<const std::uint8_t> bytes(frame);
    if (net::decode_nsh(bytes.subspan(net::ethernet_bytes), view) != net::NshError::none) return {};
    if (node.holds && !view.nsh.smd.oam) return keep(node, 0, frame);
    net::Nsh nsh = view.nsh;
    const bool drop = !nsh.smd.oam && is_dropped(node, view.inner);
    if (!nsh.smd.oam) node.visits.push_back(visit_text(nsh.smd));
    const bool asked = nsh.smd.live_query;
    const bool orders = node.order.operation != 0 && !nsh.smd.oam &&
                        (has_port(view.inner, node.order_port) || node.order_port == 0);
    if (drop && !asked && !orders) return {};
    if (orders) nsh.control = node.order;
    nsh.smd.live_query = false;
    nsh.smd.live_ack = asked;
    if (drop) nsh.smd.oam = true;  // a header-only answer: the packet itself is gone (LV-2)
    if (!nsh.smd.oam) {
        nsh.smd.si = static_cast<std::uint8_t>(nsh.smd.si - node.decrements);
        if (node.tampers) nsh.smd.spi ^= 1;
        nsh.flow_action = node.action;
    }
    // What a dropped packet leaves behind: its first bytes, where something is ordered for its
    // flow.
    const std::size_t kept =
        drop ? (orders ? std::min<std::size_t>(view.inner.size(), 128) : 0) : view.inner.size();
    const Frame inner = kept != 0 && kept == view.inner.size()
                            ? translated(node, view.inner)
                            : Frame(view.inner.begin(), view.inner.begin() + std::ptrdiff_t(kept));
    net::PacketBuffer out(inner, 512, 512);
    if (!net::push_nsh(out.packet(), nsh)) return {};
    const net::Mac node_mac = net::Mac::from(frame.data()),
                   proxy = net::Mac::from(frame.data() + 6);
    if (!net::push_ethernet(out.packet(), proxy, node_mac, net::ethertype_nsh)) return {};
    return FromNodeModel{0, out.frame()};
}

// A router: what came in on one vNIC goes to the gateway behind the other, one hop less. It asks
// for a gateway's MAC before the first packet, which waits; no packet is sent to a guessed one.
const net::Ip* gateway_of(const NodePlace& place, std::size_t vnic, net::Family family) {
    for (std::size_t i = vnic; i < place.gateways.size(); i += 2)
        if (place.gateways[i].is4() == (family == net::Family::ip4)) return &place.gateways[i];
    return nullptr;
}

net::Ip own_address(const NodePlace& place, std::size_t vnic, net::Family family) {
    for (const net::Ip& ip : place.addresses[vnic])
        if (ip.is4() == (family == net::Family::ip4)) return ip;
    return {};
}

FromNodeModel question(const NodePlace& place, std::size_t vnic, const net::Ip& gateway) {
    net::PacketBuffer out(std::span<const std::uint8_t>{}, 256, 256);
    const net::Family family = gateway.is4() ? net::Family::ip4 : net::Family::ip6;
    const net::Ip own = own_address(place, vnic, family);
    if (gateway.is4()) net::write_arp_request(out.packet(), place.macs[vnic], own, gateway);
    else net::write_neighbour_solicitation(out.packet(), place.macs[vnic], own, gateway);
    return {vnic, out.frame()};
}

// The MAC that an ARP reply or advertisement tells; the waiting packets go on.
bool learn(NodeModel& node, const net::Packet& p) {
    if (const auto arp = net::read_arp(p)) {
        if (arp->operation == net::ArpOperation::reply)
            node.neighbours[arp->sender.text()] = arp->sender_mac;
        return true;
    }
    const auto told = net::read_neighbour(p);
    if (told && !told->solicitation && told->link_address)
        node.neighbours[told->target.text()] = *told->link_address;
    return told.has_value();
}

std::optional<FromNodeModel> route(NodeModel& node, const NodePlace& place, std::size_t vnic,
                                   net::PacketBuffer& buffer) {
    net::Packet& p = buffer.packet();
    const std::size_t out = node.wrong_side ? vnic : 1 - vnic;
    const net::Ip* gateway = gateway_of(place, out, p.headers.family);
    if (!gateway) return {};
    const auto mac = node.neighbours.find(gateway->text());
    if (mac == node.neighbours.end()) {
        node.waiting.emplace_back(vnic, buffer.frame());
        return question(place, out, *gateway);
    }
    if (!net::decrement_ttl(p)) return {};
    net::set_macs(p, mac->second, place.macs[out]);
    return FromNodeModel{out, buffer.frame()};
}

bool is_udp_to(const net::Packet& p, std::uint16_t port) {
    return p.headers.proto == net::proto_udp && p.tuple.dst_port == port;
}

std::optional<FromNodeModel> through_router(NodeModel& node, const NodePlace& place,
                                            std::size_t vnic, const Frame& frame) {
    net::PacketBuffer buffer(frame);
    net::Packet& p = buffer.packet();
    if (net::parse(p) != net::ParseError::none || learn(node, p)) return {};
    if (net::destination_mac(p) != place.macs[vnic]) return {};
    const bool heartbeat = is_udp_to(p, chain::router_heartbeat_port);
    if (!heartbeat) {
        if (node.holds) return keep(node, vnic, frame);
        if (is_dropped(node, frame)) return {};
    }
    const std::size_t waiting = node.waiting.size();
    auto back = route(node, place, vnic, buffer);
    if (heartbeat || !back || node.waiting.size() > waiting) return back;
    node.visits.push_back(std::string(vnic == 0 ? "left" : "right") +
                          " ttl=" + std::to_string(p.headers.ttl));
    back->frame = translated(node, back->frame);
    if (node.corrupts) back->frame[14] ^= 0x20;
    return back;
}

// An appliance: gives packets back with the outer addresses swapped, accepts connections to its
// health port, answers pings.
std::optional<FromNodeModel> through_appliance(NodeModel& node, const NodePlace& place,
                                               const Frame& frame) {
    net::PacketBuffer buffer(frame);
    net::Packet& p = buffer.packet();
    if (net::parse(p) != net::ParseError::none || learn(node, p)) return {};
    if (p.headers.family == net::Family::none || net::destination_mac(p) != place.macs[0])
        return {};
    const bool geneve = is_udp_to(p, net::udp_port_geneve);
    if (geneve && node.holds) return keep(node, 0, frame);
    const auto proxy = node.neighbours.find(p.tuple.src.text());
    if (proxy == node.neighbours.end()) {
        node.waiting.emplace_back(0, frame);
        return question(place, 0, p.tuple.src);
    }
    const net::Mac proxy_mac = proxy->second;
    std::uint8_t* ip = p.data + p.headers.l3;
    const bool ip4 = p.headers.family == net::Family::ip4;
    const std::size_t at = ip4 ? 12 : 8, bytes = ip4 ? 4 : 16;
    std::swap_ranges(ip + at, ip + at + bytes, ip + at + bytes);
    net::set_macs(p, proxy_mac, place.macs[0]);
    std::uint8_t* l4 = p.data + p.headers.l4;
    if (!geneve) {
        if (p.headers.proto == net::proto_tcp) {
            if (p.headers.tcp_flags != net::tcp_syn) return {};
            std::swap_ranges(l4, l4 + 2, l4 + 2);
            net::store32(l4 + 8, net::load32(l4 + 4) + 1);
            net::store32(l4 + 4, 7);
            l4[13] = net::tcp_syn | net::tcp_ack;
        } else {
            l4[0] = p.headers.proto == net::proto_icmp ? 0 : 129;
        }
        (void)net::parse(p);
        net::fill_l4_checksum(p);
        return FromNodeModel{0, buffer.frame()};
    }
    net::GwlbView view;
    if (net::decode_gwlb(p.bytes().subspan(p.headers.payload), view) != net::GwlbError::none)
        return {};
    Frame inner(net::ethernet_bytes);
    net::store16(inner.data() + 12, view.protocol);
    inner.insert(inner.end(), view.inner.begin(), view.inner.end());
    if (is_dropped(node, inner)) return {};
    node.visits.push_back("endpoint=" + std::to_string(view.gwlb.endpoint >> 32) + ":" +
                          std::to_string(view.gwlb.endpoint & 0xffffffff) +
                          " attachment=" + std::to_string(view.gwlb.attachment));
    if (node.tampers) l4[net::udp_bytes + net::gwlb_bytes - 1] ^= 1;
    if (node.corrupts) l4[net::udp_bytes + net::gwlb_bytes] ^= 0x20;
    if (!ip4) net::fill_l4_checksum(p);
    return FromNodeModel{0, buffer.frame()};
}

// The frame behind one VLAN tag, which is what a bump in the wire looks at.
Frame untagged(const Frame& frame) {
    if (frame.size() < 18 || (net::load16(frame.data() + 12) != net::ethertype_vlan &&
                              net::load16(frame.data() + 12) != net::ethertype_qinq))
        return frame;
    Frame out = frame;
    out.erase(out.begin() + 12, out.begin() + 16);
    return out;
}

}  // namespace

namespace {

// The reset that a firewall sends in the name of the packet's destination, behind the same tags.
std::optional<FromNodeModel> reset(std::size_t vnic, const Frame& frame) {
    const Frame inner = untagged(untagged(frame));
    net::PacketBuffer offending(inner), out;
    if (net::parse(offending.packet()) != net::ParseError::none ||
        !net::build_tcp_reset(offending.packet(), out.packet()))
        return {};
    Frame answer = out.frame();
    answer.insert(answer.begin() + 12, frame.begin() + 12,
                  frame.begin() + 12 + static_cast<std::ptrdiff_t>(frame.size() - inner.size()));
    return FromNodeModel{vnic, answer};
}

}  // namespace

std::optional<FromNodeModel> through_node(NodeModel& node, const NodePlace& place, std::size_t vnic,
                                          const Frame& frame) {
    if (node.hung) return {};
    if (place.mode == chain::NodeMode::l3) return through_router(node, place, vnic, frame);
    if (place.mode == chain::NodeMode::gwlb) return through_appliance(node, place, frame);
    if (node.aware) return through_aware(node, frame);
    const Frame inner = untagged(untagged(frame));
    const bool heartbeat =
        inner.size() >= 14 && net::load16(inner.data() + 12) == net::ethertype_heartbeat;
    if (!heartbeat) {
        if (node.holds) return keep(node, vnic, frame);
        if (is_dropped(node, inner)) return node.resets ? reset(vnic, frame) : std::nullopt;
        node.visits.push_back(vnic == 0 ? "left" : "right");
    }
    Frame out = frame;
    if (node.rewrite_port != 0 && vnic == 0 && !heartbeat) out = rewritten(out, node.rewrite_port);
    if (node.corrupts && !heartbeat && out.size() > 18) out[18] ^= 0x20;
    return FromNodeModel{node.wrong_side && !heartbeat ? vnic : 1 - vnic, out};
}

}  // namespace weir::scenario
