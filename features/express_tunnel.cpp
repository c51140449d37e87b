#include "features/express.hpp"
#include "features/express_route.hpp"
#include "flow/table_look.hpp"

// Guests' packets that come from other hosts. Those of the service plane: express_plane.cpp.
namespace weir::features {

using dataplane::PortEntry;
using net::Packet;

Express::Way Express::enter_from_tunnel(Lane& lane) {
    Packet& p = *lane.packet;
    overlay::QuickTunnel tunnel;
    if (!overlay::read_quick_tunnel(p.data, p.length, emit_.ports->tunnel_address, tunnel))
        return Way::slow;
    const std::uint8_t* inner = p.data + tunnel.inner;
    if (!tunnel.plain || !net::read_quick(inner, tunnel.end - tunnel.inner, lane.frame))
        return enter_from_leg(lane, tunnel);
    const PortEntry* port = guest_behind(tunnel.vni, inner);
    if (!is_plain(p) || (inner[0] & 1) != 0 || !port ||
        (p.tunnel_peer = peer_of(tunnel.from)) == net::no_port) {
        slow_reaching_.add(lane.frame);
        return Way::slow;
    }
    if (shared_ && send_to_owner(p, lane.frame)) return Way::taken;
    lane.port = port;
    lane.strip = tunnel.inner;
    lane.end = tunnel.end;
    emit_.flows->begin(lane.probe, emit_.flows->scope_seed(port->scope, port->vni),
                       lane.frame.hash);
    return Way::joined;
}

// The host with that tunnel address; no_port: there is none.
std::uint32_t Express::peer_of(const net::Ip& address) {
    Sender& sender = senders_[address.bytes[15] % senders_.size()];
    if (sender.ticket == emit_.ticket && sender.address == address) return sender.host;
    const auto peer = emit_.ports->peer_by_address.find(address);
    if (peer == emit_.ports->peer_by_address.end()) return net::no_port;
    sender = {address, emit_.ticket, peer->second};
    return sender.host;
}

// The guest of this host with that MAC in that segment; null: Locate must look.
const PortEntry* Express::guest_behind(std::uint32_t vni, const std::uint8_t* frame) {
    const std::uint64_t mac = mac_bits(frame);
    Place& place = places_[(mac >> 40 ^ mac >> 32 ^ vni) % places_.size()];
    if (place.ticket != emit_.ticket || place.mac != mac || place.vni != vni) {
        const auto* segment = emit_.ports->segment(vni);
        if (!segment || segment->service) return nullptr;
        const auto found = segment->by_mac.find(net::Mac::from(frame));
        if (found == segment->by_mac.end() || !found->second.local()) return nullptr;
        place = {mac, emit_.ticket, vni, found->second.port};
    }
    return guest_at(place.port);
}

}  // namespace weir::features
