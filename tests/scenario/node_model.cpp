#include "tests/scenario/node_model.hpp"

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::scenario {

namespace {

bool is_dropped(const NodeModel& node, std::span<const std::uint8_t> frame) {
    net::Headers headers;
    net::Tuple tuple;
    if (node.drop_port == 0 || net::parse_inner(frame, headers, tuple) != net::ParseError::none)
        return false;
    return tuple.dst_port == node.drop_port || tuple.src_port == node.drop_port;
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
    if (drop && !asked) return {};
    nsh.smd.live_query = false;
    nsh.smd.live_ack = asked;
    if (drop) nsh.smd.oam = true;  // a header-only answer: the packet itself is gone (LV-2)
    if (node.decrements && !nsh.smd.oam) --nsh.smd.si;
    net::PacketBuffer out(drop ? std::span<const std::uint8_t>{} : view.inner, 512, 512);
    if (!net::push_nsh(out.packet(), nsh)) return {};
    const net::Mac node_mac = net::Mac::from(frame.data()),
                   proxy = net::Mac::from(frame.data() + 6);
    if (!net::push_ethernet(out.packet(), proxy, node_mac, net::ethertype_nsh)) return {};
    return FromNodeModel{0, out.frame()};
}

// The frame behind one VLAN tag, which is what a bump in the wire looks at.
Frame untagged(const Frame& frame) {
    if (frame.size() < 18 || net::load16(frame.data() + 12) != net::ethertype_vlan) return frame;
    Frame out = frame;
    out.erase(out.begin() + 12, out.begin() + 16);
    return out;
}

}  // namespace

std::optional<FromNodeModel> through_node(NodeModel& node, std::size_t vnic, const Frame& frame) {
    if (node.hung) return {};
    if (node.aware) return through_aware(node, frame);
    const Frame inner = untagged(frame);
    const bool heartbeat =
        inner.size() >= 14 && net::load16(inner.data() + 12) == net::ethertype_heartbeat;
    if (!heartbeat) {
        if (node.holds) return keep(node, vnic, frame);
        if (is_dropped(node, inner)) return {};
        node.visits.push_back(vnic == 0 ? "left" : "right");
    }
    Frame out = frame;
    if (node.rewrite_port != 0 && vnic == 0 && !heartbeat) out = rewritten(out, node.rewrite_port);
    if (node.corrupts && !heartbeat && out.size() > 18) out[18] ^= 0x20;
    return FromNodeModel{node.wrong_side && !heartbeat ? vnic : 1 - vnic, out};
}

}  // namespace weir::scenario
