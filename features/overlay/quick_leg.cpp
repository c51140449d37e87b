#include "features/overlay/quick_leg.hpp"

#include "net/quick_nsh.hpp"
#include "net/quick_smd.hpp"

namespace weir::overlay {
namespace {

constexpr std::uint32_t options_at = TunnelHeader::bytes;
constexpr std::uint32_t geneve_at = options_at - net::geneve_bytes;

bool read_option(const std::uint8_t* packet, const QuickTunnel& tunnel, net::Smd& smd,
                 QuickLeg& out) {
    constexpr std::uint8_t critical = 0x40;
    out.macs = packet + tunnel.inner;
    out.inner = tunnel.inner;
    return tunnel.inner == options_at + net::smd_option_bytes &&
           packet[geneve_at + 1] == critical && net::read_quick_smd(packet + options_at, smd);
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

}  // namespace

bool read_quick_leg(const std::uint8_t* packet, const QuickTunnel& tunnel, bool nsh, net::Smd& smd,
                    QuickLeg& out) {
    return nsh ? read_nsh(packet, tunnel, smd, out) : read_option(packet, tunnel, smd, out);
}

}  // namespace weir::overlay
