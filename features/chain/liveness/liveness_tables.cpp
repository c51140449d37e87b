#include <algorithm>
#include <map>
#include <utility>

#include "dataplane/digest.hpp"
#include "features/chain/liveness/liveness.hpp"
#include "features/chain/planned.hpp"

// What Liveness is compiled from.
namespace weir::chain {
namespace {

using Tables = Liveness::Tables;

std::vector<std::uint32_t> other_hosts(const model::ServiceSegment& segment,
                                       const dataplane::CompileInput& input) {
    std::vector<std::uint32_t> out;
    const auto add = [&](const model::Host& host) {
        if (host.name != input.ports.host_name) out.push_back(host.id);
    };
    if (segment.hosts.empty())
        for (const auto& [name, host] : input.snapshot.all<model::Host>()) add(host);
    for (const auto& ref : segment.hosts)
        if (const auto* host = input.snapshot.find(ref)) add(*host);
    std::ranges::sort(out);
    return out;
}

void add_hosts(const dataplane::CompileInput& input, Tables& tables) {
    for (const LocalNode& node : tables.nodes.nodes) {
        const auto* intent = input.snapshot.find<ServiceNode>(node.name);
        const auto* segment = intent ? input.snapshot.find(intent->service_segment) : nullptr;
        tables.hosts.push_back(segment ? other_hosts(*segment, input)
                                       : std::vector<std::uint32_t>());
    }
}

void add_issuers(const dataplane::CompileInput& input, Tables& tables) {
    std::map<std::uint32_t, Tables::Issuer> issuers;
    for (const auto& [name, path] : input.snapshot.all<ServicePath>())
        for (const auto* hops : {&path.forward, &path.reverse})
            for (const PathHop& hop : *hops)
                issuers[hop.node_id] = {hop.node_id, hop.host_id, path.svni, 0};
    for (const auto& [name, move] : input.snapshot.all<ServiceNodeMove>())
        if (const auto issuer = issuers.find(move.node_id); issuer != issuers.end())
            issuer->second.moving_to = move.to_id;
    for (const auto& [id, issuer] : issuers) tables.issuers.push_back(issuer);
}

void add_paths(const dataplane::CompileInput& input, Tables& tables) {
    for (const auto& [name, path] : input.snapshot.all<ServicePath>()) {
        Tables::KnownPath known{path.svni, path.spi, path.epoch, {}};
        for (const auto* hops : {&path.forward, &path.reverse})
            for (const PathHop& hop : *hops) known.nodes.push_back(hop.node_id);
        std::ranges::sort(known.nodes);
        tables.paths.push_back(std::move(known));
    }
    std::ranges::sort(tables.paths, {},
                      [](const auto& path) { return std::pair(path.svni, path.spi); });
}

bool judged_on_this_host(const NodeTable& nodes, std::uint32_t node_id) {
    const auto at = std::ranges::lower_bound(nodes.nodes, node_id, {}, &LocalNode::id);
    return at != nodes.nodes.end() && at->id == node_id && at->liveness_support;
}

void add_statuses(const dataplane::CompileInput& input, Tables& tables) {
    dataplane::Digest digest;
    for (const auto& [name, status] : input.snapshot.all<ServiceNodeStatus>()) {
        if (judged_on_this_host(tables.nodes, status.node_id)) continue;
        tables.statuses.push_back(
            {status.node_id, status.state == NodeState::up, status.generation});
        digest.add(status.node_id).add(status.state == NodeState::up).add(status.generation);
    }
    tables.status_digest = digest.value64();
}

void add_known(Tables& tables) {
    for (const LocalNode& node : tables.nodes.nodes) tables.known.push_back(node.id);
    for (const Tables::Issuer& issuer : tables.issuers) tables.known.push_back(issuer.node_id);
    for (const Tables::Status& status : tables.statuses) tables.known.push_back(status.node_id);
    std::ranges::sort(tables.known);
    const auto twice = std::ranges::unique(tables.known);
    tables.known.erase(twice.begin(), twice.end());
}

}  // namespace

const Tables::Issuer* Liveness::Tables::issuer(std::uint32_t node_id) const {
    const auto at = std::ranges::lower_bound(issuers, node_id, {}, &Issuer::node_id);
    return at != issuers.end() && at->node_id == node_id ? &*at : nullptr;
}

const Tables::KnownPath* Liveness::Tables::path(std::uint32_t svni, std::uint32_t spi) const {
    const auto key = [](const KnownPath& one) { return std::pair(one.svni, one.spi); };
    const auto at = std::ranges::lower_bound(paths, std::pair(svni, spi), {}, key);
    return at != paths.end() && key(*at) == std::pair(svni, spi) ? &*at : nullptr;
}

Result<std::shared_ptr<const Tables>> Liveness::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    auto nodes = compile_nodes(input);
    if (!nodes) return nodes.error();
    Tables tables;
    tables.nodes = *std::move(nodes);
    add_hosts(input, tables);
    add_issuers(input, tables);
    add_paths(input, tables);
    add_statuses(input, tables);
    add_known(tables);
    if (previous && *previous == tables) return std::shared_ptr(previous);
    return std::shared_ptr<const Tables>(std::make_shared<Tables>(std::move(tables)));
}

}  // namespace weir::chain
