#include "features/guard/stage.hpp"

#include <algorithm>

#include "net/arp.hpp"
#include "net/nd.hpp"
#include "net/wire.hpp"

namespace weir::guard {

namespace {

using dataplane::Packet;
using dataplane::PortEntry;

// Who the IP header says it is; the tuple of an ICMP error is that of the packet it quotes.
net::Ip source_of(const Packet& p) {
    const std::uint8_t* ip = p.data + p.headers.l3;
    return p.headers.family == net::Family::ip4 ? net::Ip::from4(ip + 12) : net::Ip::from6(ip + 8);
}

// What ARP or neighbour discovery says about the sender must be true of this port.
bool claim_is_own(const PortEntry& port, const Packet& p, const dataplane::Emit& emit) {
    if (p.headers.ethertype == net::ethertype_arp) {
        const auto arp = net::read_arp(p);
        return arp && arp->sender_mac == port.mac && owns(port, arp->sender, emit);
    }
    if (p.headers.proto != net::proto_icmp6 || p.headers.l4 == 0) return true;
    if (p.headers.icmp_type != net::icmp6_neighbour_advertisement) return true;
    const auto neighbour = net::read_neighbour(p);
    return neighbour && owns(port, neighbour->target, emit) &&
           (!neighbour->link_address || *neighbour->link_address == port.mac);
}

}  // namespace

bool owns(const PortEntry& port, const net::Ip& ip, const dataplane::Emit& emit) {
    if (std::find(port.addresses.begin(), port.addresses.end(), ip) != port.addresses.end())
        return true;
    if (ip.is_zero() || ip.is_link_local()) return true;
    if (!port.learn_addresses) return false;
    // A port that learns may use what nobody else in its segment has.
    const dataplane::SegmentEntry* segment = emit.ports->segment(port.vni);
    return segment && !segment->by_address.contains(ip);
}

void Guard::run(dataplane::Burst& burst, const Tables&, State&, dataplane::Exits<Exit>& exits,
                dataplane::Emit& emit) {
    for (Packet* p : burst.packets()) {
        const PortEntry* port = emit.ports->at(p->source_port);
        const net::Mac source = net::Mac::from(p->data + 6);
        if (source.is_multicast()) {
            exits.take(*p, Exit::multicast_source);
        } else if (!port->spoof_guard) {
            continue;
        } else if (source != port->mac) {
            exits.take(*p, Exit::foreign_mac);
        } else if (p->headers.family != net::Family::none && !owns(*port, source_of(*p), emit)) {
            exits.take(*p, Exit::foreign_address);
        } else if (!claim_is_own(*port, *p, emit)) {
            exits.take(*p, Exit::foreign_claim);
        }
    }
}

}  // namespace weir::guard
