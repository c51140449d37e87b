#pragma once
#include <cstdint>
#include <optional>

#include "net/packet.hpp"

// IPv6 neighbour discovery (RFC 4861): solicitations and advertisements.
namespace weir::net {

inline constexpr std::uint8_t icmp6_router_solicitation = 133;
inline constexpr std::uint8_t icmp6_router_advertisement = 134;
inline constexpr std::uint8_t icmp6_neighbour_solicitation = 135;
inline constexpr std::uint8_t icmp6_neighbour_advertisement = 136;
inline constexpr std::uint8_t icmp6_redirect = 137;

struct Neighbour {
    bool solicitation = false;  // else an advertisement
    Ip src, dst, target;
    std::optional<Mac> link_address;  // source (solicitation) or target (advertisement) option
    bool router = false, solicited = false, override = false;  // advertisements
};

// Nothing unless the packet (parsed) is a solicitation or advertisement that passes every check of
// RFC 4861 §7.1.1/§7.1.2, checksum included.
std::optional<Neighbour> read_neighbour(const Packet&);

// ff02::1:ffXX:XXXX of an address, and the Ethernet address of an IPv6 multicast group (RFC 2464
// §7).
Ip solicited_node(const Ip& address);
Mac multicast_mac(const Ip& group);

// "Who has `target`?" to its solicited-node group, or to `to` if given. False without room.
bool write_neighbour_solicitation(Packet& out, const Mac& mac, const Ip& sender, const Ip& target,
                                  const Mac* to = nullptr);

// The answer: "the target you ask for is at `mac`"; duplicate address detection (sender ::) is
// answered to all nodes (RFC 4861 §7.2.4). `to` is the asker's MAC. False without room.
bool write_neighbour_advertisement(Packet& out, const Neighbour& question, const Mac& to,
                                   const Mac& mac, bool router);

}  // namespace weir::net
