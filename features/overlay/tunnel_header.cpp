#include "features/overlay/tunnel_header.hpp"

#include <cstring>

#include "net/quick.hpp"

namespace weir::overlay {
namespace {

constexpr std::uint32_t ip_at = net::ethernet_bytes, udp_at = ip_at + net::ip4_min_bytes,
                        geneve_at = udp_at + net::udp_bytes;
constexpr std::uint32_t inner_at = geneve_at + net::geneve_bytes;
static_assert(inner_at == TunnelHeader::bytes);

}  // namespace

void TunnelHeader::copy(const std::uint8_t* packet, const Validity& validity) {
    std::memcpy(header_.data(), packet, bytes);
    validity_ = validity;
    header_[geneve_at] = header_[geneve_at + 1] = 0;  // options are their packet's own
    std::uint8_t* ip = header_.data() + ip_at;
    net::store16(ip + 2, 0);
    net::store16(ip + 10, 0);
    checksum_part_ = 0;
    for (std::uint32_t i = 0; i < net::ip4_min_bytes; i += 2) checksum_part_ += net::load16(ip + i);
}

void TunnelHeader::push(net::Packet& p, std::uint32_t vni, std::uint32_t inner_hash) const {
    std::uint8_t* frame = p.prepend(bytes);
    std::memcpy(frame, header_.data(), bytes);
    const std::uint32_t total = p.length - net::ethernet_bytes;
    std::uint32_t sum = checksum_part_ + total;
    sum = (sum & 0xffff) + (sum >> 16);
    sum += sum >> 16;
    net::store16(frame + ip_at + 2, static_cast<std::uint16_t>(total));
    net::store16(frame + ip_at + 10, static_cast<std::uint16_t>(~sum));
    net::store16(frame + udp_at, net::outer_source_port(inner_hash));
    net::store16(frame + udp_at + 4, static_cast<std::uint16_t>(total - net::ip4_min_bytes));
    net::store32(frame + geneve_at + 4, vni << 8);
}

bool read_quick_tunnel(const std::uint8_t* frame, std::uint32_t length, const net::Ip& own_address,
                       QuickTunnel& out) {
    if (length < inner_at + net::ethernet_bytes || length > 0xffff) return false;
    const std::uint8_t* ip = frame + ip_at;
    std::uint32_t total = 0;
    if (net::load16(frame + 12) != net::ethertype_ip4 || ip[9] != net::proto_udp ||
        !net::detail::quick_ip4_header(ip, total) || total < inner_at - ip_at ||
        ip_at + total > length || std::memcmp(ip + 16, own_address.data4(), 4) != 0)
        return false;
    const std::uint8_t* udp = frame + udp_at;
    if (net::load16(udp + 2) != net::udp_port_geneve || net::load16(udp + 6) != 0 ||
        net::load16(udp + 4) != total - net::ip4_min_bytes)
        return false;
    const std::uint8_t* geneve = frame + geneve_at;
    const std::uint32_t inner = inner_at + (geneve[0] & 0x3fu) * 4;
    if (geneve[0] >> 6 != 0 || net::load16(geneve + 2) != net::geneve_proto_ethernet ||
        ip_at + total < inner)
        return false;
    out.plain = geneve[0] == 0 && geneve[1] == 0;
    out.from = net::Ip::from4(ip + 12);
    out.vni = net::load32(geneve + 4) >> 8;
    out.inner = inner;
    out.end = ip_at + total;
    return true;
}

}  // namespace weir::overlay
