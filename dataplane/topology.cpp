#include "dataplane/topology.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/digest.hpp"
#include "model/core_resources.hpp"

namespace weir::dataplane {

bool RouterEntry::owns(const net::Ip& ip) const {
    return std::any_of(interfaces.begin(), interfaces.end(),
                       [&](const Interface& i) { return i.address == ip; });
}

const RouteEntry* RouterEntry::lookup(const net::Ip& destination) const {
    for (const RouteEntry& route : routes)
        if (route.prefix.contains(destination)) return &route;
    return nullptr;
}

net::Ip RouterEntry::address_in(std::uint32_t vni, net::Family family) const {
    for (const Interface& i : interfaces)
        if (i.vni == vni && i.address.family() == family) return i.address;
    return {};
}

net::Mac underlay_mac_of(std::uint32_t host_id) {
    net::Mac mac{{0x02, 0x5b, 0, 0, 0, 0}};
    net::store32(mac.bytes.data() + 2, host_id);
    return mac;
}

namespace {

void add_segments(const model::Snapshot& snapshot, Topology& out) {
    for (const auto& [name, segment] : snapshot.all<model::Segment>()) {
        SegmentEntry& entry = out.segments[segment.vni];
        entry.name = name;
        entry.vni = segment.vni;
        entry.mtu = segment.mtu;
    }
    for (const auto& [name, segment] : snapshot.all<model::ServiceSegment>()) {
        SegmentEntry& entry = out.segments[segment.svni];
        entry.name = name;
        entry.vni = segment.svni;
        entry.mtu = segment.mtu;
        entry.service = true;
        entry.nsh = segment.encap == model::ServiceEncap::nsh;
        entry.l3 = segment.transport == model::ServiceTransport::l3;
        entry.signed_legs = !segment.auth_keys.empty();
    }
}

void add_hosts(const model::Snapshot& snapshot, Topology& out) {
    for (const auto& [name, host] : snapshot.all<model::Host>()) {
        if (name == out.host_name) {
            out.host_id = host.id;
            out.tunnel_address = host.tunnel_address;
            out.underlay_mac = underlay_mac_of(host.id);
            out.underlay_gateway = host.underlay_gateway;
            out.underlay_prefix_length = host.underlay_prefix_length;
            continue;
        }
        out.peers[host.id] = {host.id, name, host.tunnel_address};
        out.peer_by_address[host.tunnel_address] = host.id;
    }
}

void add_interfaces(const model::Router& router, const model::Snapshot& snapshot,
                    RouterEntry& entry) {
    for (const model::RouterInterface& interface : router.interfaces) {
        const auto* segment = snapshot.find<model::Segment>(interface.segment.name);
        if (!segment) continue;
        for (const auto& address : interface.addresses) {
            const net::Prefix subnet = address.network();
            entry.interfaces.push_back({segment->vni, address.address, subnet});
            entry.routes.push_back({subnet, segment->vni, {}});
        }
    }
}

void add_routers(const model::Snapshot& snapshot, Topology& out) {
    for (const auto& [name, router] : snapshot.all<model::Router>()) {
        RouterEntry entry;
        entry.name = name;
        entry.mac = router.mac;
        add_interfaces(router, snapshot, entry);
        for (const model::StaticRoute& route : router.routes) {
            const RouteEntry* via = entry.lookup(route.next_hop);
            if (via) entry.routes.push_back({route.prefix, via->vni, route.next_hop});
        }
        std::stable_sort(entry.routes.begin(), entry.routes.end(),
                         [](const RouteEntry& a, const RouteEntry& b) {
                             return a.prefix.length > b.prefix.length;
                         });
        for (const RouterEntry::Interface& interface : entry.interfaces) {
            const auto segment = out.segments.find(interface.vni);
            if (segment != out.segments.end())
                segment->second.router = static_cast<std::uint32_t>(out.routers.size());
        }
        out.routers.push_back(std::move(entry));
    }
}

// The VNI or SVNI of a port's segment; 0 when the snapshot does not have it.
std::uint32_t vni_of(const model::Snapshot& snapshot, const model::Port& port) {
    if (!port.segment.name.empty()) {
        const auto* segment = snapshot.find<model::Segment>(port.segment.name);
        return segment ? segment->vni : 0;
    }
    const auto* segment = snapshot.find<model::ServiceSegment>(port.service_segment.name);
    return segment ? segment->svni : 0;
}

const AttachedPort* find_open(const std::vector<AttachedPort>& open, std::string_view name) {
    for (const AttachedPort& port : open)
        if (port.info.index != net::no_port && name == port.info.name) return &port;
    return nullptr;
}

PortEntry& port_slot(Topology& out, const AttachedPort& open) {
    if (out.ports.size() <= open.info.index) out.ports.resize(open.info.index + 1);
    PortEntry& entry = out.ports[open.info.index];
    entry.name = open.info.name;
    entry.index = open.info.index;
    entry.incarnation = open.info.incarnation & 0xff;
    entry.polling_worker = open.info.polling_worker;
    entry.scope = open.scope;
    entry.foreign = !open.attached;
    if (open.info.place == weir_port_arrived) entry.from_host = open.info.from_host;
    return entry;
}

void add_local_port(const model::Port& port, SegmentEntry& segment, const AttachedPort& open,
                    Topology& out) {
    PortEntry& entry = port_slot(out, open);
    entry.role = segment.service ? PortRole::service : PortRole::guest;
    entry.vni = segment.vni;
    entry.mac = port.mac;
    entry.addresses = port.addresses;
    entry.spoof_guard = port.spoof_guard;
    entry.learn_addresses = port.learn_addresses;
    entry.mtu = port.mtu != 0 ? port.mtu : segment.mtu;
}

// Where a port is that moves: what its devices' owner says counts until the snapshot has caught up.
bool is_here(const model::Port& port, const AttachedPort* device, const Topology& out) {
    if (device && device->info.place != weir_port_configured)
        return device->info.place == weir_port_arrived;
    return port.host.name == out.host_name;
}

// The host that a port of ours has just moved to, as long as the snapshot says that it is here.
std::uint32_t moved_to(const Topology& out, std::uint32_t vni, const net::Mac& mac) {
    for (const MovedPort& port : out.moved)
        if (port.vni == vni && port.mac == mac) return port.to_host;
    return net::no_port;
}

void add_ports(const model::Snapshot& snapshot, const std::vector<AttachedPort>& open,
               Topology& out) {
    for (const auto& [name, port] : snapshot.all<model::Port>()) {
        const auto found = out.segments.find(vni_of(snapshot, port));
        if (found == out.segments.end()) continue;
        SegmentEntry& segment = found->second;
        Location location;
        location.port_name = name;
        location.mac = port.mac;
        const AttachedPort* device = find_open(open, name);
        const std::uint32_t away = moved_to(out, segment.vni, port.mac);
        // One that arrives is compiled for, but packets do not find it here.
        if (device && device->info.place == weir_port_arriving)
            add_local_port(port, segment, *device, out);
        if (is_here(port, device, out) && away == net::no_port) {
            if (!device) continue;  // not realised yet
            add_local_port(port, segment, *device, out);
            segment.local_ports.push_back(device->info.index);
            location.port = device->info.index;
            location.host_id = out.host_id;
        } else {
            const auto* host = snapshot.find<model::Host>(port.host.name);
            if (!host) continue;
            location.host_id = host->id == out.host_id ? away : host->id;
            segment.remote_hosts.push_back(location.host_id);
        }
        segment.learns |= port.learn_addresses;
        segment.by_mac[port.mac] = location;
        for (const net::Ip& address : port.addresses) segment.by_address[address] = location;
    }
    for (auto& [vni, segment] : out.segments) {
        auto& hosts = segment.remote_hosts;
        std::sort(hosts.begin(), hosts.end());
        hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
    }
}

flow::Timeouts in_milliseconds(const model::FlowTimeouts& t) {
    flow::Timeouts out;
    out.tcp_new_ms = t.tcp_new_s * 1000;
    out.tcp_established_ms = t.tcp_established_s * 1000;
    out.tcp_closing_ms = t.tcp_closing_s * 1000;
    out.tcp_closed_ms = t.tcp_closed_s * 1000;
    out.udp_ms = t.udp_s * 1000;
    out.udp_replied_ms = t.udp_replied_s * 1000;
    out.icmp_ms = t.icmp_s * 1000;
    out.other_ms = t.other_s * 1000;
    return out;
}

FlowLimits limits_of(const model::FlowLimits& limits) {
    constexpr std::uint64_t second_ns = 1'000'000'000;
    FlowLimits out;
    out.max_flows = limits.max_flows;
    if (limits.new_flows_per_second != 0) {
        out.interval_ns = second_ns / limits.new_flows_per_second;
        out.burst_ns = out.interval_ns * limits.burst;
    }
    return out;
}

template <class R>
bool applies_to(const R& resource, const PortEntry& port, const model::Snapshot& snapshot) {
    if (resource.applied_to.empty()) return true;
    return std::ranges::any_of(resource.applied_to, [&](const auto& ref) {
        const auto* group = snapshot.find<model::Group>(ref.name);
        if (!group) return false;
        const auto members = model::group_members(snapshot, *group).ports;
        return std::ranges::find(members, port.name) != members.end();
    });
}

// Calls give(port, resource) for every guest port that one applies to: the first of them.
template <class R, class Give>
void give_first(const model::Snapshot& snapshot, Topology& out, Give give) {
    std::vector<const R*> in_order;
    for (const auto& [name, one] : snapshot.all<R>()) in_order.push_back(&one);
    std::ranges::stable_sort(in_order, {}, &R::priority);
    for (PortEntry& port : out.ports) {
        if (port.role != PortRole::guest) continue;
        const auto found = std::ranges::find_if(
            in_order, [&](const auto* one) { return applies_to(*one, port, snapshot); });
        if (found != in_order.end()) give(port, **found);
    }
}

// Ports without timeouts have the rulebook's, ports without limits none.
void give_flow_rules(const model::Snapshot& snapshot, Topology& out) {
    give_first<model::FlowTimeouts>(snapshot, out, [](PortEntry& port, const auto& timeouts) {
        port.timeouts = in_milliseconds(timeouts);
    });
    give_first<model::FlowLimits>(snapshot, out, [](PortEntry& port, const auto& limits) {
        port.flow_limits = limits_of(limits);
    });
}

void add_underlay(const std::vector<AttachedPort>& open, Topology& out) {
    const AttachedPort* device = find_open(open, "underlay");
    if (!device) return;
    PortEntry& entry = port_slot(out, *device);
    entry.role = PortRole::underlay;
    entry.mac = out.underlay_mac;
    entry.mtu = device->info.mtu;
    entry.addresses = {out.tunnel_address};
    out.underlay_port = entry.index;
    out.underlay_mtu = device->info.mtu;
}

std::uint32_t digest_of(const Topology& topology, const SegmentEntry& segment) {
    Digest digest;
    digest.add(segment.vni).add(segment.mtu).add(segment.service).add(segment.learns);
    // Maps have no order of their own: add up what stands in them.
    std::uint64_t members = 0;
    const auto add = [&](const Location& location, std::uint64_t salt) {
        Digest one;
        one.add(location.mac.to_u64()).add(location.port).add(location.host_id).add(salt);
        members += one.value64();
    };
    for (const auto& [mac, location] : segment.by_mac) add(location, mac.to_u64());
    for (const auto& [ip, location] : segment.by_address) add(location, IpHash{}(ip));
    digest.add(members);
    if (segment.router != net::no_port) {
        const RouterEntry& router = topology.routers[segment.router];
        digest.add(router.mac.to_u64());
        for (const auto& i : router.interfaces)
            digest.add(i.vni).add(IpHash{}(i.address)).add(i.subnet.length);
        for (const RouteEntry& r : router.routes)
            digest.add(IpHash{}(r.prefix.address))
                .add(r.prefix.length)
                .add(r.vni)
                .add(IpHash{}(r.next_hop));
    }
    for (const std::uint32_t host : segment.remote_hosts) {
        const Peer* peer = topology.peer(host);
        digest.add(host).add(peer ? IpHash{}(peer->address) : 0);
    }
    return digest.value32();
}

// A routed flow depends on every segment its router reaches.
std::uint32_t reach_digest(const Topology& topology, const SegmentEntry& segment) {
    if (segment.router == net::no_port) return segment.digest;
    std::uint64_t sum = segment.digest;
    for (const auto& i : topology.routers[segment.router].interfaces)
        if (const SegmentEntry* other = topology.segment(i.vni))
            sum += Digest{}.add(other->digest).value64();
    return Digest{}.add(sum).value32();
}

void add_digests(Topology& out) {
    for (auto& [vni, segment] : out.segments) segment.digest = digest_of(out, segment);
    for (PortEntry& port : out.ports) {
        if (port.role == PortRole::none) continue;
        Digest digest;
        digest.add(port.scope)
            .add(port.vni)
            .add(port.mtu)
            .add(out.underlay_mtu)
            .add(port.mac.to_u64());
        if (const SegmentEntry* segment = out.segment(port.vni))
            digest.add(reach_digest(out, *segment));
        port.epoch = digest.value32();
    }
}

}  // namespace

Result<Topology> compile_topology(const model::Snapshot& snapshot, std::string_view host_name,
                                  const std::vector<AttachedPort>& open,
                                  const std::vector<MovedPort>& moved) {
    Topology out;
    out.host_name = host_name;
    out.moved = moved;
    add_hosts(snapshot, out);
    add_segments(snapshot, out);
    add_routers(snapshot, out);
    add_ports(snapshot, open, out);
    give_flow_rules(snapshot, out);
    add_underlay(open, out);
    add_digests(out);
    return out;
}

}  // namespace weir::dataplane
