#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "dataplane/abi.hpp"
#include "dataplane/moved.hpp"
#include "dataplane/ports.hpp"
#include "model/snapshot.hpp"
#include "net/address.hpp"
#include "net/bytes.hpp"

namespace weir::dataplane {

struct MacHash {
    std::size_t operator()(const net::Mac& mac) const {
        return static_cast<std::size_t>(mac.to_u64() * 0x9e3779b97f4a7c15ull);
    }
};
struct IpHash {
    std::size_t operator()(const net::Ip& ip) const {
        return static_cast<std::size_t>((net::load64(ip.bytes.data()) ^
                                         net::load64(ip.bytes.data() + 8) * 0x9e3779b97f4a7c15ull) *
                                        0xff51afd7ed558ccdull);
    }
};

// Where a guest is: at a port of this host, or behind the tunnel to another.
struct Location {
    std::string port_name;
    net::Mac mac;
    std::uint32_t port = net::no_port;  // index of the local port
    std::uint32_t host_id = 0;          // of its host, also when local
    bool local() const { return port != net::no_port; }
};

// One guest segment or service segment as this host knows it.
struct SegmentEntry {
    std::string name;
    std::uint32_t vni = 0;
    std::uint32_t mtu = 1500;
    bool service = false;           // plane type (spec service-plane SEC-1)
    bool nsh = false;               // service: metadata travels as NSH (HD-3)
    bool l3 = false;                // service: legs carry guests' frames as they are (DP-23)
    bool signed_legs = false;       // service: hosts sign what they send each other
    bool learns = false;            // some port learns its addresses: unknown ones are asked for
    std::uint32_t router = net::no_port;  // index into Topology::routers
    std::unordered_map<net::Mac, Location, MacHash> by_mac;
    std::unordered_map<net::Ip, Location, IpHash> by_address;
    std::vector<std::uint32_t> local_ports;   // indices
    std::vector<std::uint32_t> remote_hosts;  // host ids with ports in it, sorted
    std::uint32_t digest = 0;                 // of everything above; never 0
};

struct RouteEntry {
    net::Prefix prefix;
    std::uint32_t vni = 0;  // segment it leaves to
    net::Ip next_hop;       // zero: connected
};

struct RouterEntry {
    std::string name;
    net::Mac mac;
    struct Interface {
        std::uint32_t vni = 0;
        net::Ip address;
        net::Prefix subnet;
    };
    std::vector<Interface> interfaces;
    std::vector<RouteEntry> routes;  // longest prefix first
    bool owns(const net::Ip& ip) const;
    const RouteEntry* lookup(const net::Ip& destination) const;
    // The router's own address in a segment, of the wanted family; zero if there is none.
    net::Ip address_in(std::uint32_t vni, net::Family family) const;
};

// Another host that packets can be tunnelled to.
struct Peer {
    std::uint32_t host_id = 0;
    std::string name;
    net::Ip address;
};

// What this host knows of the virtual network, compiled from the core resources and the open ports.
struct Topology : PortMap {
    std::unordered_map<std::uint32_t, SegmentEntry> segments;  // by VNI or SVNI
    std::vector<RouterEntry> routers;
    std::unordered_map<std::uint32_t, Peer> peers;  // by host id, without ourselves
    std::unordered_map<net::Ip, std::uint32_t, IpHash> peer_by_address;  // tunnel address → host id
    std::uint32_t underlay_mtu = 1500;
    net::Mac underlay_mac;
    net::Ip underlay_gateway;
    std::uint8_t underlay_prefix_length = 24;
    std::vector<MovedPort> moved;  // few, and not for long

    const SegmentEntry* segment(std::uint32_t vni) const {
        const auto it = segments.find(vni);
        return it == segments.end() ? nullptr : &it->second;
    }
    const Peer* peer(std::uint32_t id) const {
        const auto it = peers.find(id);
        return it == peers.end() ? nullptr : &it->second;
    }
    // The port that had this AnchorPortId, or this address in the segment, and has moved; null:
    // none, or its time is over.
    const MovedPort* moved_anchor(std::uint32_t anchor_id, std::uint64_t now_ns) const {
        for (const MovedPort& port : moved)
            if (port.anchor_id == anchor_id && now_ns < port.until_ns) return &port;
        return nullptr;
    }
    const MovedPort* moved_mac(std::uint32_t vni, const net::Mac& mac, std::uint64_t now_ns) const {
        for (const MovedPort& port : moved)
            if (port.vni == vni && port.mac == mac && now_ns < port.until_ns) return &port;
        return nullptr;
    }
};

// A port as the shell opened it and the engine keeps it.
struct AttachedPort {
    weir_port_info info{};
    std::uint32_t scope = 0;
    bool attached = false;  // else another engine's: packets for it are handed over
};

// Pure: equal input gives equal output, digests included.
Result<Topology> compile_topology(const model::Snapshot& snapshot, std::string_view host_name,
                                  const std::vector<AttachedPort>& open,
                                  const std::vector<MovedPort>& moved = {});

// SPMAC of a host (spec service-plane §4.2) is 02:5A ‖ host id; the underlay port answers with
// 02:5B ‖ host id.
net::Mac underlay_mac_of(std::uint32_t host_id);

}  // namespace weir::dataplane
