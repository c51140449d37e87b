#include "features/overlay/quick_leg.hpp"

#include <span>

#include "net/ethernet.hpp"
#include "net/quick_nsh.hpp"
#include "net/quick_smd.hpp"

namespace weir::overlay {
namespace {

constexpr std::uint32_t options_at = TunnelHeader::bytes;
constexpr std::uint8_t critical_flag = 0x40;
constexpr std::uint32_t geneve_at = options_at - net::geneve_bytes;

bool read_option(const std::uint8_t* packet, const QuickTunnel& tunnel, net::Smd& smd,
                 QuickLeg& out) {
    out.macs = packet + tunnel.inner;
    out.inner = tunnel.inner;
    return tunnel.inner == options_at + net::smd_option_bytes &&
           packet[geneve_at + 1] == critical_flag && net::read_quick_smd(packet + options_at, smd);
}

bool read_nsh(const std::uint8_t* packet, const QuickTunnel& tunnel, net::Smd& smd, QuickLeg& out) {
    std::uint32_t cookie = 0;
    out.macs = packet + tunnel.inner;
    out.inner = tunnel.inner + net::ethernet_bytes + net::nsh_md2_bytes;
    if (!tunnel.plain || tunnel.end < out.inner + net::ethernet_bytes ||
        net::load16(out.macs + 12) != net::ethertype_nsh ||
        !net::read_quick_nsh(out.macs + net::ethernet_bytes, smd, cookie, net::NshFrom::host))
        return false;
    smd.original_dst = net::Mac::from(packet + out.inner);
    smd.original_src = net::Mac::from(packet + out.inner + 6);
    return true;
}

constexpr std::uint32_t nsh_frame_bytes = net::ethernet_bytes + net::nsh_md2_bytes;
static_assert(options_at + net::smd_option_bytes <= quick_leg_room &&
              options_at + nsh_frame_bytes <= quick_leg_room);

}  // namespace

std::uint32_t quick_leg_overhead(bool nsh) {
    return options_at - net::ethernet_bytes + (nsh ? nsh_frame_bytes : net::smd_option_bytes);
}

void push_quick_leg(net::Packet& p, const TunnelHeader& header, bool nsh, std::uint32_t hash) {
    const std::uint32_t vni = p.vni;
    if (nsh) {
        const net::Mac to = net::destination_mac(p), from = net::source_mac(p);
        net::set_macs(p, p.smd.original_dst, p.smd.original_src);
        net::write_quick_nsh(p.prepend(net::nsh_md2_bytes), p.smd, 0);
        net::push_ethernet(p, to, from, net::ethertype_nsh);
        header.push(p, vni, hash);
        return;
    }
    std::uint8_t* option = p.prepend(net::smd_option_bytes);
    net::store32(option, std::uint32_t{net::option_class} << 16 | net::option_smd << 8 |
                             net::smd_bytes / 4);
    net::encode(p.smd, std::span<std::uint8_t, net::smd_bytes>(option + 4, net::smd_bytes));
    header.push(p, vni, hash);
    p.data[geneve_at] = net::smd_option_bytes / 4;
    p.data[geneve_at + 1] = critical_flag;
}

bool read_quick_leg(const std::uint8_t* packet, const QuickTunnel& tunnel, bool nsh, net::Smd& smd,
                    QuickLeg& out) {
    return nsh ? read_nsh(packet, tunnel, smd, out) : read_option(packet, tunnel, smd, out);
}

}  // namespace weir::overlay
