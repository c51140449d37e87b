#include "features/switching/learn.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>

#include "net/arp.hpp"
#include "net/dhcp.hpp"
#include "net/nd.hpp"
#include "net/wire.hpp"

namespace weir::switching {

namespace {

using dataplane::Context;
using dataplane::Emit;
using dataplane::Packet;
using dataplane::PortEntry;
constexpr std::uint32_t max_reports_per_second = 10;
constexpr std::uint16_t dhcp_server_port = 67;

// The address that the packet claims for the guest of the port; zero: none.
net::Ip heard(const Packet& p, const PortEntry& port) {
    if (static_cast<Context>(p.context) == Context::destination) {
        if (p.tuple.proto != net::proto_udp || p.tuple.src_port != dhcp_server_port) return {};
        const auto lease = net::read_dhcp_ack(p);
        return lease && lease->client == port.mac ? lease->address : net::Ip{};
    }
    if (p.headers.ethertype == net::ethertype_arp) {
        const auto arp = net::read_arp(p);
        return arp && arp->sender_mac == port.mac ? arp->sender : net::Ip{};
    }
    if (p.headers.proto != net::proto_icmp6) return {};
    const auto neighbour = net::read_neighbour(p);
    if (!neighbour) return {};
    return neighbour->solicitation ? neighbour->src : neighbour->target;
}

// Somebody else of the segment has it, or everybody may have it.
bool is_unfit(const net::Ip& address, const PortEntry& port, const Emit& emit) {
    if (address.is_zero() || address.is_multicast() || address.is_link_local()) return true;
    if (std::find(port.addresses.begin(), port.addresses.end(), address) != port.addresses.end())
        return true;
    const dataplane::SegmentEntry* segment = emit.ports->segment(port.vni);
    return !segment || segment->by_address.contains(address) ||
           (segment->router != net::no_port && emit.ports->routers[segment->router].owns(address));
}

void report(const net::Ip& address, const PortEntry& port, Learn::State& state, Emit& emit) {
    if (emit.now_ns - state.second_ns >= 1'000'000'000) {
        state.second_ns = emit.now_ns;
        state.in_second = 0;
    }
    if (state.in_second++ >= max_reports_per_second) return;
    char text[INET6_ADDRSTRLEN], json[192];
    const bool ip4 = address.is4();
    if (!::inet_ntop(ip4 ? AF_INET : AF_INET6, ip4 ? address.data4() : address.data6(), text,
                     sizeof text))
        return;
    const int n = std::snprintf(
        json, sizeof json, "{\"event\":\"address-learned\",\"port\":\"%.63s\",\"address\":\"%s\"}",
        port.name.c_str(), text);
    ++state.reported;
    if (n > 0) emit.event({json, static_cast<std::size_t>(n)});
}

}  // namespace

void Learn::run(dataplane::Burst& burst, const Tables&, State& state, dataplane::Exits<Exit>&,
                Emit& emit) {
    for (const Packet* p : burst.packets()) {
        const PortEntry* port = emit.ports->at(dataplane::context_port(*p));
        if (!port || !port->learn_addresses) continue;
        const net::Ip address = heard(*p, *port);
        if (!is_unfit(address, *port, emit)) report(address, *port, state, emit);
    }
}

}  // namespace weir::switching
