#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "model/describe.hpp"
#include "model/secret.hpp"
#include "model/snapshot.hpp"

// The nouns that several features share. Only data and description; see core_resources.cpp for
// what makes a set of them valid.
namespace weir::model {

class Registry;

enum class DeviceType : std::uint8_t { none = 0, tap, af_packet, vhost_user, memory, pcap, dpdk };
constexpr auto enum_names(DeviceType) {
    using enum DeviceType;
    return std::array<std::pair<DeviceType, std::string_view>, 7>{{{none, "none"},
                                                                   {tap, "tap"},
                                                                   {af_packet, "af_packet"},
                                                                   {vhost_user, "vhost_user"},
                                                                   {memory, "memory"},
                                                                   {pcap, "pcap"},
                                                                   {dpdk, "dpdk"}}};
}

// What stands behind a port on its host.
struct Device {
    DeviceType type = DeviceType::none;
    std::string interface;
    std::string path;
    bool client = true;
    std::string rx_file;
    std::string tx_file;
    std::string devargs;
    std::uint8_t queues = 0;

    static constexpr auto schema() {
        return structure(
            "What stands behind a port on its host.",
            field(&Device::type, "type", "The sort of device; none: no device, the port is idle."),
            field(&Device::interface, "interface",
                  "Name of the network interface (tap: made by Weir; af_packet: must be there).", 0,
                  15),
            field(&Device::path, "path", "Path of the vhost-user socket.", 0, 107),
            field(&Device::client, "client",
                  "vhost_user: Weir connects and the guest's side listens, so that the guest "
                  "survives a restart of Weir."),
            field(&Device::rx_file, "rx_file", "pcap: file whose packets are received.", 0, 255),
            field(&Device::tx_file, "tx_file", "pcap: file that sent packets are written to.", 0,
                  255),
            field(&Device::devargs, "devargs",
                  "dpdk: name and arguments of a virtual device as DPDK takes them, like "
                  "net_memif0,role=client.",
                  0, 255),
            field(&Device::queues, "queues",
                  "vhost_user, dpdk: queues of each direction, every one with a worker of its own; "
                  "0: one for each worker of the host (vhost_user), one (dpdk).",
                  0, limits::max_workers));
    }
};

// A machine that runs Weir.
struct Host {
    std::string name;
    std::uint32_t id = 0;
    net::Ip tunnel_address;
    std::uint8_t underlay_prefix_length = 24;
    net::Ip underlay_gateway;
    Device underlay;
    std::string rack;
    std::uint8_t workers = 2;

    static constexpr auto schema() {
        return resource(
            "host", "A machine that runs Weir and owns ports.",
            key(&Host::name, "name", "Unique among hosts."),
            field(&Host::id, "id", "Number of the host on the wire; unique, never used again.", 1,
                  0xffffffff)
                .required(),
            field(&Host::tunnel_address, "tunnel_address",
                  "Address of the tunnel endpoint on the underlay; unique.")
                .required(),
            field(&Host::underlay_prefix_length, "underlay_prefix_length",
                  "Length of the underlay network that the tunnel address is in.", 1, 128),
            field(&Host::underlay_gateway, "underlay_gateway",
                  "Next hop for tunnel endpoints outside that network; unset: none."),
            field(&Host::underlay, "underlay", "Device that carries tunnels."),
            field(&Host::rack, "rack", "Where the host stands; service paths prefer near nodes.", 0,
                  63),
            field(&Host::workers, "workers", "Threads that handle packets.", 1, 16));
    }
};

// A network of guests: one broadcast domain, one VNI.
struct Segment {
    std::string name;
    std::uint32_t vni = 0;
    std::uint16_t mtu = 1500;
    std::string tenant;

    static constexpr auto schema() {
        return resource(
            "segment", "A network of guests: one broadcast domain, one VNI.",
            key(&Segment::name, "name", "Unique among segments."),
            field(&Segment::vni, "vni", "Number of the segment on the wire; unique.", 1, 0xffffff)
                .required(),
            field(&Segment::mtu, "mtu", "Largest IP packet a guest may send.", 576, 9000)
                .unit("bytes"),
            field(&Segment::tenant, "tenant", "Whose segment this is.", 0, 63));
    }
};

enum class ServiceEncap : std::uint8_t { smd_option = 1, nsh };
constexpr auto enum_names(ServiceEncap) {
    return std::array<std::pair<ServiceEncap, std::string_view>, 2>{
        {{ServiceEncap::smd_option, "smd_option"}, {ServiceEncap::nsh, "nsh"}}};
}

// What a leg between hosts shows (DP-22, DP-23).
enum class ServiceTransport : std::uint8_t { l2 = 1, l3 };
constexpr auto enum_names(ServiceTransport) {
    return std::array<std::pair<ServiceTransport, std::string_view>, 2>{
        {{ServiceTransport::l2, "l2"}, {ServiceTransport::l3, "l3"}}};
}

enum class AuthAlgorithm : std::uint8_t { hmac_sha256_128 = 1 };
constexpr auto enum_names(AuthAlgorithm) {
    return std::array<std::pair<AuthAlgorithm, std::string_view>, 1>{
        {{AuthAlgorithm::hmac_sha256_128, "hmac-sha256-128"}}};
}

// What hosts of a service segment prove themselves to each other with (SEC-13).
struct AuthKey {
    std::uint8_t id = 0;
    AuthAlgorithm algorithm = AuthAlgorithm::hmac_sha256_128;
    Secret secret;

    static constexpr auto schema() {
        return structure(
            "What hosts of a service segment prove themselves to each other with.",
            field(&AuthKey::id, "id", "Number of the key on the wire; unique in the segment.", 1,
                  255)
                .required(),
            field(&AuthKey::algorithm, "algorithm", "How packets are signed."),
            field(&AuthKey::secret, "secret",
                  "32 to 128 hexadecimal digits. Never shown: `hidden` stands for what is stored, "
                  "also when it is written back.")
                .required());
    }
    friend bool operator==(const AuthKey&, const AuthKey&) = default;
};

// The plane on which packets travel to service nodes; no guest is ever on it (OBJ-7, OBJ-21).
struct ServiceSegment {
    std::string name;
    std::uint32_t svni = 0;
    ServiceEncap encap = ServiceEncap::smd_option;
    ServiceTransport transport = ServiceTransport::l2;
    std::vector<Ref<Host>> hosts;
    std::uint16_t mtu = 1700;
    std::vector<AuthKey> auth_keys;
    bool auth_optional = false;
    bool underlay_trusted = false;

    // Whether hosts take only what another host of the segment signed.
    bool is_signed() const { return !auth_keys.empty() && !auth_optional; }

    static constexpr auto schema() {
        return resource(
            "service-segment", "The plane on which packets travel to service nodes and back.",
            key(&ServiceSegment::name, "name", "Unique among service segments."),
            field(&ServiceSegment::svni, "svni",
                  "Number of the service segment on the wire; unlike every VNI.", 1, 0xffffff)
                .required(),
            field(&ServiceSegment::encap, "encap", "How service metadata travels."),
            field(&ServiceSegment::transport, "transport",
                  "What a packet is on its way between hosts. l2: a frame from hop to hop, with "
                  "MAC addresses of the plane; l3: the guest's frame as it is, whose next hop is "
                  "known by path, index and direction alone."),
            field(&ServiceSegment::hosts, "hosts", "Hosts that take part; empty: all.")
                .count(0, 4096),
            field(&ServiceSegment::mtu, "mtu", "Largest IP packet on the plane.", 576, 9200)
                .unit("bytes"),
            field(&ServiceSegment::auth_keys, "auth_keys",
                  "Hosts sign with the first key and take packets signed with any; none: nothing "
                  "is signed. `weir rotate-key` replaces them while traffic goes on.")
                .count(0, 4),
            field(&ServiceSegment::auth_optional, "auth_optional",
                  "Also take packets that are not signed, while signing is being switched on; "
                  "only with underlay_trusted."),
            field(&ServiceSegment::underlay_trusted, "underlay_trusted",
                  "Nobody but hosts can send on the underlay, so packets need not be signed. "
                  "Without signing, orders of nodes that reset flows or change their path or "
                  "chain are refused all the same."));
    }
};

// Where a guest or a service node is connected.
struct Port {
    std::string name;
    Ref<Host> host;
    Ref<Segment> segment;
    Ref<ServiceSegment> service_segment;
    net::Mac mac;
    std::vector<net::Ip> addresses;
    bool learn_addresses = false;
    bool spoof_guard = true;
    Labels labels;
    Device device;
    std::uint16_t mtu = 0;

    static constexpr auto schema() {
        return resource(
            "port", "Where a guest or a service node is connected.",
            key(&Port::name, "name", "Unique among ports."),
            field(&Port::host, "host", "Host the port is on.").required(),
            field(&Port::segment, "segment", "Guest segment; or set service_segment."),
            field(&Port::service_segment, "service_segment",
                  "Service segment, for ports of service nodes; or set segment."),
            field(&Port::mac, "mac", "Ethernet address of the guest; unique in its segment.")
                .required(),
            field(&Port::addresses, "addresses",
                  "IP addresses the guest uses; unique in its segment.")
                .count(0, 64),
            field(&Port::learn_addresses, "learn_addresses",
                  "Also learn addresses from ARP, neighbour discovery and DHCP of the guest."),
            field(&Port::spoof_guard, "spoof_guard",
                  "Drop packets from addresses that are not the port's own."),
            field(&Port::labels, "labels", "Free words that groups choose ports by.").count(0, 64),
            field(&Port::device, "device", "What stands behind the port."),
            field(&Port::mtu, "mtu", "Largest IP packet; 0: that of the segment.", 0, 9200)
                .unit("bytes"));
    }
};

// A router's foot in a segment.
struct RouterInterface {
    Ref<Segment> segment;
    std::vector<HostAddress> addresses;

    static constexpr auto schema() {
        return structure(
            "A router's foot in a segment.",
            field(&RouterInterface::segment, "segment", "Segment; on one router only.").required(),
            field(&RouterInterface::addresses, "addresses",
                  "The router's addresses there, with the length of the network.")
                .required()
                .count(1, 16));
    }
};

struct StaticRoute {
    net::Prefix prefix;
    net::Ip next_hop;

    static constexpr auto schema() {
        return structure("A route to a network that is not the router's own.",
                         field(&StaticRoute::prefix, "prefix", "Destinations.").required(),
                         field(&StaticRoute::next_hop, "next_hop",
                               "Address in the network of one of the interfaces.")
                             .required());
    }
};

// A distributed router between segments: the same on every host that needs it.
struct Router {
    std::string name;
    net::Mac mac{{0x02, 0x00, 0x5a, 0x00, 0x00, 0x01}};
    std::vector<RouterInterface> interfaces;
    std::vector<StaticRoute> routes;

    static constexpr auto schema() {
        return resource("router", "A distributed router between segments.",
                        key(&Router::name, "name", "Unique among routers."),
                        field(&Router::mac, "mac", "Ethernet address on all interfaces."),
                        field(&Router::interfaces, "interfaces", "One per segment.").count(0, 1024),
                        field(&Router::routes, "routes", "Static routes.").count(0, 4096));
    }
};

// A set of guests and networks that rules name: the union of labelled ports, segments and prefixes.
struct Group {
    std::string name;
    Labels labels;
    std::vector<Ref<Segment>> segments;
    std::vector<net::Prefix> addresses;

    static constexpr auto schema() {
        return resource(
            "group", "A set of guests and networks that rules name.",
            key(&Group::name, "name", "Unique among groups."),
            field(&Group::labels, "labels", "Guest ports that carry all of these labels.")
                .count(0, 64),
            field(&Group::segments, "segments", "Guest ports of these segments.").count(0, 1024),
            field(&Group::addresses, "addresses", "Networks and addresses, of guests or not."));
    }
};

inline constexpr std::uint32_t longest_idle_s = 30 * 86'400;

// How long flows of guest ports may be idle before they are forgotten. Defaults: the rulebook of
// flow/timeouts.hpp.
struct FlowTimeouts {
    std::string name;
    std::uint32_t priority = 1000;
    std::vector<Ref<Group>> applied_to;
    std::uint32_t tcp_new_s = 60;
    std::uint32_t tcp_established_s = 7200;
    std::uint32_t tcp_closing_s = 30;
    std::uint32_t tcp_closed_s = 5;
    std::uint32_t udp_s = 60;
    std::uint32_t udp_replied_s = 180;
    std::uint32_t icmp_s = 20;
    std::uint32_t other_s = 60;

    static constexpr auto schema() {
        const auto idle = [](std::uint32_t FlowTimeouts::*member, std::string_view field_name,
                             std::string_view help) {
            return field(member, field_name, help, 1, longest_idle_s).unit("s");
        };
        return resource(
            "flow-timeouts",
            "How long flows of guest ports may be idle; of those for a port, the first counts.",
            key(&FlowTimeouts::name, "name", "Unique among flow timeouts."),
            field(&FlowTimeouts::priority, "priority",
                  "Lower numbers come first; those of equal priority by name.", 0, 1000000),
            field(&FlowTimeouts::applied_to, "applied_to",
                  "Groups whose ports have them; empty: all guest ports.")
                .count(0, 256),
            idle(&FlowTimeouts::tcp_new_s, "tcp_new_s", "TCP before its handshake has ended."),
            idle(&FlowTimeouts::tcp_established_s, "tcp_established_s", "TCP, open both ways."),
            idle(&FlowTimeouts::tcp_closing_s, "tcp_closing_s", "TCP behind its first FIN."),
            idle(&FlowTimeouts::tcp_closed_s, "tcp_closed_s",
                 "TCP behind a RST, or when both FINs were acknowledged."),
            idle(&FlowTimeouts::udp_s, "udp_s", "UDP that nobody has answered."),
            idle(&FlowTimeouts::udp_replied_s, "udp_replied_s", "UDP that was answered."),
            idle(&FlowTimeouts::icmp_s, "icmp_s", "ICMP of both IP versions."),
            idle(&FlowTimeouts::other_s, "other_s", "Every other protocol."));
    }
};

// What a guest port may take of its host's flow table.
struct FlowLimits {
    std::string name;
    std::uint32_t priority = 1000;
    std::vector<Ref<Group>> applied_to;
    std::uint32_t new_flows_per_second = 0;
    std::uint32_t burst = 1000;
    std::uint32_t max_flows = 0;

    static constexpr auto schema() {
        return resource(
            "flow-limits",
            "How many flows guest ports may have and begin; of those for a port, the first counts.",
            key(&FlowLimits::name, "name", "Unique among flow limits."),
            field(&FlowLimits::priority, "priority",
                  "Lower numbers come first; those of equal priority by name.", 0, 1000000),
            field(&FlowLimits::applied_to, "applied_to",
                  "Groups whose ports have them, each for itself; empty: all guest ports.")
                .count(0, 256),
            field(&FlowLimits::new_flows_per_second, "new_flows_per_second",
                  "Flows that the guest may begin; packets of further ones are dropped. Divided "
                  "over the host's workers. 0: no limit.",
                  0, 10'000'000),
            field(&FlowLimits::burst, "burst", "Flows it may begin at once, after a rest.", 1,
                  10'000'000),
            field(&FlowLimits::max_flows, "max_flows",
                  "Records of the port, of flows in both ways. A further one takes the place of "
                  "one that may go (never an established connection), or is refused. 0: no "
                  "limit.",
                  0, 100'000'000));
    }
};

// Who is in a group, as of one snapshot.
struct GroupMembers {
    std::vector<std::string> ports;     // names of guest ports, ordered
    std::vector<net::Prefix> prefixes;  // those of the group and all addresses of `ports`, ordered

    friend bool operator==(const GroupMembers&, const GroupMembers&) = default;
};

// Pure. Ports of service segments are in no group.
GroupMembers group_members(const Snapshot& snapshot, const Group& group);

// The MTU of the port, or that of its segment; 0 if neither says.
std::uint16_t mtu_of(const Snapshot& snapshot, const Port& port);

// Adds the kinds above and validate_core().
void add_core_kinds(Registry& registry);

// Uniqueness of numbers and addresses, overlap of networks, one segment per port, devices.
std::vector<Error> validate_core(const Snapshot& snapshot);

}  // namespace weir::model
