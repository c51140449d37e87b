#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/stage.hpp"
#include "features/chain/words.hpp"

namespace weir::chain {

inline constexpr std::size_t max_local_nodes = 64;  // on one host

enum class Side : std::uint8_t { left = 0, right = 1 };

// A service node on this host, with the ports it has open.
struct LocalNode {
    // A port of the node; `port` is no_port while it is not realised.
    struct Vnic {
        std::uint32_t port = net::no_port;
        std::uint32_t mtu = 0;  // largest IP packet
        std::uint32_t polling_worker = 0;
        bool foreign = false;  // another engine's
        net::Mac mac;          // of the node
        friend bool operator==(const Vnic&, const Vnic&) = default;
    };

    std::string name;
    std::uint32_t id = 0;
    std::uint32_t svni = 0;
    NodeMode mode = NodeMode::aware;
    NodeContexts contexts = NodeContexts::vlan;  // L2 and L3 nodes
    bool can_decrement_si = false;
    std::uint8_t privileges = 0;    // of its service, bits by Privilege
    bool signed_legs = false;       // nobody can forge messages on its service segment
    bool liveness_support = false;  // always true for others than aware nodes: those need no help
    std::uint32_t capacity_pps = 0;  // 0: not said, as the next two
    std::uint32_t capacity_mbps = 0;
    std::uint32_t capacity_flows = 0;
    std::array<Vnic, 2> vnics;      // aware, gwlb: [0]; others: left, right
    // The proxy's addresses, [side][0: IPv4, 1: IPv6]; zero: none. L3: all that it routes; gwlb:
    // one, on the left.
    std::array<std::array<net::Ip, 2>, 2> proxy{};
    NshMetadata metadata = NshMetadata::type2;  // aware
    net::Ip address;                            // gwlb: of the appliance
    std::uint16_t health_port = 0;              // gwlb; 0: ping
    bool may_rewrite = false;                   // headers (SEC-11)
    std::uint32_t latency_limit_us = 0;         // of the 99th percentile; 0: none
    std::uint32_t agent_uid = 0;                // user of this host that may order in its name
    std::uint32_t loss_limit = 0;               // thousandths; 0: none
    // On its way to another host (MB-9): what is for it waits. 0: it is not.
    std::uint32_t frozen_for = 0;

    // Its packets are remembered in FlowContexts.
    bool has_flow_contexts() const {
        if (mode == NodeMode::aware) return metadata == NshMetadata::type1;
        return mode != NodeMode::l2 || contexts != NodeContexts::vlan;
    }
    bool has_vlan_contexts() const {
        return mode == NodeMode::l2 && contexts == NodeContexts::vlan;
    }
    // Tags name a flow's direction; addresses and cookies both at once.
    std::uint64_t contexts_of_a_flow() const {
        const bool tagged = mode == NodeMode::l2 && contexts != NodeContexts::tuple;
        return tagged || mode == NodeMode::aware ? 2 : 1;
    }
    bool has_two_sides() const { return mode == NodeMode::l2 || mode == NodeMode::l3; }
    const net::Ip& gwlb_proxy() const { return proxy[0][address.is4() ? 0 : 1]; }

    bool realised() const {
        return vnics[0].port != net::no_port && (!has_two_sides() || vnics[1].port != net::no_port);
    }
    friend bool operator==(const LocalNode&, const LocalNode&) = default;
};

// The proxy's address at a side of a node: 02:5D (left) or 02:5E (right) and the node's number.
net::Mac proxy_side_mac(std::uint32_t node_id, Side side);

// The service nodes of this host, compiled from service-node, service and the open ports.
struct NodeTable {
    struct Place {
        std::uint16_t node = 0;  // index into `nodes`
        Side side = Side::left;
        bool used = false;
        friend bool operator==(const Place&, const Place&) = default;
    };

    std::uint32_t host_id = 0;
    net::Mac proxy_mac;            // the proxies of this host speak to aware nodes from it
    std::vector<LocalNode> nodes;  // by id
    std::vector<Place> by_port;    // by port index
    std::uint64_t digest = 0;      // of everything above

    // Null: no node of this host has the port.
    const Place* at(std::uint32_t port) const {
        return port < by_port.size() && by_port[port].used ? &by_port[port] : nullptr;
    }
    friend bool operator==(const NodeTable&, const NodeTable&) = default;
};

// Refuses more than max_local_nodes nodes.
Result<NodeTable> compile_nodes(const dataplane::CompileInput&);

}  // namespace weir::chain
