#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "features/chain/resources.hpp"

// Kinds that no operator writes: hosts get paths from the plan and report how their nodes fare.
// Everything a host needs stands in them by value, so that they refer to nothing the host lacks.
namespace weir::chain {

// What a node's port carries beside a guest's IP packet. Aware: NSH and the guest's Ethernet
// header; gwlb: the outer IP and UDP headers and Geneve with its options.
std::uint32_t node_overhead_bytes(const ServiceNode& node);

// One node of a path (OBJ-11).
struct PathHop {
    std::string node;
    std::uint32_t node_id = 0;
    std::string host;
    std::uint32_t host_id = 0;
    std::string rack;
    net::Mac mac;
    std::string profile;
    HopAction action = HopAction::redirect;
    NodeMode mode = NodeMode::aware;
    bool can_decrement_si = false;
    bool liveness_support = false;
    PartnerState partner_state = PartnerState::healthy;
    std::uint32_t mtu = 0;

    friend bool operator==(const PathHop&, const PathHop&) = default;

    static constexpr auto schema() {
        using namespace model;
        return structure(
            "One node of a service path.", field(&PathHop::node, "node", "Name of the node."),
            field(&PathHop::node_id, "node_id", "Number of the node."),
            field(&PathHop::host, "host", "Host the node is on."),
            field(&PathHop::host_id, "host_id", "Number of that host."),
            field(&PathHop::rack, "rack", "Where that host stands."),
            field(&PathHop::mac, "mac", "Address of the node on the service plane."),
            field(&PathHop::profile, "profile", "What the node is to do there (OBJ-4)."),
            field(&PathHop::action, "action", "Whether packets or copies go there."),
            field(&PathHop::mode, "mode", "How the node is given packets."),
            field(&PathHop::can_decrement_si, "can_decrement_si",
                  "The node counts the service index down itself."),
            field(&PathHop::liveness_support, "liveness_support",
                  "The node answers liveness queries."),
            field(&PathHop::partner_state, "partner_state",
                  "What the node's manager says of it; only a healthy one is used."),
            field(&PathHop::mtu, "mtu", "Largest IP packet of a guest that fits the node's ports.")
                .unit("bytes"));
    }
};

// One realisation of a chain by nodes. The numbers follow from the chain and its nodes alone.
struct ServicePath {
    std::string name;
    std::string chain;
    std::uint32_t spi = 0;
    std::uint32_t sci = 0;
    std::uint32_t svni = 0;
    std::uint8_t epoch = 0;
    std::uint32_t weight = 0;
    bool maintenance = false;
    std::uint32_t drain_s = 0;
    std::uint32_t above_limits = 0;
    FailurePolicy failure_policy = FailurePolicy::block;
    std::vector<PathHop> forward;
    std::vector<PathHop> reverse;

    static constexpr auto schema() {
        using namespace model;
        return made_resource(
            "service-path", "One realisation of a service chain by nodes. Made by Weir.",
            "weir show paths",
            key(&ServicePath::name, "name", "Chain, number and epoch of the path."),
            field(&ServicePath::chain, "chain", "Name of the chain."),
            field(&ServicePath::spi, "spi", "Number of the path on the wire.", 1, 0xffffff),
            field(&ServicePath::sci, "sci", "Number of the chain on the wire.", 1, 0xffffff),
            field(&ServicePath::svni, "svni", "Number of the service segment.", 1, 0xffffff),
            field(&ServicePath::epoch, "epoch", "Changes with the hops."),
            field(&ServicePath::weight, "weight", "Share of new flows; 0: none."),
            field(&ServicePath::maintenance, "maintenance", "New flows avoid the path."),
            field(&ServicePath::drain_s, "drain_s",
                  "How long flows may stay on it in maintenance; 0: for ever."),
            field(&ServicePath::above_limits, "above_limits",
                  "Limits that nodes of the path do not keep and are drained for: new flows get a "
                  "path with fewer, as far as there is one."),
            field(&ServicePath::failure_policy, "failure_policy",
                  "What hosts on the way do with packets that cannot go on (HD-7)."),
            field(&ServicePath::forward, "forward", "Hops of the flow's initiator.")
                .count(1, limits::max_hops),
            field(&ServicePath::reverse, "reverse", "Hops of replies.").count(1, limits::max_hops));
    }
};

// New flows of this host may get the path of this name. Hosts that only pass packets of a path on
// do without; whoever distributes plans gives it to a host last, takes it away first (CP-2).
struct ServicePathUse {
    std::string name;

    static constexpr auto schema() {
        using namespace model;
        return made_resource("service-path-use",
                             "Flows of this host may be put on the path. Made by Weir.",
                             "weir show paths",
                             key(&ServicePathUse::name, "name", "Name of the path."));
    }
};

// A path of a chain that is made on demand (PS-10): a host asked, the controller chose.
struct ServicePathWanted {
    std::string name;
    std::string chain;
    std::string host;  // that may put flows on it
    std::uint64_t number = 0;
    std::vector<std::uint32_t> nodes;  // numbers, forward hop by hop

    static constexpr auto schema() {
        using namespace model;
        return made_resource(
            "service-path-wanted", "A path that flows of a host asked for. Made by Weir.",
            "weir show paths",
            key(&ServicePathWanted::name, "name", "Chain, host and number."),
            field(&ServicePathWanted::chain, "chain", "Name of the chain."),
            field(&ServicePathWanted::host, "host", "Host whose flows may have it."),
            field(&ServicePathWanted::number, "number", "Later ones have greater numbers."),
            field(&ServicePathWanted::nodes, "nodes", "Numbers of its nodes, hop by hop.")
                .count(1, limits::max_hops));
    }
};

// The number of a path that is not there any more, or that another path would get now. Until a
// while has passed it is for that path alone: packets and records of it may be on their way (CP-2).
struct ServicePathNumber {
    std::string name;
    std::uint32_t svni = 0;
    std::uint32_t spi = 0;
    std::uint32_t sci = 0;
    std::vector<std::uint32_t> nodes;  // numbers, forward hop by hop
    std::uint64_t until_s = 0;

    static constexpr auto schema() {
        using namespace model;
        return made_resource(
            "service-path-number",
            "A number on the wire that only the path that had it may have for now. Made by Weir.",
            "", key(&ServicePathNumber::name, "name", "Service segment and number, hexadecimal."),
            field(&ServicePathNumber::svni, "svni", "Number of the service segment.", 1, 0xffffff),
            field(&ServicePathNumber::spi, "spi", "Number of the path on the wire.", 1, 0xffffff),
            field(&ServicePathNumber::sci, "sci", "Number of its chain on the wire.", 1, 0xffffff),
            field(&ServicePathNumber::nodes, "nodes", "Numbers of its nodes, hop by hop.")
                .count(1, limits::max_hops),
            field(&ServicePathNumber::until_s, "until_s",
                  "When others may have it, in seconds since 1970."));
    }
};

// How a node fares, as its host sees it. Reported by hosts, handed on to the hosts that use the
// node.
struct ServiceNodeStatus {
    std::string name;
    std::uint32_t node_id = 0;
    NodeState state = NodeState::up;
    std::uint64_t generation = 0;
    bool slow = false;
    bool lossy = false;
    std::uint32_t load = 0;
    bool attached = true;
    std::vector<std::string> ports_without_link;

    static constexpr auto schema() {
        using namespace model;
        return made_resource(
            "service-node-status", "How a service node fares, as its host sees it. Made by Weir.",
            "", key(&ServiceNodeStatus::name, "name", "Name of the node."),
            field(&ServiceNodeStatus::node_id, "node_id", "Number of the node.", 1, 0xffffffff),
            field(&ServiceNodeStatus::state, "state", "Whether packets pass the node."),
            field(&ServiceNodeStatus::generation, "generation",
                  "Grows with every change of state."),
            field(&ServiceNodeStatus::slow, "slow",
                  "Packets take longer through it than its limit allows."),
            field(&ServiceNodeStatus::lossy, "lossy",
                  "It keeps more packets than its limit allows."),
            field(&ServiceNodeStatus::load, "load",
                  "How much of what it can take it is given, in thousandths.", 0, 1000),
            field(&ServiceNodeStatus::attached, "attached",
                  "All its ports have a device with a link; else it is on no usable path."),
            field(&ServiceNodeStatus::ports_without_link, "ports_without_link",
                  "Names of those that have none."));
    }
};

// A node on its way from one host to another. `from` has it until the intent says otherwise.
struct ServiceNodeMove {
    std::string name;
    std::uint32_t node_id = 0;
    std::uint32_t svni = 0;
    std::uint32_t number = 0;
    std::string from, to;
    std::uint32_t from_id = 0, to_id = 0;
    MovePhase phase = MovePhase::announced;

    static constexpr auto schema() {
        using namespace model;
        return made_resource(
            "service-node-move", "A service node on its way to another host. Made by Weir.", "",
            key(&ServiceNodeMove::name, "name", "Name of the node."),
            field(&ServiceNodeMove::node_id, "node_id", "Number of the node.", 1, 0xffffffff),
            field(&ServiceNodeMove::svni, "svni", "Number of the service segment.", 1, 0xffffff),
            field(&ServiceNodeMove::number, "number", "Differs from the node's former moves.", 1,
                  0xffffffff),
            field(&ServiceNodeMove::from, "from", "Host that it leaves."),
            field(&ServiceNodeMove::to, "to", "Host that it comes to."),
            field(&ServiceNodeMove::from_id, "from_id", "Number of that host."),
            field(&ServiceNodeMove::to_id, "to_id", "Number of that host."),
            field(&ServiceNodeMove::phase, "phase",
                  "announced: its ports are prepared; frozen: it gets no packets; arriving: its "
                  "new host waits for its ports; arrived: they are up."));
    }
};

// A node that operators have deleted, and that is still needed: the node and those of its ports
// that the intent has no more are kept beside this record.
struct ServiceNodeLeaving {
    std::string name;
    std::uint32_t node_id = 0;
    LeavingPhase phase = LeavingPhase::draining;
    std::uint64_t until_s = 0;

    static constexpr auto schema() {
        using namespace model;
        return made_resource(
            "service-node-leaving",
            "A service node that was deleted and is not gone yet. Made by Weir.", "",
            key(&ServiceNodeLeaving::name, "name", "Name of the node."),
            field(&ServiceNodeLeaving::node_id, "node_id", "Number of the node.", 1, 0xffffffff),
            field(&ServiceNodeLeaving::phase, "phase",
                  "draining: new flows avoid it, flows on it stay; gone: it has no path any more, "
                  "packets that are under way still pass."),
            field(&ServiceNodeLeaving::until_s, "until_s",
                  "When that ends, in seconds since 1970."));
    }
};

// Ports of nodes that are on their way to the host: it makes them ready before anybody else knows.
std::set<std::string, std::less<>> ports_of_nodes_to(const model::Snapshot& intent,
                                                     std::string_view host);

// The node's address on the service plane: 02:5C and its number. Hosts have 02:5A and theirs.
inline net::Mac node_mac(std::uint32_t node_id) {
    return net::Mac{{0x02, 0x5c, static_cast<std::uint8_t>(node_id >> 24),
                     static_cast<std::uint8_t>(node_id >> 16),
                     static_cast<std::uint8_t>(node_id >> 8), static_cast<std::uint8_t>(node_id)}};
}

}  // namespace weir::chain
