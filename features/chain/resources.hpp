#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "features/chain/words.hpp"
#include "model/core_resources.hpp"

// What an operator says about services, nodes, chains and rules. README.md has an example.
namespace weir::chain {

inline constexpr std::uint32_t max_explicit_rule_id = 0x7fffffff;  // above: numbered by Weir
inline constexpr std::uint16_t max_paths_per_chain = 256;
inline constexpr std::uint16_t max_hold_packets = 64;  // of a flow
inline constexpr std::uint32_t max_hold_ms = 10'000;
inline constexpr std::uint16_t on_demand_hold_packets = 16;  // PS-10, where nothing else is said
inline constexpr std::uint32_t on_demand_hold_ms = 50;
// A packet that is away for longer counts as lost and is not timed: no limit above could be missed.
inline constexpr std::uint32_t max_latency_limit_us = 1'000'000;

// Enough for the longest path when every leg of it, to nodes and back, is relayed once because
// who was there has moved.
inline constexpr std::uint8_t min_initial_ttl = 2 * (limits::max_hops + 1) + 1;
inline constexpr std::uint8_t max_initial_ttl = 63;  // 6 bits

// Something a vendor's nodes can do (OBJ-1).
struct Service {
    std::string name;
    std::string vendor;
    std::vector<Functionality> functionalities;
    std::vector<Transport> transports;
    bool can_decrement_si = false;
    bool liveness_support = false;
    FailurePolicy on_failure = FailurePolicy::block;
    std::vector<Privilege> privileges;

    static constexpr auto schema() {
        using namespace model;
        return resource(
            "service", "Something the nodes of a vendor can do to packets.",
            key(&Service::name, "name", "Unique among services."),
            field(&Service::vendor, "vendor", "Who makes it.", 0, 63),
            field(&Service::functionalities, "functionalities", "What it is good for.").count(0, 4),
            field(&Service::transports, "transports",
                  "Ways its nodes can be given packets: nsh (service-metadata-aware), l2_bridge "
                  "(bump in the wire), l3_routed, gwlb_geneve (as AWS Gateway Load Balancers do).")
                .required()
                .count(1, 3),
            field(&Service::can_decrement_si, "can_decrement_si",
                  "Nodes count the service index down themselves."),
            field(&Service::liveness_support, "liveness_support",
                  "Aware nodes answer liveness queries in the service header."),
            field(
                &Service::on_failure, "on_failure",
                "Policy a new chain of this service should have; for the people who write chains."),
            field(&Service::privileges, "privileges", "What messages of its nodes may do to flows.")
                .count(0, 5));
    }
};

constexpr std::uint8_t privilege_bits(const Service& service) {
    unsigned bits = 0;
    for (const Privilege privilege : service.privileges) bits |= bit(privilege);
    return static_cast<std::uint8_t>(bits);
}

// A policy of a service as a chain uses it: vendor template and profile in one (OBJ-3).
struct ServiceProfile {
    std::string name;
    model::Ref<Service> service;
    model::Labels attributes;
    HopAction action = HopAction::redirect;
    std::uint32_t latency_limit_us = 0;
    std::uint16_t loss_limit_permille = 0;
    LatencyAction limit_action = LatencyAction::alarm;

    static constexpr auto schema() {
        using namespace model;
        return resource(
            "service-profile", "One policy of a service, as a chain uses it.",
            key(&ServiceProfile::name, "name", "Unique among profiles."),
            field(&ServiceProfile::service, "service", "Whose policy this is.").required(),
            field(&ServiceProfile::attributes, "attributes",
                  "Words that only the service's nodes understand.")
                .count(0, 64),
            field(&ServiceProfile::action, "action",
                  "redirect: packets go through the node; copy: the node gets duplicates."),
            field(&ServiceProfile::latency_limit_us, "latency_limit_us",
                  "As at a service-node, for all nodes of the service that say nothing themselves; "
                  "of several profiles the strictest counts.",
                  0, max_latency_limit_us)
                .unit("µs"),
            field(&ServiceProfile::loss_limit_permille, "loss_limit_permille",
                  "The same for packets that do not come back.", 0, 1000),
            field(&ServiceProfile::limit_action, "limit_action",
                  "What becomes of nodes above these limits: alarm or drain, as latency_action "
                  "of a service-node says."));
    }
};

// A machine or appliance that performs a service (OBJ-5).
struct ServiceNode {
    std::string name;
    std::uint32_t id = 0;
    model::Ref<Service> service;
    model::Ref<model::Host> host;
    model::Ref<model::Host> home;
    NodeMode mode = NodeMode::aware;
    model::Ref<model::ServiceSegment> service_segment;
    std::vector<model::Ref<model::Port>> vnics;
    NodeContexts contexts = NodeContexts::automatic;
    std::vector<net::Ip> proxy_addresses;
    NshMetadata nsh_metadata = NshMetadata::type2;
    std::uint16_t health_port = 0;
    std::uint16_t weight = 100;
    std::uint32_t capacity = 0;
    std::uint32_t capacity_pps = 0;
    std::uint32_t capacity_mbps = 0;
    bool maintenance = false;
    PartnerState partner_state = PartnerState::healthy;
    std::uint32_t latency_limit_us = 0;
    LatencyAction latency_action = LatencyAction::alarm;
    std::uint16_t loss_limit_permille = 0;
    std::uint32_t drain_s = 0;
    std::uint32_t orders_from_uid = 0;

    static constexpr auto schema() {
        using namespace model;
        return resource(
            "service-node", "A machine or appliance that performs a service.",
            key(&ServiceNode::name, "name", "Unique among nodes."),
            field(&ServiceNode::id, "id", "Number of the node on the wire; unique.", 1, 0xffffffff)
                .required(),
            field(&ServiceNode::service, "service", "What it performs.").required(),
            field(&ServiceNode::host, "host", "Host its ports are on.").required(),
            field(&ServiceNode::home, "home",
                  "Host that paths are laid out for, if the node has moved since: which nodes make "
                  "a path together depends on their homes, so that a move changes no path."),
            field(
                &ServiceNode::mode, "mode",
                "aware: reads the service header (NSH); l2: a bump in the wire that knows nothing "
                "of Weir; l3: a router that knows nothing of Weir; gwlb: an appliance that speaks "
                "the "
                "encapsulation of AWS Gateway Load Balancers."),
            field(&ServiceNode::service_segment, "service_segment", "Plane it is reached on.")
                .required(),
            field(&ServiceNode::vnics, "vnics",
                  "Its ports: one for aware and gwlb nodes; left and right, in this order, for "
                  "others.")
                .required()
                .count(1, 2),
            field(
                &ServiceNode::contexts, "contexts",
                "By what packets inside the node are told apart: vlan, one tag (4094 flow "
                "directions); qinq, two tags (65536); tuple, their addresses and ports, for nodes "
                "that cannot keep tags; mark, a number in the identification field of IPv4 or the "
                "flow label of IPv6, for routers that translate addresses; proxy, as tuple, for "
                "routers that end TCP connections and open others in the client's name. "
                "automatic: vlan for l2, tuple for l3, nothing for others."),
            field(&ServiceNode::proxy_addresses, "proxy_addresses",
                  "Neighbours that an l3 node routes packets to: Weir's address at its left and at "
                  "its right, in this order; two more for the other family. For a gwlb node: the "
                  "one address that Weir speaks to the appliance from; the appliance's own is the "
                  "address of its port.")
                .count(0, 4),
            field(&ServiceNode::nsh_metadata, "nsh_metadata",
                  "The service header of an aware node: type2 says everything; type1 is of fixed "
                  "length, for nodes that cannot read more."),
            field(&ServiceNode::health_port, "health_port",
                  "TCP port that a gwlb node accepts connections on while it is well; 0: it is "
                  "pinged instead."),
            field(&ServiceNode::weight, "weight",
                  "Share of new flows compared with other nodes of the service; 0: none.", 0,
                  10000),
            field(&ServiceNode::capacity, "capacity",
                  "Flows it can hold; 0: not said. Counts where its packets are told apart by "
                  "contexts; unsaid, as many as can be.",
                  0, 0xffffffff)
                .unit("flows"),
            field(
                &ServiceNode::capacity_pps, "capacity_pps",
                "Packets a second it can take; 0: not said. A node that is given more than a part "
                "of that gets a smaller share of new flows.",
                0, 0xffffffff)
                .unit("packets/s"),
            field(&ServiceNode::capacity_mbps, "capacity_mbps",
                  "Megabits a second it can take, in the same way; 0: not said. The fuller of the "
                  "two counts, as do flows and, where latency_limit_us is set, latency.",
                  0, 10'000'000)
                .unit("Mbit/s"),
            field(&ServiceNode::maintenance, "maintenance",
                  "New flows avoid the node, flows on it stay, as long as drain_s says."),
            field(&ServiceNode::partner_state, "partner_state",
                  "What the vendor's manager says of the node; whoever may write the node may say "
                  "it. stopped and not_responding: it is down, whatever else is known of it; flows "
                  "on it go to other paths, or meet the failure policy."),
            field(&ServiceNode::latency_limit_us, "latency_limit_us",
                  "How long 99 of 100 packets may take through the node; above it for ten seconds, "
                  "it is slow. 0: no limit. At most a second: what is away for longer is lost to "
                  "whoever times it.",
                  0, max_latency_limit_us)
                .unit("µs"),
            field(
                &ServiceNode::latency_action, "latency_action",
                "What becomes of a slow or lossy node. alarm: an event; drain: new flows avoid it "
                "as well while there are others, until it is not so any more."),
            field(&ServiceNode::loss_limit_permille, "loss_limit_permille",
                  "How many packets of a thousand the node may keep; above it for ten seconds, it "
                  "is lossy. A firewall's verdicts count as well. 0: no limit.",
                  0, 1000),
            field(&ServiceNode::drain_s, "drain_s",
                  "How long flows may stay on the node in maintenance, and when it is deleted; "
                  "then they get other paths. 0: in maintenance for ever, deleted not at all.",
                  0, 86400)
                .unit("s"),
            field(&ServiceNode::orders_from_uid, "orders_from_uid",
                  "User of the node's host that may give orders in the name of an l2, l3 or gwlb "
                  "node, by the node's socket there; 0: nobody but root.",
                  0, 0xfffffffe));
    }
};

// An ordered list of profiles that chosen packets pass (OBJ-8).
struct ServiceChain {
    std::string name;
    std::uint32_t sci = 0;
    model::Ref<model::ServiceSegment> service_segment;
    std::vector<model::Ref<ServiceProfile>> forward;
    std::vector<model::Ref<ServiceProfile>> reverse;
    FailurePolicy failure_policy = FailurePolicy::block;
    PathSelection path_selection = PathSelection::any;
    FlowNumbers number = FlowNumbers::hash;
    bool reselect_midflow = true;
    std::uint16_t hold_packets = 0;
    std::uint32_t hold_ms = 0;
    DuplicatePolicy duplicate_policy = DuplicatePolicy::once;
    bool repull_bypassed = false;
    std::uint16_t max_static_paths = 64;
    std::uint8_t initial_ttl = max_initial_ttl;
    PathMode paths = PathMode::planned;
    std::uint32_t latency_limit_us = 0;
    std::uint16_t loss_limit_permille = 0;
    LatencyAction limit_action = LatencyAction::alarm;

    static constexpr auto schema() {
        using namespace model;
        return resource(
            "service-chain", "An ordered list of services that chosen packets pass.",
            key(&ServiceChain::name, "name", "Unique among chains."),
            field(&ServiceChain::sci, "sci", "Number of the chain on the wire; unique.", 1,
                  0xffffff)
                .required(),
            field(&ServiceChain::service_segment, "service_segment",
                  "Plane it runs on; all of its nodes are there.")
                .required(),
            field(&ServiceChain::forward, "forward",
                  "Profiles in the order that packets of the flow's initiator pass them.")
                .required()
                .count(1, limits::max_hops),
            field(&ServiceChain::reverse, "reverse",
                  "Profiles that replies pass; empty: the same nodes in opposite order.")
                .count(0, limits::max_hops),
            field(&ServiceChain::failure_policy, "failure_policy",
                  "What becomes of packets that cannot have their services. allow: they go on "
                  "without; block: they are dropped; reset: both ends of a TCP connection are "
                  "reset, senders of other packets are told that they are not let through."),
            field(&ServiceChain::path_selection, "path_selection",
                  "Which paths a new flow may get: local and remote order them by distance, "
                  "round_robin ignores weights, weighted and any follow them."),
            field(&ServiceChain::number, "number",
                  "By what a flow's path is chosen among those that it may get. hash: by its "
                  "addresses and ports, so that it finds the same path again wherever its record "
                  "is lost, and the same one at both of its ends; random: by chance, so that "
                  "nobody can choose a path by choosing ports. Flows that have a path keep it "
                  "either way, in both directions."),
            field(&ServiceChain::reselect_midflow, "reselect_midflow",
                  "Rebalance: a flow whose path fails gets another one at its next packet, even if "
                  "stateful nodes lose it. no: it meets the failure policy at once."),
            field(&ServiceChain::hold_packets, "hold_packets",
                  "How many packets of a flow wait where no path is usable, before the failure "
                  "policy counts; 0: none.",
                  0, max_hold_packets),
            field(&ServiceChain::hold_ms, "hold_ms",
                  "How long they wait, from when the chain was found without a path.", 0,
                  max_hold_ms)
                .unit("ms"),
            field(&ServiceChain::duplicate_policy, "duplicate_policy",
                  "Whether a flow that had this chain at its source has it again at its "
                  "destination."),
            field(&ServiceChain::repull_bypassed, "repull_bypassed",
                  "Flows that went on without services get them once a path is usable again."),
            field(&ServiceChain::max_static_paths, "max_static_paths",
                  "How many combinations of nodes are made ready.", 1, max_paths_per_chain),
            field(&ServiceChain::initial_ttl, "initial_ttl",
                  "How many legs on the service plane a packet of the chain has before it, less "
                  "one: it ends a loop that faulty tables make. The least is enough for eight hops "
                  "that all move away while the packet is under way.",
                  min_initial_ttl, max_initial_ttl),
            field(&ServiceChain::paths, "paths",
                  "static: made ready for all hosts; on_demand: made when a host's flow needs one, "
                  "its first packets wait meanwhile (hold_packets and hold_ms; unsaid: 16 for 50 "
                  "ms). Needs a controller."),
            field(&ServiceChain::latency_limit_us, "latency_limit_us",
                  "How long 99 of 100 packets may take from their anchor through a path and back, "
                  "as each anchor sees it; above it for ten seconds, the path is slow. 0: no "
                  "limit. At most a second, as at a service-node.",
                  0, max_latency_limit_us)
                .unit("µs"),
            field(&ServiceChain::loss_limit_permille, "loss_limit_permille",
                  "The same for packets of a thousand that do not come back. 0: no limit.", 0,
                  1000),
            field(&ServiceChain::limit_action, "limit_action",
                  "What becomes of a path above these limits. alarm: an event; drain: new flows of "
                  "the anchor that sees it avoid the path while others are usable."));
    }
};

// Chooses flows for a chain, or keeps them from one (OBJ-17).
struct ServiceRule {
    std::string name;
    std::uint32_t id = 0;
    std::uint32_t section = 0;
    std::uint32_t priority = 1000;
    std::vector<model::Ref<model::Group>> sources;
    std::vector<net::Prefix> source_addresses;
    bool not_sources = false;
    std::vector<model::Ref<model::Group>> destinations;
    std::vector<net::Prefix> destination_addresses;
    bool not_destinations = false;
    IpVersion ip_version = IpVersion::any;
    Protocol protocol = Protocol::any;
    std::vector<PortRange> ports;
    std::vector<PortRange> source_ports;
    std::vector<std::uint8_t> icmp_types;
    Direction direction = Direction::out;
    std::vector<model::Ref<model::Group>> applied_to;
    std::vector<model::Ref<model::Port>> applied_to_ports;
    model::Ref<ServiceChain> chain;
    bool do_not_redirect = false;
    bool logged = false;
    bool enabled = true;

    static constexpr auto schema() {
        using namespace model;
        return resource(
            "service-rule", "Chooses flows for a service chain, or keeps them from one.",
            key(&ServiceRule::name, "name", "Unique among service rules."),
            field(&ServiceRule::id, "id", "Number in records and counters; 0: given by Weir.", 0,
                  0xffffffff),  // in plans also those that Weir gave; see validate()
            field(&ServiceRule::section, "section", "Lower sections are looked at first.", 0,
                  65535),
            field(&ServiceRule::priority, "priority",
                  "Lower numbers are looked at first; rules of equal priority by name.", 0,
                  1000000),
            field(&ServiceRule::sources, "sources", "Groups the flow may come from.").count(0, 256),
            field(&ServiceRule::source_addresses, "source_addresses",
                  "Networks the flow may come from, beside `sources`; both empty: any."),
            field(&ServiceRule::not_sources, "not_sources", "Any source but those."),
            field(&ServiceRule::destinations, "destinations", "Groups the flow may go to.")
                .count(0, 256),
            field(&ServiceRule::destination_addresses, "destination_addresses",
                  "Networks the flow may go to, beside `destinations`; both empty: any."),
            field(&ServiceRule::not_destinations, "not_destinations", "Any destination but those."),
            field(&ServiceRule::ip_version, "ip_version", "ip4, ip6 or any."),
            field(&ServiceRule::protocol, "protocol", "Protocol above IP."),
            field(&ServiceRule::ports, "ports",
                  "Destination ports, like 80 or 8000-8099; empty: any. tcp, udp and sctp only.")
                .count(0, 256),
            field(&ServiceRule::source_ports, "source_ports", "Source ports; empty: any.")
                .count(0, 256),
            field(&ServiceRule::icmp_types, "icmp_types",
                  "ICMP types of the flow's first packet; empty: any. icmp only.")
                .count(0, 256),
            field(&ServiceRule::direction, "direction",
                  "out: flows that the guest of the port opens; in: flows towards it."),
            field(&ServiceRule::applied_to, "applied_to", "Groups whose ports have the rule.")
                .count(0, 256),
            field(&ServiceRule::applied_to_ports, "applied_to_ports",
                  "Ports that have the rule, beside `applied_to`; both empty: all guest ports.")
                .count(0, 1024),
            field(&ServiceRule::chain, "chain", "Chain of the flows; or set do_not_redirect."),
            field(&ServiceRule::do_not_redirect, "do_not_redirect",
                  "The flows have no services, whatever later rules say."),
            field(&ServiceRule::logged, "logged", "Report each decision as an event."),
            field(&ServiceRule::enabled, "enabled", "no: the rule is not there."));
    }
};

// Guest ports that never have services, whatever the rules say (OBJ-19).
struct ServiceExclusion {
    std::string name;
    std::vector<model::Ref<model::Port>> ports;

    static constexpr auto schema() {
        using namespace model;
        return resource("service-exclusion",
                        "Guest ports that never have services, whatever the rules say.",
                        key(&ServiceExclusion::name, "name", "Unique among exclusions."),
                        field(&ServiceExclusion::ports, "ports", "The ports.").count(0, 1024));
    }
};

}  // namespace weir::chain
