#pragma once
#include <cstdint>

#include "net/packet.hpp"

// Ethernet and VLAN headers put on, taken off and rewritten in place.
namespace weir::net {

inline Mac destination_mac(const Packet& packet) {
    return Mac::from(packet.data);
}
inline Mac source_mac(const Packet& packet) {
    return Mac::from(packet.data + 6);
}
inline void set_macs(Packet& packet, const Mac& dst, const Mac& src) {
    dst.store(packet.data);
    src.store(packet.data + 6);
}

// Puts an Ethernet header in front. False, and nothing done, without headroom.
bool push_ethernet(Packet&, const Mac& dst, const Mac& src, std::uint16_t ethertype);

// Puts an 802.1Q tag behind the two MACs; `ethertype` is the tag's own (0x8100, or 0x88a8 for an
// outer one). False, and nothing done, without headroom or on a frame below 14 bytes.
bool push_vlan(Packet&, std::uint16_t tci, std::uint16_t ethertype = 0x8100);

// Takes the outermost tag off. False, and nothing done, if there is none.
bool pop_vlan(Packet&, std::uint16_t& tci);

// Makes the packet an empty frame of `bytes` zero bytes, to be written. False without room.
bool start_frame(Packet&, std::uint32_t bytes);

}  // namespace weir::net
