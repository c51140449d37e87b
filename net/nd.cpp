#include "net/nd.hpp"

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint32_t message_bytes = 24;  // ICMPv6 header, flags, target
constexpr std::uint32_t link_option_bytes = 8;
constexpr std::uint8_t option_source = 1, option_target = 2;
constexpr std::uint8_t required_hop_limit = 255;

Ip all_nodes() {
    Ip ip;
    ip.bytes[0] = 0xff;
    ip.bytes[1] = 2;
    ip.bytes[15] = 1;
    return ip;
}

// Walks the options; false if one is malformed.
bool read_options(std::span<const std::uint8_t> options, std::uint8_t wanted,
                  std::optional<Mac>& link_address) {
    while (!options.empty()) {
        if (options.size() < 8 || options[1] == 0 || options[1] * 8u > options.size()) return false;
        if (options[0] == wanted && options[1] == 1) link_address = Mac::from(options.data() + 2);
        options = options.subspan(options[1] * 8u);
    }
    return !link_address || !link_address->is_multicast();
}

bool addresses_fit(const Neighbour& message) {
    if (message.target.is_multicast() || message.target.is4()) return false;
    if (!message.solicitation) return !message.dst.is_multicast() || !message.solicited;
    if (!message.src.is_zero()) return true;
    return message.dst == solicited_node(message.target) && !message.link_address;
}

// Ethernet, IPv6 and the first 24 bytes of the message, plus room for one link-layer option.
std::uint8_t* start_message(Packet& out, const Mac& dst_mac, const Mac& src_mac, const Ip& dst,
                            const Ip& src, std::uint8_t type, std::uint32_t bytes) {
    if (!start_frame(out, ethernet_bytes + ip6_bytes + bytes)) return nullptr;
    set_macs(out, dst_mac, src_mac);
    store16(out.data + 12, ethertype_ip6);
    std::uint8_t* ip = out.data + ethernet_bytes;
    ip[0] = 0x60;
    store16(ip + 4, static_cast<std::uint16_t>(bytes));
    ip[6] = proto_icmp6;
    ip[7] = required_hop_limit;
    std::memcpy(ip + 8, src.data6(), 16);
    std::memcpy(ip + 24, dst.data6(), 16);
    ip[ip6_bytes] = type;
    return ip + ip6_bytes;
}

void finish_message(std::uint8_t* message, const Ip& src, const Ip& dst, std::uint32_t bytes) {
    InternetSum sum = pseudo_header(src, dst, proto_icmp6, bytes);
    sum.add({message, bytes});
    store16(message + 2, sum.checksum());
}

void write_link_option(std::uint8_t* at, std::uint8_t kind, const Mac& mac) {
    at[0] = kind;
    at[1] = 1;
    mac.store(at + 2);
}

}  // namespace

Ip solicited_node(const Ip& address) {
    Ip ip = all_nodes();
    ip.bytes[11] = 1;
    ip.bytes[12] = 0xff;
    std::memcpy(ip.bytes.data() + 13, address.bytes.data() + 13, 3);
    return ip;
}

Mac multicast_mac(const Ip& group) {
    Mac mac{{0x33, 0x33}};
    std::memcpy(mac.bytes.data() + 2, group.bytes.data() + 12, 4);
    return mac;
}

std::optional<Neighbour> read_neighbour(const Packet& packet) {
    const Headers& headers = packet.headers;
    if (headers.family != Family::ip6 || headers.proto != proto_icmp6 || headers.l4 == 0)
        return std::nullopt;
    if (headers.fragment != Fragment::whole) return std::nullopt;
    const bool solicitation = headers.icmp_type == icmp6_neighbour_solicitation;
    if (!solicitation && headers.icmp_type != icmp6_neighbour_advertisement) return std::nullopt;
    const bool valid = headers.ttl == required_hop_limit && headers.icmp_code == 0 &&
                       headers.l4 + message_bytes <= headers.l3_end && l4_checksum_ok(packet);
    if (!valid) return std::nullopt;
    const std::uint8_t* p = packet.data + headers.l4;
    Neighbour message;
    message.solicitation = solicitation;
    message.src = packet.tuple.src;
    message.dst = packet.tuple.dst;
    message.target = Ip::from6(p + 8);
    if (!solicitation) {
        message.router = p[4] & 0x80;
        message.solicited = p[4] & 0x40;
        message.override = p[4] & 0x20;
    }
    const std::size_t options = headers.l3_end - headers.l4 - message_bytes;
    const std::uint8_t wanted = solicitation ? option_source : option_target;
    if (!read_options({p + message_bytes, options}, wanted, message.link_address))
        return std::nullopt;
    return addresses_fit(message) ? std::optional(message) : std::nullopt;
}

bool write_neighbour_solicitation(Packet& out, const Mac& mac, const Ip& sender, const Ip& target,
                                  const Mac* to) {
    const Ip dst = to ? target : solicited_node(target);
    const std::uint32_t bytes = message_bytes + (sender.is_zero() ? 0 : link_option_bytes);
    std::uint8_t* message = start_message(out, to ? *to : multicast_mac(dst), mac, dst, sender,
                                          icmp6_neighbour_solicitation, bytes);
    if (!message) return false;
    std::memcpy(message + 8, target.data6(), 16);
    if (!sender.is_zero()) write_link_option(message + message_bytes, option_source, mac);
    finish_message(message, sender, dst, bytes);
    return true;
}

bool write_neighbour_advertisement(Packet& out, const Neighbour& question, const Mac& to,
                                   const Mac& mac, bool router) {
    const bool detection = question.src.is_zero();
    const Ip dst = detection ? all_nodes() : question.src;
    const std::uint32_t bytes = message_bytes + link_option_bytes;
    std::uint8_t* message = start_message(out, detection ? multicast_mac(dst) : to, mac, dst,
                                          question.target, icmp6_neighbour_advertisement, bytes);
    if (!message) return false;
    message[4] = static_cast<std::uint8_t>((router ? 0x80 : 0) | (detection ? 0 : 0x40) | 0x20);
    std::memcpy(message + 8, question.target.data6(), 16);
    write_link_option(message + message_bytes, option_target, mac);
    finish_message(message, question.target, dst, bytes);
    return true;
}

}  // namespace weir::net
