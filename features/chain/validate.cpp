#include <algorithm>
#include <map>
#include <set>

#include "features/chain/feature.hpp"
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
        if (node.mode == NodeMode::l3)
            fail("mode", "nodes that route (l3) are not supported yet; use aware or l2");
        if (const Service* service = intent_.find(node.service)) check_transport(node, *service);
        const std::size_t wanted = node.mode == NodeMode::aware ? 1 : 2;
        if (node.vnics.size() != wanted)
            fail("vnics", node.mode == NodeMode::aware
                              ? "an aware node has one port"
                              : "needs two ports: left and right, in this order");
        for (std::size_t i = 0; i < node.vnics.size(); ++i) check_vnic(node, i);
        const model::ServiceSegment* plane = intent_.find(node.service_segment);
        if (plane && !plane->hosts.empty() &&
            std::ranges::find(plane->hosts, node.host) == plane->hosts.end())
            fail("host", "host " + node.host.name + " takes no part in service segment " +
                             plane->name + "; add it to its hosts");
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
};

}  // namespace

std::vector<Error> validate(const Snapshot& intent) {
    return Validation(intent).run();
}

}  // namespace weir::chain
