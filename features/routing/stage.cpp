#include "features/routing/stage.hpp"

#include <algorithm>

#include "dataplane/icmp_reply.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::routing {

namespace {

using dataplane::Egress;
using dataplane::Emit;
using dataplane::Packet;
using dataplane::RouterEntry;

// Where the IP header says it goes; the tuple of an ICMP error is that of the packet it quotes.
net::Ip destination_of(const Packet& p) {
    const std::uint8_t* ip = p.data + p.headers.l3;
    return p.headers.family == net::Family::ip4 ? net::Ip::from4(ip + 16) : net::Ip::from6(ip + 24);
}

// Turns an echo request to the router into its answer, in place (RFC 792, RFC 4443 §4.2).
bool answer_ping(Packet& p) {
    const bool ip4 = p.headers.family == net::Family::ip4;
    const std::uint8_t request = ip4 ? 8 : 128, reply = ip4 ? 0 : 129;
    if (p.headers.l4 == 0 || p.headers.icmp_type != request ||
        p.headers.fragment != net::Fragment::whole)
        return false;
    if (p.tuple.proto != (ip4 ? net::proto_icmp : net::proto_icmp6)) return false;
    const net::Mac src = net::Mac::from(p.data + 6), dst = net::Mac::from(p.data);
    src.store(p.data);
    dst.store(p.data + 6);
    std::uint8_t* ip = p.data + p.headers.l3;
    const std::size_t at = ip4 ? 12 : 8, width = ip4 ? 4 : 16;
    std::swap_ranges(ip + at, ip + at + width, ip + at + width);
    ip[ip4 ? 8 : 7] = 64;
    if (ip4) net::fill_ip4_checksum({ip, static_cast<std::size_t>((ip[0] & 0xf) * 4)});
    p.data[p.headers.l4] = reply;
    return net::parse(p) == net::ParseError::none && net::fill_l4_checksum(p);
}

const RouterEntry* router_of(const Packet& p, const Emit& emit) {
    const auto* segment = emit.ports->segment(p.vni);
    return segment && segment->router != net::no_port ? &emit.ports->routers[segment->router]
                                                      : nullptr;
}

// Writes where `to` is into the program; false if nobody in the segment has the address.
bool aim(Packet& p, const RouterEntry& router, const dataplane::RouteEntry& route,
         const net::Ip& to, Emit& emit) {
    const auto* segment = emit.ports->segment(route.vni);
    if (!segment) return false;
    const auto found = segment->by_address.find(to);
    if (found == segment->by_address.end()) return false;
    dataplane::ActionProgram& program = *p.program;
    program.egress = found->second.local() ? Egress::local_port : Egress::tunnel;
    program.egress_port = found->second.port;
    program.peer = found->second.host_id;
    program.vni = route.vni;
    program.mtu = static_cast<std::uint16_t>(segment->mtu);
    program.routed = true;
    program.new_src = router.mac;
    program.new_dst = found->second.mac;
    emit.note(p, "router", router.name);
    emit.note(p, "segment", segment->name);
    emit.note(p, "to", found->second.port_name);
    return true;
}

}  // namespace

void Route::run(dataplane::Burst& burst, const Tables&, State&, dataplane::Exits<Exit>& exits,
                Emit& emit) {
    for (Packet* p : burst.packets()) {
        if (p->program->egress != Egress::none) continue;  // switched
        const RouterEntry* router = router_of(*p, emit);
        if (!router || p->headers.family == net::Family::none) {
            exits.take(*p, Exit::to_router);
            continue;
        }
        const net::Ip destination = destination_of(*p);
        if (router->owns(destination)) {
            if (answer_ping(*p)) {
                emit.transmit(*p, p->source_port);
            } else {
                dataplane::reply_icmp(*p, net::IcmpErrorKind::port_unreachable, 0, emit);
                exits.take(*p, Exit::to_router);
            }
            continue;
        }
        const dataplane::RouteEntry* route = router->lookup(destination);
        if (!route) {
            dataplane::reply_icmp(*p, net::IcmpErrorKind::net_unreachable, 0, emit);
            exits.take(*p, Exit::no_route);
            continue;
        }
        const net::Ip next = route->next_hop.is_zero() ? destination : route->next_hop;
        if (!aim(*p, *router, *route, next, emit)) {
            dataplane::reply_icmp(*p, net::IcmpErrorKind::host_unreachable, 0, emit);
            exits.take(*p, Exit::no_neighbour);
        }
    }
}

}  // namespace weir::routing
