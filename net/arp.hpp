#pragma once
#include <cstdint>
#include <optional>

#include "net/packet.hpp"

// ARP (RFC 826) and RARP (RFC 903) for IPv4 over Ethernet.
namespace weir::net {

enum class ArpOperation : std::uint16_t {
    request = 1,
    reply = 2,
    rarp_request = 3,
    rarp_reply = 4
};

struct Arp {
    ArpOperation operation = ArpOperation::request;
    Mac sender_mac, target_mac;
    Ip sender, target;  // IPv4
};

inline constexpr std::uint32_t arp_bytes = 28;

// Nothing if the packet (parsed) is neither ARP nor RARP for IPv4 over Ethernet, is cut short, has
// an operation outside its protocol, or claims a multicast sender MAC.
std::optional<Arp> read_arp(const Packet&);

// Overwrites `out` with a whole frame; the ethertype follows the operation. False without room.
bool write_arp(Packet& out, const Mac& dst, const Mac& src, const Arp&);

// The answer to a request: "the address you ask for is at `mac`". False without room.
bool write_arp_reply(Packet& out, const Arp& request, const Mac& mac);

// "Who has `target`?", broadcast. False without room.
bool write_arp_request(Packet& out, const Mac& mac, const Ip& sender, const Ip& target);

// "I am `mac`", broadcast, so that bridges learn where it is now. False without room.
bool write_rarp_announcement(Packet& out, const Mac& mac);

}  // namespace weir::net
