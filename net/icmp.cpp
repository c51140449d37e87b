#include "net/icmp.hpp"

#include <algorithm>

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/nd.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint32_t icmp_header_bytes = 8;
constexpr std::uint8_t answer_ttl = 64;
constexpr std::uint8_t internetwork_control = 0xc0;  // precedence 6, RFC 1812 §4.3.2.5

struct TypeCode {
    std::uint8_t type, code;
};

TypeCode type_code(IcmpErrorKind kind, bool ip4) {
    switch (kind) {
        case IcmpErrorKind::time_exceeded:
            return ip4 ? TypeCode{11, 0} : TypeCode{3, 0};
        case IcmpErrorKind::net_unreachable:
            return ip4 ? TypeCode{3, 0} : TypeCode{1, 0};
        case IcmpErrorKind::host_unreachable:
            return ip4 ? TypeCode{3, 1} : TypeCode{1, 3};
        case IcmpErrorKind::port_unreachable:
            return ip4 ? TypeCode{3, 3} : TypeCode{1, 4};
        case IcmpErrorKind::admin_prohibited:
            return ip4 ? TypeCode{3, 13} : TypeCode{1, 1};
        case IcmpErrorKind::too_big:
            return ip4 ? TypeCode{3, 4} : TypeCode{2, 0};
    }
    return {0, 0};
}

// The addresses as they stand in the IP header; the tuple of an ICMP error says something else.
struct Ends {
    Ip src, dst;
};

Ends ends_of(const Packet& packet) {
    const std::uint8_t* l3 = packet.data + packet.headers.l3;
    if (packet.headers.family == Family::ip4) return {Ip::from4(l3 + 12), Ip::from4(l3 + 16)};
    return {Ip::from6(l3 + 8), Ip::from6(l3 + 24)};
}

bool is_one_host(const Ip& ip) {
    if (ip.is_zero() || ip.is_multicast()) return false;
    return !ip.is4() || (ip.data4()[0] < 240 && ip.data4()[0] != 0 && ip.data4()[0] != 127);
}

bool is_group(const Ip& ip) {
    return ip.is_multicast() || ip.is_broadcast();
}

// An empty frame with Ethernet, the tags of `like` and a 20 or 40 byte IP header; null without
// room.
std::uint8_t* start_answer(Packet& out, const Packet& like, const Ends& ends, std::uint8_t proto,
                           std::uint8_t traffic_class, std::uint32_t l4_bytes) {
    const bool ip4 = like.headers.family == Family::ip4;
    const std::uint32_t ip_bytes = ip4 ? ip4_min_bytes : ip6_bytes;
    const std::uint32_t l3 = like.headers.l3;
    if (!start_frame(out, l3 + ip_bytes + l4_bytes)) return nullptr;
    std::memcpy(out.data + 12, like.data + 12, l3 - 12);
    std::uint8_t* ip = out.data + l3;
    if (ip4) {
        ip[0] = 0x45;
        ip[1] = traffic_class;
        store16(ip + 2, static_cast<std::uint16_t>(ip_bytes + l4_bytes));
        ip[8] = answer_ttl;
        ip[9] = proto;
        std::memcpy(ip + 12, ends.src.data4(), 4);
        std::memcpy(ip + 16, ends.dst.data4(), 4);
        fill_ip4_checksum({ip, ip4_min_bytes});
    } else {
        ip[0] = 0x60;
        store16(ip + 4, static_cast<std::uint16_t>(l4_bytes));
        ip[6] = proto;
        ip[7] = answer_ttl;
        std::memcpy(ip + 8, ends.src.data6(), 16);
        std::memcpy(ip + 24, ends.dst.data6(), 16);
    }
    return ip + ip_bytes;
}

// Whether a reset may take the place of the packet or answer it.
bool may_reset(const Packet& offending) {
    const Headers& headers = offending.headers;
    const bool whole_tcp = headers.proto == proto_tcp && headers.l4 != 0 &&
                           headers.fragment == Fragment::whole && headers.family != Family::none;
    if (!whole_tcp || (headers.tcp_flags & tcp_rst)) return false;
    const Ends ends = ends_of(offending);
    return is_one_host(ends.src) && !is_group(ends.dst) &&
           !destination_mac(offending).is_multicast();
}

void fill_tcp_checksum(std::uint8_t* tcp, const Ends& ends) {
    InternetSum sum = pseudo_header(ends.src, ends.dst, proto_tcp, tcp_min_bytes);
    sum.add({tcp, tcp_min_bytes});
    store16(tcp + 16, sum.checksum());
}

}  // namespace

bool may_report(const Packet& offending, IcmpErrorKind kind) {
    const Headers& headers = offending.headers;
    if (headers.family == Family::none || headers.fragment == Fragment::later) return false;
    if (headers.icmp_error) return false;
    const bool ip6 = headers.family == Family::ip6;
    if (ip6 && headers.proto == proto_icmp6 && headers.icmp_type == icmp6_redirect) return false;
    const Ends ends = ends_of(offending);
    if (!is_one_host(ends.src)) return false;
    if (ip6 && kind == IcmpErrorKind::too_big) return true;
    return !is_group(ends.dst) && !destination_mac(offending).is_multicast();
}

bool build_icmp_error(const Packet& offending, Packet& out, IcmpErrorKind kind, std::uint16_t mtu,
                      const Ip& source, const Mac& src, const Mac& dst) {
    const Headers& headers = offending.headers;
    if (!may_report(offending, kind) || source.family() != headers.family) return false;
    const bool ip4 = headers.family == Family::ip4;
    const std::uint32_t room = ip4 ? max_icmp4_error_bytes - ip4_min_bytes - icmp_header_bytes
                                   : max_icmp6_error_bytes - ip6_bytes - icmp_header_bytes;
    const std::uint32_t quoted = std::min<std::uint32_t>(room, headers.l3_end - headers.l3);
    const Ends ends{source, ends_of(offending).src};
    const std::uint8_t proto = ip4 ? proto_icmp : proto_icmp6;
    const std::uint32_t bytes = icmp_header_bytes + quoted;
    std::uint8_t* icmp =
        start_answer(out, offending, ends, proto, ip4 ? internetwork_control : 0, bytes);
    if (!icmp) return false;
    set_macs(out, dst, src);
    const TypeCode what = type_code(kind, ip4);
    icmp[0] = what.type;
    icmp[1] = what.code;
    if (kind == IcmpErrorKind::too_big) store32(icmp + 4, mtu);
    std::memcpy(icmp + icmp_header_bytes, offending.data + headers.l3, quoted);
    InternetSum sum;
    if (!ip4) sum = pseudo_header(ends.src, ends.dst, proto, bytes);
    sum.add({icmp, bytes});
    store16(icmp + 2, sum.checksum());
    return true;
}

bool build_tcp_reset(const Packet& offending, Packet& out) {
    if (!may_reset(offending)) return false;
    const Headers& headers = offending.headers;
    const Ends ends = ends_of(offending), back{ends.dst, ends.src};
    std::uint8_t* tcp = start_answer(out, offending, back, proto_tcp, 0, tcp_min_bytes);
    if (!tcp) return false;
    set_macs(out, source_mac(offending), destination_mac(offending));
    const std::uint8_t* segment = offending.data + headers.l4;
    store16(tcp, load16(segment + 2));
    store16(tcp + 2, load16(segment));
    tcp[12] = 5 << 4;
    if (headers.tcp_flags & tcp_ack) {
        store32(tcp + 4, load32(segment + 8));
        tcp[13] = tcp_rst;
    } else {
        std::uint32_t length = headers.l3_end - headers.payload;
        length += (headers.tcp_flags & tcp_syn ? 1 : 0) + (headers.tcp_flags & tcp_fin ? 1 : 0);
        store32(tcp + 8, load32(segment + 4) + length);
        tcp[13] = tcp_rst | tcp_ack;
    }
    fill_tcp_checksum(tcp, back);
    return true;
}

bool build_tcp_abort(const Packet& offending, std::uint32_t sequence, Packet& out) {
    if (!may_reset(offending)) return false;
    const Ends ends = ends_of(offending);
    std::uint8_t* tcp = start_answer(out, offending, ends, proto_tcp, 0, tcp_min_bytes);
    if (!tcp) return false;
    set_macs(out, destination_mac(offending), source_mac(offending));
    std::memcpy(tcp, offending.data + offending.headers.l4, 4);  // ports
    store32(tcp + 4, sequence);
    tcp[12] = 5 << 4;
    tcp[13] = tcp_rst;
    fill_tcp_checksum(tcp, ends);
    return true;
}

}  // namespace weir::net
