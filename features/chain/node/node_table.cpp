#include "features/chain/node/node_table.hpp"

#include <algorithm>

#include "dataplane/digest.hpp"
#include "features/chain/node/node_limits.hpp"
#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "net/bytes.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

LocalNode::Vnic vnic(const dataplane::PortMap& ports, const std::string& name) {
    LocalNode::Vnic out;
    const dataplane::PortEntry* port = ports.find(name);
    if (!port || port->role != dataplane::PortRole::service) return out;
    out.port = port->index;
    out.mtu = port->mtu;
    out.polling_worker = port->polling_worker;
    out.foreign = port->foreign;
    out.mac = port->mac;
    return out;
}

NodeContexts contexts_of(const ServiceNode& node) {
    if (node.contexts != NodeContexts::automatic) return node.contexts;
    return node.mode == NodeMode::l3 ? NodeContexts::tuple : NodeContexts::vlan;
}

// The appliance's own address of the family that the proxy speaks to it.
net::Ip appliance_address(const ServiceNode& node, const dataplane::CompileInput& input) {
    const auto* port = node.vnics.empty() ? nullptr : input.snapshot.find(node.vnics.front());
    if (port && !node.proxy_addresses.empty())
        for (const net::Ip& ip : port->addresses)
            if (ip.is4() == node.proxy_addresses.front().is4()) return ip;
    return {};
}

LocalNode local_node(const ServiceNode& node, const dataplane::CompileInput& input) {
    LocalNode out;
    out.name = node.name;
    out.id = node.id;
    out.mode = node.mode;
    const NodeLimits limits = limits_of(input.snapshot, node);
    out.latency_limit_us = limits.latency_us;
    out.loss_limit = limits.loss;
    if (const auto* segment = input.snapshot.find(node.service_segment)) {
        out.svni = segment->svni;
        out.signed_legs = segment->is_signed();
    }
    if (const Service* service = input.snapshot.find(node.service)) {
        out.can_decrement_si = service->can_decrement_si;
        out.privileges = privilege_bits(*service);
        out.liveness_support = service->liveness_support;
        out.may_rewrite = std::ranges::find(service->privileges, Privilege::rewrite_headers) !=
                          service->privileges.end();
    }
    out.contexts = contexts_of(node);
    if (node.mode != NodeMode::aware) {
        out.can_decrement_si = false;  // it sees no index
        out.liveness_support = true;
    }
    for (std::size_t i = 0; i < node.proxy_addresses.size(); ++i)
        out.proxy[i % 2][node.proxy_addresses[i].is4() ? 0 : 1] = node.proxy_addresses[i];
    out.metadata = node.nsh_metadata;
    out.health_port = node.health_port;
    if (out.mode == NodeMode::gwlb) out.address = appliance_address(node, input);
    out.capacity_pps = node.capacity_pps;
    out.agent_uid = node.orders_from_uid;
    const auto* move = input.snapshot.find<ServiceNodeMove>(node.name);
    if (move && move->phase != MovePhase::announced && move->from == input.ports.host_name)
        out.frozen_for = move->to_id;
    out.capacity_mbps = node.capacity_mbps;
    out.capacity_flows = node.capacity;
    const std::size_t wanted = out.has_two_sides() ? 2 : 1;
    for (std::size_t i = 0; i < std::min(wanted, node.vnics.size()); ++i)
        out.vnics[i] = vnic(input.ports, node.vnics[i].name);
    return out;
}

void index_ports(NodeTable& table) {
    for (std::size_t n = 0; n < table.nodes.size(); ++n) {
        for (std::size_t side = 0; side < 2; ++side) {
            const std::uint32_t port = table.nodes[n].vnics[side].port;
            if (port == net::no_port) continue;
            if (table.by_port.size() <= port) table.by_port.resize(port + 1);
            table.by_port[port] = {static_cast<std::uint16_t>(n), static_cast<Side>(side), true};
        }
    }
}

std::uint64_t digest_of(const NodeTable& table) {
    dataplane::Digest digest;
    digest.add(table.host_id).add(table.nodes.size());
    for (const LocalNode& node : table.nodes) {
        digest.add(node.name).add(node.id).add(node.svni).add(node.latency_limit_us);
        digest.add(node.loss_limit);
        digest.add(static_cast<std::uint64_t>(node.mode) << 2 | (node.can_decrement_si ? 2u : 0u) |
                   (node.liveness_support ? 1u : 0u));
        digest.add(static_cast<std::uint64_t>(node.contexts) << 32 |
                   static_cast<std::uint64_t>(node.metadata) << 24 |
                   std::uint64_t{node.health_port} << 1 | (node.may_rewrite ? 1u : 0u));
        digest.add(node.address.text());
        for (const auto& side : node.proxy)
            for (const net::Ip& ip : side) digest.add(ip.text());
        digest.add(node.privileges).add(node.signed_legs);
        digest.add(node.capacity_pps).add(node.capacity_mbps).add(node.capacity_flows);
        digest.add(node.agent_uid).add(node.frozen_for);
        for (const LocalNode::Vnic& v : node.vnics)
            digest.add(v.port).add(v.mtu).add(v.polling_worker).add(v.foreign).add(v.mac.to_u64());
    }
    return digest.value64();
}

}  // namespace

net::Mac proxy_side_mac(std::uint32_t node_id, Side side) {
    net::Mac mac{{0x02, static_cast<std::uint8_t>(side == Side::left ? 0x5d : 0x5e), 0, 0, 0, 0}};
    net::store32(mac.bytes.data() + 2, node_id);
    return mac;
}

Result<NodeTable> compile_nodes(const dataplane::CompileInput& input) {
    NodeTable table;
    table.host_id = input.ports.host_id;
    table.proxy_mac = net::service_plane_mac(table.host_id);
    for (const auto& [name, node] : input.snapshot.all<ServiceNode>())
        if (node.host.name == input.ports.host_name) table.nodes.push_back(local_node(node, input));
    if (table.nodes.size() > max_local_nodes)
        return Error{Errc::limit, model::object_name<ServiceNode>(table.nodes.back().name), "host",
                     "a host can have at most " + std::to_string(max_local_nodes) +
                         " service nodes; place some on other hosts"};
    std::ranges::sort(table.nodes, {}, &LocalNode::id);
    index_ports(table);
    table.digest = digest_of(table);
    return table;
}

}  // namespace weir::chain
