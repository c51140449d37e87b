#include "features/overlay/service_leg.hpp"

#include <algorithm>
#include <cstring>

#include "base/limits.hpp"
#include "dataplane/overhead.hpp"
#include "net/auth.hpp"
#include "net/bytes.hpp"
#include "net/ethernet.hpp"
#include "net/nsh.hpp"
#include "net/wire.hpp"

namespace weir::overlay {
namespace {

using net::Packet;

// The frame keeps its guests' addresses; those of the service plane stand in front of the NSH.
bool push_nsh_frame(Packet& p) {
    if (p.headroom < net::nsh_md2_bytes + net::ethernet_bytes) return false;
    if (p.length < net::ethernet_bytes) return false;
    const net::Mac dst = net::destination_mac(p), src = net::source_mac(p);
    net::set_macs(p, p.smd.original_dst, p.smd.original_src);
    net::Nsh nsh;
    nsh.smd = p.smd;
    net::push_nsh(p, nsh);
    net::push_ethernet(p, dst, src, net::ethertype_nsh);
    return true;
}

// DP-23: nothing of the plane's addresses; who is next follows from the metadata. The guests' own
// are where they always are. Control packets have no guest's frame: they stay as they are.
net::Smd without_addresses(Packet& p) {
    net::Smd smd = p.smd;
    net::set_macs(p, smd.original_dst, smd.original_src);
    smd.original_dst = smd.original_src = {};
    return smd;
}

// All that a leg may put in front of a packet with so many orders: outer headers, Geneve with the
// metadata or NSH, AUTH, TRACE and the orders.
constexpr std::uint32_t most_headers(std::uint32_t orders) {
    constexpr std::size_t option = dataplane::option_header_bytes;
    constexpr std::size_t outer = net::ethernet_bytes + net::ip6_bytes + net::udp_bytes;
    constexpr std::size_t metadata =
        std::max(option + net::smd_bytes, net::ethernet_bytes + net::nsh_md2_bytes);
    constexpr std::size_t others = option + net::auth_bytes + dataplane::trace_option_bytes;
    return static_cast<std::uint32_t>(outer + net::geneve_bytes + metadata + others +
                                      orders * (option + net::ctrl_bytes));
}
constexpr std::uint32_t orders_with_room = 2;
static_assert(most_headers(orders_with_room) <= limits::packet_headroom_bytes);

}  // namespace

bool has_headroom(const Packet& p) {
    return p.ctrl_count <= orders_with_room || p.headroom >= most_headers(p.ctrl_count);
}

Packet* with_headroom(const Packet& p, dataplane::Emit& emit) {
    Packet* wider = emit.clone(p);
    if (!wider) return nullptr;
    const std::uint32_t missing = most_headers(p.ctrl_count) - wider->headroom;
    if (wider->tailroom < missing) {
        emit.release(*wider);
        return nullptr;
    }
    std::memmove(wider->data + missing, wider->data, wider->length);
    wider->data += missing;
    wider->headroom += missing;
    wider->tailroom -= missing;
    return wider;
}

bool push_service_leg(Packet& p, const dataplane::SegmentEntry* segment, Signer& signer) {
    const bool nsh = segment && segment->nsh;
    const bool l3 = segment && segment->l3 && !p.oam && !p.smd.oam;
    net::GeneveHeader header;
    header.vni = p.vni;
    header.oam = p.oam;
    net::Smd smd = p.smd;
    if (l3 && !nsh) smd = without_addresses(p);
    if (!nsh) header.smd = &smd;
    std::copy_n(p.ctrl.begin(), p.ctrl_count, header.ctrl.begin());
    header.ctrl_count = p.ctrl_count;
    const net::SmdTrace trace{p.hand.trace_id, p.hand.trace_collector};
    if (trace.trace_id != 0) header.trace = &trace;
    const AuthLink* link =
        segment && segment->signed_legs ? signer.tables.find(p.vni, p.tunnel_peer) : nullptr;
    const std::size_t at = link && signer.shared.windows
                               ? signer.shared.windows->find_or_add(p.vni, p.tunnel_peer)
                               : AuthWindows::capacity;
    std::array<std::uint8_t, net::auth_bytes> option;
    if (at != AuthWindows::capacity) {
        net::Auth auth;
        auth.key_id = link->send.id;
        auth.sequence = signer.numbers.next(at, *signer.shared.windows, signer.shared.first);
        net::encode(auth, option);
        header.auth = option;
    }
    if (nsh && !push_nsh_frame(p)) return false;
    if (!net::push_geneve(p, header)) return false;
    return header.auth.empty() || net::sign(p, link->send.state, nsh);
}

NshLeg take_nsh(Packet& p) {
    if (p.length < net::ethernet_bytes || net::load16(p.data + 12) != net::ethertype_nsh)
        return NshLeg::missing;
    const net::Mac dst = net::destination_mac(p), src = net::source_mac(p);
    net::NshView view;
    if (net::decode_nsh(p.bytes().subspan(net::ethernet_bytes), view) != net::NshError::none ||
        view.nsh.md_type != net::MdType::variable || view.nsh.control ||
        view.inner.size() < net::ethernet_bytes)
        return NshLeg::bad;
    p.smd = view.nsh.smd;
    p.strip(net::ethernet_bytes + view.header_bytes);
    p.smd.original_dst = net::destination_mac(p);
    p.smd.original_src = net::source_mac(p);
    net::set_macs(p, dst, src);
    return NshLeg::good;
}

std::span<const std::uint8_t> frame_behind_nsh(std::span<const std::uint8_t> inner) {
    constexpr std::size_t base = net::ethernet_bytes;
    if (inner.size() < base + 8 || net::load16(inner.data() + 12) != net::ethertype_nsh) return {};
    const std::size_t skipped = base + (inner[base + 1] & 0x3fu) * 4;
    return skipped <= inner.size() ? inner.subspan(skipped) : std::span<const std::uint8_t>{};
}

}  // namespace weir::overlay
