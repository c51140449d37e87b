#pragma once
#include <cstdint>

#include "net/bytes.hpp"
#include "net/packet.hpp"
#include "net/wire.hpp"

// Which of a flow's packets one is, for those that time packets: while one is under way others go
// the same way, and the first to come back need not be it.
namespace weir::chain {

// Made from what nodes leave alone, also those that route or translate: sequence and acknowledged
// number of TCP (of a super-frame's first piece too); of others the IPv4 identification or IPv6
// flow label, and the first bytes of the payload. Connections of a node's own have other ones.
// `ip`: an IP packet of `length` bytes, whatever is in it. Never 0; one of 30 000 others is alike.
inline std::uint16_t packet_mark(const std::uint8_t* ip, std::uint32_t length) {
    if (length < 40) return 1;
    const bool is4 = ip[0] >> 4 == 4;
    const bool tcp = ip[is4 ? 9 : 6] == net::proto_tcp;
    const std::uint32_t l4 = is4 ? (ip[0] & 15u) * 4 : 40;
    std::uint64_t word = tcp ? 0 : is4 ? net::load16(ip + 4) : net::load32(ip) & 0xfffff;
    const std::uint32_t at = l4 + (tcp ? 4 : 8);
    if (at + 8 <= length)
        word ^= std::uint64_t{net::load32(ip + at)} << 32 ^ net::load32(ip + at + 4);
    return static_cast<std::uint16_t>(word * 0x9e3779b97f4a7c15ull >> 48 | 1);
}

// Of the IP packet in an Ethernet frame, behind whatever tags.
inline std::uint16_t frame_mark(const net::Packet& p) {
    std::uint32_t at = 12;
    while (at + 6 <= p.length) {
        const std::uint16_t type = net::load16(p.data + at);
        if (type != net::ethertype_vlan && type != net::ethertype_qinq) break;
        at += net::vlan_bytes;
    }
    return at + 2 <= p.length ? packet_mark(p.data + at + 2, p.length - at - 2) : 1;
}

}  // namespace weir::chain
