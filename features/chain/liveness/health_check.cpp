#include "features/chain/liveness/health_check.hpp"

#include <algorithm>
#include <cstring>

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

constexpr std::uint32_t shortest_frame = 60;  // without FCS
constexpr std::uint8_t ttl = 64;
constexpr std::uint8_t echo4 = 8, echo4_reply = 0, echo6 = 128, echo6_reply = 129;
constexpr std::uint32_t echo_bytes = 12;  // header and the whole number

// Ethernet and IP from the proxy to the appliance; where the layer above starts. Null without room.
std::uint8_t* start(net::Packet& p, const LocalNode& node, std::uint8_t proto,
                    std::uint32_t bytes) {
    const bool ip4 = node.address.is4();
    const std::uint32_t ip_bytes = ip4 ? net::ip4_min_bytes : net::ip6_bytes;
    if (!net::start_frame(p, std::max(shortest_frame, net::ethernet_bytes + ip_bytes + bytes)))
        return nullptr;
    net::set_macs(p, node.vnics[0].mac, proxy_side_mac(node.id, Side::left));
    net::store16(p.data + 12, ip4 ? net::ethertype_ip4 : net::ethertype_ip6);
    std::uint8_t* ip = p.data + net::ethernet_bytes;
    if (ip4) {
        ip[0] = 0x45;
        net::store16(ip + 2, static_cast<std::uint16_t>(ip_bytes + bytes));
        net::store16(ip + 6, 0x4000);  // DF
        ip[8] = ttl;
        ip[9] = proto;
        std::memcpy(ip + 12, node.gwlb_proxy().data4(), 4);
        std::memcpy(ip + 16, node.address.data4(), 4);
        net::fill_ip4_checksum({ip, ip_bytes});
    } else {
        ip[0] = 0x60;
        net::store16(ip + 4, static_cast<std::uint16_t>(bytes));
        ip[6] = proto;
        ip[7] = ttl;
        std::memcpy(ip + 8, node.gwlb_proxy().data6(), 16);
        std::memcpy(ip + 24, node.address.data6(), 16);
    }
    return ip + ip_bytes;
}

std::uint16_t sum_of(const LocalNode& node, std::uint8_t proto, const std::uint8_t* l4,
                     std::uint32_t bytes) {
    net::InternetSum sum = net::pseudo_header(node.gwlb_proxy(), node.address, proto, bytes);
    sum.add({l4, bytes});
    return sum.checksum();
}

bool build_segment(net::Packet& p, const LocalNode& node, std::uint32_t sequence,
                   std::uint8_t flags) {
    std::uint8_t* tcp = start(p, node, net::proto_tcp, net::tcp_min_bytes);
    if (!tcp) return false;
    net::store16(tcp, health_source_port);
    net::store16(tcp + 2, node.health_port);
    net::store32(tcp + 4, sequence);
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    net::store16(tcp + 14, 1024);  // window
    net::store16(tcp + 16, sum_of(node, net::proto_tcp, tcp, net::tcp_min_bytes));
    return true;
}

bool build_echo(net::Packet& p, const LocalNode& node, std::uint32_t sequence) {
    const bool ip4 = node.address.is4();
    const std::uint8_t proto = ip4 ? net::proto_icmp : net::proto_icmp6;
    std::uint8_t* icmp = start(p, node, proto, echo_bytes);
    if (!icmp) return false;
    icmp[0] = ip4 ? echo4 : echo6;
    net::store16(icmp + 4, health_source_port);
    net::store16(icmp + 6, static_cast<std::uint16_t>(sequence));
    net::store32(icmp + 8, sequence);
    net::store16(icmp + 2, ip4 ? net::internet_checksum({icmp, echo_bytes})
                               : sum_of(node, proto, icmp, echo_bytes));
    return true;
}

Answer segment_answer(const net::Packet& p, const LocalNode& node, std::uint32_t sequence) {
    if (p.headers.proto != net::proto_tcp || p.headers.l4 == 0 ||
        p.tuple.src_port != node.health_port || p.tuple.dst_port != health_source_port)
        return Answer::none;
    if (net::load32(p.data + p.headers.l4 + 8) != sequence + 1) return Answer::late;
    if (p.headers.tcp_flags & net::tcp_rst) return Answer::unwell;
    constexpr std::uint8_t both = net::tcp_syn | net::tcp_ack;
    return (p.headers.tcp_flags & both) == both ? Answer::well : Answer::late;
}

Answer echo_answer(const net::Packet& p, const LocalNode& node, std::uint32_t sequence) {
    const bool ip4 = node.address.is4();
    if (p.headers.proto != (ip4 ? net::proto_icmp : net::proto_icmp6) || p.headers.l4 == 0 ||
        p.headers.icmp_type != (ip4 ? echo4_reply : echo6_reply) ||
        p.headers.l4 + echo_bytes > p.headers.l3_end ||
        net::load16(p.data + p.headers.l4 + 4) != health_source_port)
        return Answer::none;
    return net::load32(p.data + p.headers.l4 + 8) == sequence ? Answer::well : Answer::late;
}

}  // namespace

bool build_health_question(net::Packet& p, const LocalNode& node, std::uint32_t sequence) {
    return node.health_port != 0 ? build_segment(p, node, sequence, net::tcp_syn)
                                 : build_echo(p, node, sequence);
}

Answer health_answer(const net::Packet& p, const LocalNode& node, std::uint32_t sequence) {
    if (p.headers.fragment != net::Fragment::whole) return Answer::none;
    return node.health_port != 0 ? segment_answer(p, node, sequence)
                                 : echo_answer(p, node, sequence);
}

bool close_check(net::Packet& p, const LocalNode& node) {
    if (node.health_port == 0) return false;
    const std::uint32_t acknowledged = net::load32(p.data + p.headers.l4 + 8);
    return build_segment(p, node, acknowledged, net::tcp_rst);
}

}  // namespace weir::chain
