#include "net/ethernet.hpp"

#include "net/bytes.hpp"
#include "net/wire.hpp"

namespace weir::net {

bool push_ethernet(Packet& packet, const Mac& dst, const Mac& src, std::uint16_t ethertype) {
    if (!packet.prepend(ethernet_bytes)) return false;
    set_macs(packet, dst, src);
    store16(packet.data + 12, ethertype);
    return true;
}

bool push_vlan(Packet& packet, std::uint16_t tci, std::uint16_t ethertype) {
    if (packet.length < ethernet_bytes || !packet.prepend(vlan_bytes)) return false;
    std::memmove(packet.data, packet.data + vlan_bytes, 12);
    store16(packet.data + 12, ethertype);
    store16(packet.data + 14, tci);
    return true;
}

bool pop_vlan(Packet& packet, std::uint16_t& tci) {
    if (packet.length < ethernet_bytes + vlan_bytes) return false;
    const std::uint16_t ethertype = load16(packet.data + 12);
    if (ethertype != ethertype_vlan && ethertype != ethertype_qinq) return false;
    tci = load16(packet.data + 14);
    std::memmove(packet.data + vlan_bytes, packet.data, 12);
    return packet.strip(vlan_bytes);
}

bool start_frame(Packet& packet, std::uint32_t bytes) {
    packet.trim_to(0);
    std::uint8_t* start = packet.append(bytes);
    if (!start) return false;
    std::memset(start, 0, bytes);
    packet.flags = 0;
    packet.segment_bytes = 0;
    return true;
}

}  // namespace weir::net
