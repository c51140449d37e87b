#include <algorithm>
#include <map>
#include <set>

#include "features/chain/feature.hpp"
#include "features/chain/node/node_table.hpp"
#include "features/chain/plan/validate_tuple.hpp"
#include "features/chain/resources.hpp"

namespace weir::chain {
namespace {

using model::Port;
using model::Ref;
using model::Snapshot;

std::string item(std::string_view field, std::size_t index) {
    return std::string(field) + "[" + std::to_string(index) + "]";
}

std::string_view transport_of(NodeMode mode) {
    switch (mode) {
        case NodeMode::aware:
            return "nsh";
        case NodeMode::l2:
            return "l2_bridge";
        case NodeMode::l3:
            return "l3_routed";
        case NodeMode::gwlb:
            return "gwlb_geneve";
    }
    return "none";
}

// What bounds and references cannot say (OBJ-4 … OBJ-23). References to nothing are reported by
// generic validation; here they are passed over.
class Validation {
public:
    explicit Validation(const Snapshot& intent) : intent_(intent) {}

    std::vector<Error> run() {
        for (const auto& row : intent_.all<ServiceNode>()) check(row.second);
        for (const auto& row : intent_.all<ServiceProfile>()) check_limits(row.second);
        for (const auto& row : intent_.all<ServiceChain>()) check(row.second);
        for (const auto& row : intent_.all<ServiceRule>()) check(row.second);
        for (const auto& row : intent_.all<ServiceExclusion>()) {
            object_ = model::object_name(row.second);
            check_guest_ports(row.second.ports, "ports");
        }
        return std::move(errors_);
    }

private:
    void fail(std::string field, std::string message) {
        errors_.push_back({Errc::invalid, object_, std::move(field), std::move(message)});
    }
    // Remembers who has a number; complains if somebody else has it.
    template <class Number>
    void claim(std::map<Number, std::string>& owners, const Number& number, std::string field,
               const std::string& text) {
        const auto [at, fresh] = owners.emplace(number, object_);
        if (!fresh) fail(std::move(field), text + " belongs to " + at->second + " already");
    }

    void check(const ServiceNode& node) {
        object_ = model::object_name(node);
        claim(node_ids_, node.id, "id", "number " + std::to_string(node.id));
        check_contexts(node);
        check_proxy_addresses(node);
        if (const Service* service = intent_.find(node.service)) check_transport(node, *service);
        const bool one = node.mode == NodeMode::aware || node.mode == NodeMode::gwlb;
        if (node.vnics.size() != (one ? 1 : 2))
            fail("vnics", one ? "an aware or gwlb node has one port"
                              : "needs two ports: left and right, in this order");
        for (std::size_t i = 0; i < node.vnics.size(); ++i) check_vnic(node, i);
        // A host would refuse the whole revision (§10.5).
        if (++nodes_of_host_[node.host.name] == max_local_nodes + 1)
            fail("host", "host " + node.host.name + " would have more than " +
                             std::to_string(max_local_nodes) +
                             " service nodes; place this one on another host");
        const model::ServiceSegment* plane = intent_.find(node.service_segment);
        if (plane && !plane->hosts.empty() &&
            std::ranges::find(plane->hosts, node.host) == plane->hosts.end())
            fail("host", "host " + node.host.name + " takes no part in service segment " +
                             plane->name + "; add it to its hosts");
    }

    static bool by_tuple(const ServiceNode& node) {
        return node.contexts == NodeContexts::tuple || node.contexts == NodeContexts::proxy ||
               (node.mode == NodeMode::l3 && node.contexts == NodeContexts::automatic);
    }

    void check_contexts(const ServiceNode& node) {
        const NodeContexts by = node.contexts;
        if (node.mode == NodeMode::aware && by != NodeContexts::automatic)
            fail("contexts", "an aware node carries its packets' metadata; leave this out");
        if (node.mode == NodeMode::gwlb && by != NodeContexts::automatic)
            fail("contexts", "a gwlb node carries the flow's cookie; leave this out");
        if (node.mode != NodeMode::aware && node.nsh_metadata != NshMetadata::type2)
            fail("nsh_metadata", "only for aware nodes");
        if (node.mode != NodeMode::gwlb && node.health_port != 0)
            fail("health_port", "only for gwlb nodes");
        if (node.mode == NodeMode::l3 && (by == NodeContexts::vlan || by == NodeContexts::qinq))
            fail("contexts",
                 "a router keeps no tags; its packets are told apart by tuple, mark or proxy");
        if (node.mode == NodeMode::l2 && (by == NodeContexts::mark || by == NodeContexts::proxy))
            fail("contexts", "only for l3 nodes; use vlan or qinq");
        if (node.mode == NodeMode::aware && node.orders_from_uid != 0)
            fail("orders_from_uid", "an aware node gives orders in its packets; leave this out");
        if (by == NodeContexts::proxy) check_proxied_chains(node);
        if (!by_tuple(node)) return;
        const Service* service = intent_.find(node.service);
        if (service && by != NodeContexts::proxy &&
            std::ranges::find(service->privileges, Privilege::rewrite_headers) !=
                service->privileges.end())
            fail("contexts",
                 "service " + service->name +
                     " may rewrite headers (privilege rewrite_headers), so that addresses "
                     "do not tell packets apart; use " +
                     (node.mode == NodeMode::l3 ? "mark or proxy" : "vlan or qinq"));
        if (std::string why = tuple_overlap(intent_, node); !why.empty())
            fail("contexts", std::move(why));
    }

    // What the node says in the other end's name takes the same nodes back.
    void check_proxied_chains(const ServiceNode& node) {
        for (const auto& [name, chain] : intent_.all<ServiceChain>())
            if (!chain.reverse.empty() && passes(intent_, chain, node))
                fail("contexts", "chain " + name +
                                     " has reverse services of its own; what ends connections must "
                                     "be in chains whose replies pass the same nodes");
    }

    void check_proxy_addresses(const ServiceNode& node) {
        const auto& proxy = node.proxy_addresses;
        if (node.mode == NodeMode::gwlb) return check_appliance(node);
        if (node.mode != NodeMode::l3) {
            if (!proxy.empty()) fail("proxy_addresses", "only for l3 and gwlb nodes");
            return;
        }
        if (proxy.size() != 2 && proxy.size() != 4)
            return fail("proxy_addresses",
                        "an l3 node needs Weir's address at its left and at its right, and two "
                        "more if it routes both IPv4 and IPv6");
        for (std::size_t i = 0; i < proxy.size(); i += 2)
            if (proxy[i].is4() != proxy[i + 1].is4())
                fail(item("proxy_addresses", i + 1), "left and right are of one family");
        if (proxy.size() == 4 && proxy[0].is4() == proxy[2].is4())
            fail("proxy_addresses[2]", "the second pair is of the other family");
        for (std::size_t i = 0; i < proxy.size(); ++i) check_proxy_address(node, i);
    }

    void check_appliance(const ServiceNode& node) {
        if (node.proxy_addresses.size() != 1)
            return fail("proxy_addresses",
                        "a gwlb node needs the one address that Weir speaks to it from");
        check_proxy_address(node, 0);
        const Port* port = node.vnics.empty() ? nullptr : intent_.find(node.vnics.front());
        const bool ip4 = node.proxy_addresses.front().is4();
        const auto fits = [&](const net::Ip& ip) { return ip.is4() == ip4; };
        if (port && std::ranges::none_of(port->addresses, fits))
            fail("vnics[0]", "port " + port->name + " has no address of the family of " +
                                 node.proxy_addresses.front().text() +
                                 "; the appliance is reached there");
    }

    void check_proxy_address(const ServiceNode& node, std::size_t index) {
        const auto& proxy = node.proxy_addresses;
        const net::Ip& ip = proxy[index];
        const std::string field = item("proxy_addresses", index);
        if (ip.is_zero() || ip.is_multicast())
            return fail(field, ip.text() + " is no address of one host");
        if (std::find(proxy.begin(), proxy.begin() + static_cast<std::ptrdiff_t>(index), ip) !=
            proxy.begin() + static_cast<std::ptrdiff_t>(index))
            fail(field, ip.text() + " stands here twice");
        for (const auto& ref : node.vnics) {
            const Port* port = intent_.find(ref);
            if (port && std::ranges::find(port->addresses, ip) != port->addresses.end())
                fail(field, ip.text() + " is the node's own address at port " + port->name);
        }
    }

    void check_transport(const ServiceNode& node, const Service& service) {
        const auto name = transport_of(node.mode);
        const auto fits = [&](Transport t) { return model::enum_name(t) == name; };
        if (std::ranges::none_of(service.transports, fits))
            fail("mode", "service " + service.name + " does not list transport " +
                             std::string(name) + ", which such nodes need");
    }

    void check_vnic(const ServiceNode& node, std::size_t index) {
        const Ref<Port>& ref = node.vnics[index];
        const std::string field = item("vnics", index);
        claim(vnics_, ref.name, field, "port " + ref.name);
        const Port* port = intent_.find(ref);
        if (!port) return;
        if (port->segment) {
            fail(field, "port " + port->name + " is in guest segment " + port->segment.name +
                            "; ports of service nodes must be in a service segment only");
        } else if (port->service_segment != node.service_segment) {
            fail(field, "port " + port->name + " is in service segment " +
                            port->service_segment.name + ", the node is in " +
                            node.service_segment.name);
        }
        if (port->host != node.host)
            fail(field, "port " + port->name + " is on host " + port->host.name +
                            ", the node is on " + node.host.name);
    }

    void check(const ServiceChain& chain) {
        object_ = model::object_name(chain);
        claim(scis_, chain.sci, "sci", "number " + std::to_string(chain.sci));
        check_nodes(chain, chain.forward, "forward");
        check_nodes(chain, chain.reverse, "reverse");
        check_hold(chain);
        check_limits(chain);
    }

    // Of a profile or a chain.
    template <class R>
    void check_limits(const R& resource) {
        object_ = model::object_name(resource);
        if (resource.limit_action == LatencyAction::drain && resource.latency_limit_us == 0 &&
            resource.loss_limit_permille == 0)
            fail("limit_action", "there is no limit to drain at; set latency_limit_us or "
                                 "loss_limit_permille");
    }

    void check_hold(const ServiceChain& chain) {
        if (chain.hold_packets != 0 && chain.hold_ms == 0)
            fail("hold_ms", "packets that wait need a time to wait; set it, or hold_packets: 0");
        if (chain.hold_packets == 0 && chain.hold_ms != 0)
            fail("hold_packets", "0, so that nothing waits; set it, or leave hold_ms out");
    }

    // Every profile needs a node of its own in each direction (OBJ-10).
    void check_nodes(const ServiceChain& chain, const std::vector<Ref<ServiceProfile>>& profiles,
                     std::string_view field) {
        std::map<std::string, std::size_t> needed;
        for (std::size_t i = 0; i < profiles.size(); ++i) {
            const ServiceProfile* profile = intent_.find(profiles[i]);
            if (!profile) continue;
            const auto nodes =
                std::ranges::count_if(intent_.all<ServiceNode>(), [&](const auto& n) {
                    return n.second.service == profile->service &&
                           n.second.service_segment == chain.service_segment;
                });
            if (nodes == 0) {
                fail(item(field, i), "service " + profile->service.name +
                                         " has no node in service segment " +
                                         chain.service_segment.name);
            } else if (++needed[profile->service.name] > static_cast<std::size_t>(nodes)) {
                fail(item(field, i), "service " + profile->service.name + " has only " +
                                         std::to_string(nodes) + " nodes in service segment " +
                                         chain.service_segment.name +
                                         "; no node may be twice in a path");
            }
        }
    }

    void check(const ServiceRule& rule) {
        object_ = model::object_name(rule);
        if (rule.id > max_explicit_rule_id)
            fail("id", "above 2147483647; those numbers are given by Weir");
        if (rule.id != 0) claim(rule_ids_, rule.id, "id", "number " + std::to_string(rule.id));
        if (rule.chain && rule.do_not_redirect)
            fail("do_not_redirect", "set either chain or do_not_redirect, not both");
        if (!rule.chain && !rule.do_not_redirect)
            fail("chain", "set chain, or do_not_redirect: true");
        model::check_match(rule, [&](const char* field, const char* why) { fail(field, why); });
        check_guest_ports(rule.applied_to_ports, "applied_to_ports");
    }

    void check_guest_ports(const std::vector<Ref<Port>>& ports, std::string_view field) {
        for (std::size_t i = 0; i < ports.size(); ++i) {
            const Port* port = intent_.find(ports[i]);
            if (port && port->service_segment)
                fail(item(field, i),
                     "port " + port->name +
                         " is in a service segment; only guest ports have services");
        }
    }

    const Snapshot& intent_;
    std::string object_;
    std::vector<Error> errors_;
    std::map<std::uint32_t, std::string> node_ids_, scis_, rule_ids_;
    std::map<std::string, std::string> vnics_;
    std::map<std::string, std::size_t> nodes_of_host_;
};

}  // namespace

std::vector<Error> validate(const Snapshot& intent) {
    return Validation(intent).run();
}

}  // namespace weir::chain
