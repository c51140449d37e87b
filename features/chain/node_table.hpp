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
    bool can_decrement_si = false;
    bool liveness_support = false;  // always true for L2 nodes: heartbeats need no help
    std::array<Vnic, 2> vnics;      // aware: [0]; L2: left, right

    bool realised() const {
        return vnics[0].port != net::no_port &&
               (mode == NodeMode::aware || vnics[1].port != net::no_port);
    }
    friend bool operator==(const LocalNode&, const LocalNode&) = default;
};

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
