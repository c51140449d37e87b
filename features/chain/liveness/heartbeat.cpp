#include "features/chain/liveness/heartbeat.hpp"

#include <algorithm>
#include <cstring>

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

constexpr std::uint32_t live_bytes = 12;
constexpr std::uint32_t frame_bytes = 60;  // the shortest Ethernet frame, without FCS
constexpr std::uint8_t router_ttl = 255;
constexpr net::Mac broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

void write_live(std::uint8_t* at, const net::Live& live) {
    net::store32(at, live.node);
    net::store32(at + 4, live.sequence);
    net::store32(at + 8, live.sent_ms);
}

net::Live read_live(const std::uint8_t* at) {
    return {net::load32(at), net::load32(at + 4), net::load32(at + 8)};
}

std::uint8_t* write_ip4(std::uint8_t* ip, const net::Ip& src, const net::Ip& dst) {
    ip[0] = 0x45;
    net::store16(ip + 2, net::ip4_min_bytes + net::udp_bytes + live_bytes);
    net::store16(ip + 6, 0x4000);  // DF
    ip[8] = router_ttl;
    ip[9] = net::proto_udp;
    std::memcpy(ip + 12, src.data4(), 4);
    std::memcpy(ip + 16, dst.data4(), 4);
    net::fill_ip4_checksum({ip, net::ip4_min_bytes});
    return ip + net::ip4_min_bytes;
}

std::uint8_t* write_ip6(std::uint8_t* ip, const net::Ip& src, const net::Ip& dst) {
    ip[0] = 0x60;
    net::store16(ip + 4, net::udp_bytes + live_bytes);
    ip[6] = net::proto_udp;
    ip[7] = router_ttl;
    std::memcpy(ip + 8, src.data6(), 16);
    std::memcpy(ip + 24, dst.data6(), 16);
    return ip + net::ip6_bytes;
}

}  // namespace

bool build_heartbeat(net::Packet& p, const Heartbeat& beat) {
    if (!net::start_frame(p, frame_bytes)) return false;
    net::set_macs(p, broadcast, proxy_side_mac(beat.live.node, beat.entered));
    net::store16(p.data + 12, net::ethertype_heartbeat);
    write_live(p.data + 14, beat.live);
    return true;
}

std::optional<Heartbeat> parse_heartbeat(const net::Packet& p) {
    if (p.length < net::ethernet_bytes + live_bytes ||
        net::load16(p.data + 12) != net::ethertype_heartbeat ||
        !net::destination_mac(p).is_broadcast())
        return std::nullopt;
    Heartbeat beat;
    beat.live = read_live(p.data + 14);
    const net::Mac source = net::source_mac(p);
    for (const Side side : {Side::left, Side::right}) {
        beat.entered = side;
        if (source == proxy_side_mac(beat.live.node, side)) return beat;
    }
    return std::nullopt;
}

bool build_router_heartbeat(net::Packet& p, const LocalNode& node, Side entered, net::Family family,
                            const net::Live& live) {
    const auto in = static_cast<std::size_t>(entered);
    const bool ip4 = family == net::Family::ip4;
    const net::Ip &src = node.proxy[in][ip4 ? 0 : 1], &dst = node.proxy[1 - in][ip4 ? 0 : 1];
    if (src.is_zero() || dst.is_zero()) return false;
    const std::uint32_t ip_bytes = ip4 ? net::ip4_min_bytes : net::ip6_bytes;
    const std::uint32_t bytes = net::ethernet_bytes + ip_bytes + net::udp_bytes + live_bytes;
    if (!net::start_frame(p, std::max(bytes, frame_bytes))) return false;
    net::set_macs(p, node.vnics[in].mac, proxy_side_mac(node.id, entered));
    net::store16(p.data + 12, ip4 ? net::ethertype_ip4 : net::ethertype_ip6);
    std::uint8_t* ip = p.data + net::ethernet_bytes;
    std::uint8_t* udp = ip4 ? write_ip4(ip, src, dst) : write_ip6(ip, src, dst);
    net::store16(udp, router_heartbeat_port);
    net::store16(udp + 2, router_heartbeat_port);
    net::store16(udp + 4, net::udp_bytes + live_bytes);
    write_live(udp + net::udp_bytes, live);
    net::InternetSum sum =
        net::pseudo_header(src, dst, net::proto_udp, net::udp_bytes + live_bytes);
    sum.add({udp, net::udp_bytes + live_bytes});
    const std::uint16_t checksum = sum.checksum();
    net::store16(udp + 6, checksum == 0 ? 0xffff : checksum);
    return true;
}

bool is_router_heartbeat(const net::Packet& p, const LocalNode& node, Side side) {
    const auto out = static_cast<std::size_t>(side);
    const std::size_t family = p.headers.family == net::Family::ip4 ? 0 : 1;
    return p.headers.proto == net::proto_udp && p.headers.l4 != 0 &&
           p.headers.fragment == net::Fragment::whole && p.headers.ttl == router_ttl - 1 &&
           p.tuple.dst_port == router_heartbeat_port && p.tuple.src_port == router_heartbeat_port &&
           p.headers.payload + live_bytes <= p.headers.l3_end &&
           p.tuple.dst == node.proxy[out][family] && p.tuple.src == node.proxy[1 - out][family];
}

net::Live read_router_heartbeat(const net::Packet& p) {
    return read_live(p.data + p.headers.payload);
}

}  // namespace weir::chain
