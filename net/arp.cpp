#include "net/arp.hpp"

#include "net/bytes.hpp"
#include "net/ethernet.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

constexpr std::uint16_t hardware_ethernet = 1;
constexpr Mac broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

bool is_rarp(ArpOperation operation) {
    return operation == ArpOperation::rarp_request || operation == ArpOperation::rarp_reply;
}

}  // namespace

std::optional<Arp> read_arp(const Packet& packet) {
    const Headers& headers = packet.headers;
    const bool rarp = headers.ethertype == ethertype_rarp;
    if (!rarp && headers.ethertype != ethertype_arp) return std::nullopt;
    if (headers.l3 == 0 || headers.l3 + arp_bytes > packet.length) return std::nullopt;
    const std::uint8_t* p = packet.data + headers.l3;
    const std::uint16_t operation = load16(p + 6);
    if (load16(p) != hardware_ethernet || load16(p + 2) != ethertype_ip4 || p[4] != 6 || p[5] != 4)
        return std::nullopt;
    if (operation < 1 || operation > 4) return std::nullopt;
    Arp arp{static_cast<ArpOperation>(operation), Mac::from(p + 8), Mac::from(p + 18),
            Ip::from4(p + 14), Ip::from4(p + 24)};
    if (is_rarp(arp.operation) != rarp || arp.sender_mac.is_multicast()) return std::nullopt;
    return arp;
}

bool write_arp(Packet& out, const Mac& dst, const Mac& src, const Arp& arp) {
    if (!start_frame(out, ethernet_bytes + arp_bytes)) return false;
    set_macs(out, dst, src);
    store16(out.data + 12, is_rarp(arp.operation) ? ethertype_rarp : ethertype_arp);
    std::uint8_t* p = out.data + ethernet_bytes;
    store16(p, hardware_ethernet);
    store16(p + 2, ethertype_ip4);
    p[4] = 6;
    p[5] = 4;
    store16(p + 6, static_cast<std::uint16_t>(arp.operation));
    arp.sender_mac.store(p + 8);
    std::memcpy(p + 14, arp.sender.data4(), 4);
    arp.target_mac.store(p + 18);
    std::memcpy(p + 24, arp.target.data4(), 4);
    return true;
}

bool write_arp_reply(Packet& out, const Arp& request, const Mac& mac) {
    const Arp reply{ArpOperation::reply, mac, request.sender_mac, request.target, request.sender};
    return write_arp(out, request.sender_mac, mac, reply);
}

bool write_arp_request(Packet& out, const Mac& mac, const Ip& sender, const Ip& target) {
    return write_arp(out, broadcast, mac, {ArpOperation::request, mac, Mac{}, sender, target});
}

bool write_rarp_announcement(Packet& out, const Mac& mac) {
    const Ip none = Ip::from4(0u);
    return write_arp(out, broadcast, mac, {ArpOperation::rarp_request, mac, mac, none, none});
}

}  // namespace weir::net
