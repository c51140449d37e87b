#include "model/core_resources.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "model/move.hpp"
#include "model/registry.hpp"

namespace weir::model {

namespace {

using Complaints = std::vector<Error>;

void complain(Complaints& out, std::string object, std::string field, std::string message,
              Errc code = Errc::invalid) {
    out.push_back({code, std::move(object), std::move(field), std::move(message)});
}

std::string item(std::string_view field, std::size_t index) {
    return std::string(field) + "[" + std::to_string(index) + "]";
}

// Remembers who has a value first and complains about everybody else.
template <class Value>
class Unique {
public:
    explicit Unique(Complaints& out) : out_(out) {}
    void claim(const Value& value, const std::string& object, const std::string& field,
               const std::string& shown) {
        const auto [at, is_first] = holders_.try_emplace(value, object);
        if (!is_first)
            complain(out_, object, field, shown + " belongs to " + at->second, Errc::conflict);
    }

private:
    Complaints& out_;
    std::map<Value, std::string> holders_;
};

std::string why_no_unicast(const net::Mac& mac) {
    if (mac.is_zero()) return "must not be zero";
    return mac.is_multicast() ? mac.text() + " is not a unicast address" : std::string();
}

std::string why_no_unicast(const net::Ip& ip) {
    if (ip.is_zero()) return "must not be zero";
    if (ip.is_multicast() || ip.is_broadcast()) return ip.text() + " is not a unicast address";
    return {};
}

// "net_memif0" of "net_memif0,role=client".
std::string driver_name(const std::string& devargs) {
    return devargs.substr(0, devargs.find(','));
}

// Virtual devices only: a host starts DPDK without PCI.
std::string why_no_devargs(const std::string& devargs) {
    if (devargs.empty()) return "is needed by this type of device";
    const std::string name = driver_name(devargs);
    const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '_' || c == '-';
    });
    if (!plain || !name.starts_with("net_"))
        return "\"" + name + "\" is no virtual device: its name starts with net_ and a driver";
    return {};
}

constexpr const char* one_queue = "underlays and ports of service nodes have one queue: at most 1";

std::string why_one_queue(const Device& device) {
    if (device.type == DeviceType::vhost_user) return {};
    if (device.type != DeviceType::dpdk) return "a device of this type has one queue";
    const auto says = [&](const char* word) {
        return device.devargs.find(word) != std::string::npos;
    };
    if (says("net_memif") && (says("role=server") || says("role=master")))
        return "a memif server has one queue: the other end may open fewer than are asked for";
    return {};
}

void check_device(Complaints& out, const std::string& object, const std::string& field,
                  const Device& device) {
    const bool by_name = device.type == DeviceType::tap || device.type == DeviceType::af_packet;
    if (by_name && device.interface.empty())
        complain(out, object, field + ".interface", "is needed by this type of device");
    if (device.type == DeviceType::vhost_user && device.path.empty())
        complain(out, object, field + ".path", "is needed by this type of device");
    if (device.type == DeviceType::pcap && device.rx_file.empty() && device.tx_file.empty())
        complain(out, object, field + ".rx_file", "a pcap device needs rx_file, tx_file or both");
    if (device.type == DeviceType::dpdk)
        if (std::string why = why_no_devargs(device.devargs); !why.empty())
            complain(out, object, field + ".devargs", std::move(why));
    if (std::string why = why_one_queue(device); device.queues > 1 && !why.empty())
        complain(out, object, field + ".queues", std::move(why));
    if (device.interface.find('/') != std::string::npos)
        complain(out, object, field + ".interface", "must not hold a '/'");
}

// (host, interface or socket) → who uses it.
using DeviceNames = Unique<std::pair<std::string, std::string>>;

void claim_device(DeviceNames& names, const std::string& host, const std::string& object,
                  const std::string& field, const Device& device) {
    const bool by_name = device.type == DeviceType::tap || device.type == DeviceType::af_packet;
    if (by_name && !device.interface.empty())
        names.claim({host, device.interface}, object, field + ".interface", device.interface);
    if (device.type == DeviceType::vhost_user && !device.path.empty())
        names.claim({host, device.path}, object, field + ".path", device.path);
    if (device.type == DeviceType::dpdk && !device.devargs.empty())
        names.claim({host, driver_name(device.devargs)}, object, field + ".devargs",
                    driver_name(device.devargs));
}

void check_hosts(const Snapshot& snapshot, Complaints& out, DeviceNames& devices) {
    Unique<std::uint32_t> ids(out);
    Unique<net::Ip> tunnels(out);
    const auto& hosts = snapshot.all<Host>();
    const net::Ip first_tunnel = hosts.empty() ? net::Ip{} : hosts.begin()->second.tunnel_address;
    for (const auto& [name, host] : hosts) {
        const std::string object = object_name(host);
        ids.claim(host.id, object, "id", std::to_string(host.id));
        tunnels.claim(host.tunnel_address, object, "tunnel_address", host.tunnel_address.text());
        if (std::string why = why_no_unicast(host.tunnel_address); !why.empty())
            complain(out, object, "tunnel_address", why);
        if (!host.tunnel_address.is_zero() && !first_tunnel.is_zero() &&
            host.tunnel_address.is4() != first_tunnel.is4())
            complain(out, object, "tunnel_address",
                     host.tunnel_address.text() + " is of another family than " +
                         first_tunnel.text() + " of another host");
        if (host.tunnel_address.is4() && host.underlay_prefix_length > 32)
            complain(out, object, "underlay_prefix_length", "is above 32");
        const bool has_gateway = host.underlay_gateway != net::Ip{};
        const net::Prefix underlay{host.tunnel_address, host.underlay_prefix_length};
        if (has_gateway && !underlay.network().contains(host.underlay_gateway))
            complain(out, object, "underlay_gateway",
                     host.underlay_gateway.text() + " is not in " + underlay.network().text());
        check_device(out, object, "underlay", host.underlay);
        if (host.underlay.queues > 1) complain(out, object, "underlay.queues", one_queue);
        claim_device(devices, name, object, "underlay", host.underlay);
    }
}

// SEC-14: whoever can send on the underlay could otherwise take part.
void check_trust(const ServiceSegment& segment, Complaints& out) {
    if (segment.is_signed() || segment.underlay_trusted) return;
    const std::string object = object_name(segment);
    if (segment.auth_optional) {
        complain(out, object, "auth_optional",
                 "takes packets that nobody signed: set underlay_trusted as long as that lasts");
    } else {
        complain(out, object, "auth_keys",
                 "are needed (`weir rotate-key` replaces them), unless nobody but hosts can send "
                 "on the underlay: then set underlay_trusted");
    }
}

void check_segments(const Snapshot& snapshot, Complaints& out) {
    Unique<std::uint32_t> numbers(out);
    for (const auto& [name, segment] : snapshot.all<Segment>())
        numbers.claim(segment.vni, object_name(segment), "vni", std::to_string(segment.vni));
    for (const auto& [name, segment] : snapshot.all<ServiceSegment>()) {
        numbers.claim(segment.svni, object_name(segment), "svni", std::to_string(segment.svni));
        Unique<std::uint8_t> keys(out);
        for (std::size_t i = 0; i < segment.auth_keys.size(); ++i)
            keys.claim(segment.auth_keys[i].id, object_name(segment), item("auth_keys", i) + ".id",
                       std::to_string(segment.auth_keys[i].id));
        check_trust(segment, out);
    }
}

// The segment of a port as one key: guest and service segments may have equal names.
using Plane = std::pair<bool, std::string>;
Plane plane_of(const Port& port) {
    return port.segment ? Plane{false, port.segment.name} : Plane{true, port.service_segment.name};
}

void check_port(const Snapshot& snapshot, const Port& port, Complaints& out) {
    const std::string object = object_name(port);
    if (port.segment && port.service_segment)
        complain(out, object, "service_segment",
                 "a port is in a guest segment or in a service segment, never in both");
    if (!port.segment && !port.service_segment)
        complain(out, object, "segment", "set segment or service_segment");
    if (std::string why = why_no_unicast(port.mac); !why.empty()) complain(out, object, "mac", why);
    for (std::size_t i = 0; i < port.addresses.size(); ++i)
        if (std::string why = why_no_unicast(port.addresses[i]); !why.empty())
            complain(out, object, item("addresses", i), why);
    check_device(out, object, "device", port.device);
    if (port.service_segment && port.device.queues > 1)
        complain(out, object, "device.queues", one_queue);
    const ServiceSegment* service = snapshot.find(port.service_segment);
    if (service && !service->hosts.empty() &&
        std::ranges::find(service->hosts, port.host) == service->hosts.end())
        complain(
            out, object, "host",
            object_name<Host>(port.host.name) + " does not take part in " + object_name(*service));
    const Segment* segment = snapshot.find(port.segment);
    const std::uint16_t most = segment ? segment->mtu : service ? service->mtu : port.mtu;
    if (port.mtu > most)
        complain(
            out, object, "mtu",
            std::to_string(port.mtu) + " is above the " + std::to_string(most) + " of its segment");
}

using PlaneAddresses = Unique<std::pair<Plane, net::Ip>>;

void check_ports(const Snapshot& snapshot, Complaints& out, DeviceNames& devices,
                 PlaneAddresses& addresses) {
    Unique<std::pair<Plane, net::Mac>> macs(out);
    for (const auto& [name, port] : snapshot.all<Port>()) {
        check_port(snapshot, port, out);
        const std::string object = object_name(port);
        claim_device(devices, port.host.name, object, "device", port.device);
        const Plane plane = plane_of(port);
        macs.claim({plane, port.mac}, object, "mac", port.mac.text() + " in " + plane.second);
        for (std::size_t i = 0; i < port.addresses.size(); ++i)
            addresses.claim({plane, port.addresses[i]}, object, item("addresses", i),
                            port.addresses[i].text() + " in " + plane.second);
    }
}

bool overlap(const net::Prefix& a, const net::Prefix& b) {
    return a.address.family() == b.address.family() &&
           (a.contains(b.address) || b.contains(a.address));
}

// One address of a router's interface, with the place it is written at.
struct Foot {
    net::Prefix network;
    std::size_t interface;
    std::string field;
};

// Networks of different interfaces must not overlap. Sorted by address, an overlap shows between a
// network and the widest one still open, which is the one before it or its own.
void check_overlaps(const Router& router, std::vector<Foot> feet, Complaints& out) {
    std::ranges::sort(feet, {}, [](const Foot& f) {
        return std::tuple(f.network.address.family(), f.network.address, f.network.length);
    });
    std::vector<const Foot*> open;
    for (const Foot& foot : feet) {
        while (!open.empty() && !overlap(open.back()->network, foot.network)) open.pop_back();
        const auto other = std::ranges::find_if(
            open, [&](const Foot* o) { return o->interface != foot.interface; });
        if (other != open.end())
            complain(out, object_name(router), foot.field,
                     foot.network.text() + " overlaps " + (*other)->network.text() + " of " +
                         (*other)->field,
                     Errc::conflict);
        open.push_back(&foot);
    }
}

std::vector<Foot> check_interfaces(const Router& router, Complaints& out,
                                   PlaneAddresses& addresses) {
    const std::string object = object_name(router);
    std::vector<Foot> feet;
    for (std::size_t i = 0; i < router.interfaces.size(); ++i) {
        const RouterInterface& interface = router.interfaces[i];
        for (std::size_t k = 0; k < interface.addresses.size(); ++k) {
            const HostAddress& address = interface.addresses[k];
            const std::string field = item("interfaces", i) + "." + item("addresses", k);
            if (std::string why = why_no_unicast(address.address); !why.empty())
                complain(out, object, field, why);
            addresses.claim({Plane{false, interface.segment.name}, address.address}, object, field,
                            address.address.text() + " in " + interface.segment.name);
            feet.push_back({address.network(), i, field});
        }
    }
    return feet;
}

void check_routes(const Router& router, const std::vector<Foot>& feet, Complaints& out) {
    const std::string object = object_name(router);
    Unique<net::Prefix> prefixes(out);
    for (std::size_t i = 0; i < router.routes.size(); ++i) {
        const StaticRoute& route = router.routes[i];
        const std::string field = item("routes", i);
        prefixes.claim(route.prefix, object, field + ".prefix", route.prefix.text());
        if (route.prefix.address.family() != route.next_hop.family())
            complain(out, object, field + ".next_hop",
                     route.next_hop.text() + " is not of the family of " + route.prefix.text());
        else if (std::ranges::none_of(
                     feet, [&](const Foot& f) { return f.network.contains(route.next_hop); }))
            complain(out, object, field + ".next_hop",
                     route.next_hop.text() + " is in no network of an interface");
    }
}

void check_routers(const Snapshot& snapshot, Complaints& out, PlaneAddresses& addresses) {
    Unique<std::string> segments(out);
    for (const auto& [name, router] : snapshot.all<Router>()) {
        const std::string object = object_name(router);
        if (std::string why = why_no_unicast(router.mac); !why.empty())
            complain(out, object, "mac", why);
        for (std::size_t i = 0; i < router.interfaces.size(); ++i)
            segments.claim(router.interfaces[i].segment.name, object,
                           item("interfaces", i) + ".segment", router.interfaces[i].segment.name);
        std::vector<Foot> feet = check_interfaces(router, out, addresses);
        check_routes(router, feet, out);
        check_overlaps(router, std::move(feet), out);
    }
}

// A guest must not use the Ethernet address of the router it talks to.
void check_router_macs(const Snapshot& snapshot, Complaints& out) {
    std::map<std::string, const Router*> router_of;
    for (const auto& [name, router] : snapshot.all<Router>())
        for (const RouterInterface& interface : router.interfaces)
            router_of.emplace(interface.segment.name, &router);
    for (const auto& [name, port] : snapshot.all<Port>()) {
        const auto at = port.segment ? router_of.find(port.segment.name) : router_of.end();
        if (at != router_of.end() && at->second->mac == port.mac)
            complain(out, object_name(port), "mac",
                     port.mac.text() + " belongs to " + object_name(*at->second), Errc::conflict);
    }
}

}  // namespace

std::vector<Error> validate_core(const Snapshot& snapshot) {
    Complaints out;
    DeviceNames devices(out);
    PlaneAddresses addresses(out);
    check_hosts(snapshot, out, devices);
    check_segments(snapshot, out);
    check_ports(snapshot, out, devices, addresses);
    check_routers(snapshot, out, addresses);
    check_router_macs(snapshot, out);
    return out;
}

GroupMembers group_members(const Snapshot& snapshot, const Group& group) {
    GroupMembers members;
    std::set<net::Prefix> prefixes(group.addresses.begin(), group.addresses.end());
    for (const auto& [name, port] : snapshot.all<Port>()) {
        if (!port.segment) continue;
        const bool by_label =
            !group.labels.empty() && std::ranges::all_of(group.labels, [&](const auto& label) {
                const auto at = port.labels.find(label.first);
                return at != port.labels.end() && at->second == label.second;
            });
        const bool by_segment =
            std::ranges::find(group.segments, port.segment) != group.segments.end();
        if (!by_label && !by_segment) continue;
        members.ports.push_back(name);
        for (const net::Ip& ip : port.addresses)
            prefixes.insert({ip, static_cast<std::uint8_t>(ip.is4() ? 32 : 128)});
    }
    members.prefixes.assign(prefixes.begin(), prefixes.end());
    return members;
}

std::uint16_t mtu_of(const Snapshot& snapshot, const Port& port) {
    if (port.mtu != 0) return port.mtu;
    if (const Segment* segment = snapshot.find(port.segment)) return segment->mtu;
    const ServiceSegment* service = snapshot.find(port.service_segment);
    return service ? service->mtu : std::uint16_t{0};
}

void add_core_kinds(Registry& registry) {
    registry.add<Host>();
    registry.add<Segment>();
    registry.add<ServiceSegment>();
    registry.add<Port>();
    registry.add<Router>();
    registry.add<Group>();
    registry.add<FlowTimeouts>();
    registry.add<FlowLimits>();
    registry.add<Move>();
    registry.add_validator(validate_core, Trust::bounds);
}

}  // namespace weir::model
