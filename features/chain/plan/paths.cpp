#include "features/chain/plan/paths.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <tuple>

#include "dataplane/digest.hpp"
#include "features/chain/node/node_limits.hpp"
#include "features/chain/plan/path_generation.hpp"
#include "net/gwlb.hpp"
#include "net/nsh.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using dataplane::Digest;
using model::Ref;
using model::Snapshot;
using Profiles = std::vector<Ref<ServiceProfile>>;

// One chain with everything its paths are made of.
struct Work {
    const Snapshot& intent;
    const ServiceChain& chain;
    std::uint32_t svni = 0;
    std::map<std::uint32_t, const ServiceNode*> nodes;  // by id, those of the chain's plane
};

const Service* service_of(const Snapshot& intent, const Ref<ServiceProfile>& profile) {
    const ServiceProfile* found = intent.find(profile);
    return found ? intent.find(found->service) : nullptr;
}

std::vector<std::vector<std::uint32_t>> forward_combinations(const Work& work) {
    PathRequest request;
    request.max_paths = work.chain.max_static_paths;
    std::map<std::string, std::uint32_t> index;
    for (const auto& profile : work.chain.forward) {
        const Service* service = service_of(work.intent, profile);
        if (!service) return {};
        const auto number = static_cast<std::uint32_t>(index.size());
        request.services.push_back(index.emplace(service->name, number).first->second);
    }
    for (const auto& [id, node] : work.nodes) {
        const auto service = index.find(node->service.name);
        const model::Host* host = work.intent.find(node->home ? node->home : node->host);
        if (service != index.end() && host)
            request.nodes.push_back({id, host->id, service->second});
    }
    return generate_paths(request);
}

// Those that hosts asked for, as far as their nodes still perform the chain's services.
std::vector<std::vector<std::uint32_t>> wanted_combinations(const Work& work) {
    std::set<std::vector<std::uint32_t>> out;
    for (const auto& row : work.intent.all<ServicePathWanted>()) {
        const std::vector<std::uint32_t>& nodes = row.second.nodes;
        if (row.second.chain != work.chain.name || nodes.size() != work.chain.forward.size())
            continue;
        bool fits = true;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            const Service* service = service_of(work.intent, work.chain.forward[i]);
            const auto node = work.nodes.find(nodes[i]);
            fits = fits && service && node != work.nodes.end() &&
                   node->second->service.name == service->name;
        }
        if (fits) out.insert(nodes);
    }
    return {out.begin(), out.end()};
}

// The largest guest's packet that fits every port of the node, service header included (DP-24).
std::uint32_t mtu_of(const Snapshot& intent, const ServiceNode& node) {
    std::uint32_t mtu = 0xffff;
    for (const auto& ref : node.vnics)
        if (const model::Port* port = intent.find(ref))
            mtu = std::min<std::uint32_t>(mtu, model::mtu_of(intent, *port));
    const std::uint32_t overhead = node_overhead_bytes(node);
    return mtu > overhead ? mtu - overhead : 0;
}

PathHop make_hop(const Work& work, const ServiceNode& node, const ServiceProfile& profile) {
    PathHop hop;
    hop.node = node.name;
    hop.node_id = node.id;
    hop.mac = node_mac(node.id);
    hop.profile = profile.name;
    hop.action = profile.action;
    hop.mode = node.mode;
    hop.partner_state = node.partner_state;
    hop.mtu = mtu_of(work.intent, node);
    if (const model::Host* host = work.intent.find(node.host)) {
        hop.host = host->name;
        hop.host_id = host->id;
        hop.rack = host->rack;
    }
    if (const Service* service = work.intent.find(node.service)) {
        hop.can_decrement_si = service->can_decrement_si;
        hop.liveness_support = service->liveness_support;
    }
    return hop;
}

// Nodes of replies where the chain lists profiles of its own: those of the forward direction as far
// as their services fit, so that stateful nodes see both; others by number.
std::vector<PathHop> own_reverse(const Work& work, const std::vector<std::uint32_t>& forward) {
    std::vector<PathHop> hops;
    std::set<std::uint32_t> used;
    for (const auto& ref : work.chain.reverse) {
        const ServiceProfile* profile = work.intent.find(ref);
        if (!profile) return {};
        const auto fits = [&](std::uint32_t id) {
            return !used.contains(id) && work.nodes.at(id)->service == profile->service;
        };
        auto chosen = std::ranges::find_if(forward, fits);
        std::uint32_t id = chosen == forward.end() ? 0 : *chosen;
        for (const auto& [other, node] : work.nodes)
            if (id == 0 && fits(other)) id = other;
        if (id == 0) return {};
        used.insert(id);
        hops.push_back(make_hop(work, *work.nodes.at(id), *profile));
    }
    return hops;
}

// The product of the shares, so that each node gets its part whatever its neighbours weigh. What
// only sees copies has none (CT-11).
std::uint32_t weight_of(const Work& work, const std::vector<PathHop>& forward) {
    double weight = 10000;
    for (const PathHop& hop : forward)
        if (hop.action != HopAction::copy) weight *= work.nodes.at(hop.node_id)->weight / 100.0;
    if (weight == 0) return 0;
    return static_cast<std::uint32_t>(std::clamp(std::round(weight), 1.0, 4294967295.0));
}

std::uint8_t epoch_of(const ServicePath& path) {
    Digest digest;
    for (const auto* hops : {&path.forward, &path.reverse}) {
        digest.add(hops->size());
        for (const PathHop& hop : *hops)
            digest.add(hop.node_id).add(static_cast<std::uint64_t>(hop.action));
    }
    return static_cast<std::uint8_t>(digest.value64());
}

// New flows go elsewhere, as far as there is an elsewhere: every anchor judges that for itself, as
// nodes that keep their limits may be down, or out of its reach.
std::uint32_t above_limits(const Work& work, const ServiceNode& node) {
    const auto* status = work.intent.find<ServiceNodeStatus>(node.name);
    const NodeLimits limits = limits_of(work.intent, node);
    if (!status || status->node_id != node.id || limits.action != LatencyAction::drain) return 0;
    return (status->slow && limits.latency_us != 0 ? 1u : 0u) +
           (status->lossy && limits.loss != 0 ? 1u : 0u);
}

// New flows go elsewhere or nowhere: the operator says so. The shortest of the deadlines.
void add_maintenance(ServicePath& path, const ServiceNode& node) {
    if (!node.maintenance) return;
    path.maintenance = true;
    if (path.drain_s == 0 || (node.drain_s != 0 && node.drain_s < path.drain_s))
        path.drain_s = node.drain_s;
}

ServicePath make_path(const Work& work, const std::vector<std::uint32_t>& forward) {
    ServicePath path;
    path.chain = work.chain.name;
    path.sci = work.chain.sci;
    path.svni = work.svni;
    path.failure_policy = work.chain.failure_policy;
    for (std::size_t i = 0; i < forward.size(); ++i)
        if (const ServiceProfile* profile = work.intent.find(work.chain.forward[i]))
            path.forward.push_back(make_hop(work, *work.nodes.at(forward[i]), *profile));
    if (work.chain.reverse.empty()) {
        path.reverse.assign(path.forward.rbegin(), path.forward.rend());
    } else {
        path.reverse = own_reverse(work, forward);
    }
    path.weight = weight_of(work, path.forward);
    std::set<std::uint32_t> passed;
    for (const auto* hops : {&path.forward, &path.reverse})
        for (const PathHop& hop : *hops)
            if (hop.action != HopAction::copy && passed.insert(hop.node_id).second) {
                const ServiceNode& node = *work.nodes.at(hop.node_id);
                add_maintenance(path, node);
                path.above_limits += above_limits(work, node);
            }
    path.epoch = epoch_of(path);
    return path;
}

// A name that fits the length of names, whatever the chain is called. Other hops, another name: a
// host can know both while packets are on their way (CP-6).
std::string path_name(const ServicePath& path) {
    constexpr std::size_t longest = limits::max_name_bytes - 17;
    const bool whole = path.chain.size() <= longest;
    char number[24];
    std::snprintf(number, sizeof number, ".%06x.%02x", path.spi, unsigned{path.epoch});
    std::string name = path.chain.substr(0, longest);
    if (whole) return name + number;
    char chain[16];
    std::snprintf(chain, sizeof chain, ".%06x", path.sci);
    return name + chain + number;
}

std::vector<std::uint32_t> node_ids(const ServicePath& path) {
    std::vector<std::uint32_t> ids;
    for (const PathHop& hop : path.forward) ids.push_back(hop.node_id);
    return ids;
}

// It was deleted, and its flows have had their time.
bool is_gone(const Snapshot& intent, const std::string& node) {
    const auto* leaving = intent.find<ServiceNodeLeaving>(node);
    return leaving && leaving->phase == LeavingPhase::gone;
}

void number_paths(const Snapshot& intent, std::vector<ServicePath*>& paths) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, const ServicePathNumber*> kept;
    for (const auto& row : intent.all<ServicePathNumber>())
        kept[{row.second.svni, row.second.spi}] = &row.second;
    const auto is_free = [&](const ServicePath& path, std::uint32_t spi) {
        const auto at = kept.find({path.svni, spi});
        return at == kept.end() ||
               (at->second->sci == path.sci && at->second->nodes == node_ids(path));
    };
    std::ranges::sort(paths, [](const ServicePath* a, const ServicePath* b) {
        return std::pair(a->sci, node_ids(*a)) < std::pair(b->sci, node_ids(*b));
    });
    std::set<std::pair<std::uint32_t, std::uint32_t>> taken;  // svni, spi
    for (ServicePath* path : paths) {
        for (std::uint64_t attempt = 0; path->spi == 0; ++attempt) {
            Digest digest;
            digest.add(path->sci).add(attempt);
            for (const PathHop& hop : path->forward) digest.add(hop.node_id);
            const auto spi = static_cast<std::uint32_t>(digest.value64() & 0xffffff);
            if (spi != 0 && is_free(*path, spi) && taken.emplace(path->svni, spi).second)
                path->spi = spi;
        }
        path->name = path_name(*path);
    }
}

}  // namespace

std::uint32_t node_overhead_bytes(const ServiceNode& node) {
    if (node.mode == NodeMode::gwlb) {
        const bool ip6 = !node.proxy_addresses.empty() && !node.proxy_addresses.front().is4();
        return (ip6 ? net::ip6_bytes : net::ip4_min_bytes) + net::udp_bytes + net::gwlb_bytes;
    }
    if (node.mode != NodeMode::aware) return 0;
    const bool fixed = node.nsh_metadata == NshMetadata::type1;
    return (fixed ? net::nsh_md1_bytes : net::nsh_md2_bytes) + net::ethernet_bytes;
}

std::map<std::string, std::vector<ServicePath>> static_paths(const Snapshot& intent) {
    std::map<std::string, std::vector<ServicePath>> out;
    for (const auto& [name, chain] : intent.all<ServiceChain>()) {
        const model::ServiceSegment* plane = intent.find(chain.service_segment);
        if (!plane) continue;
        Work work{intent, chain, plane->svni, {}};
        for (const auto& row : intent.all<ServiceNode>())
            if (row.second.service_segment == chain.service_segment && !is_gone(intent, row.first))
                work.nodes.emplace(row.second.id, &row.second);
        for (const auto& combination : chain.paths == PathMode::on_demand
                                           ? wanted_combinations(work)
                                           : forward_combinations(work)) {
            ServicePath path = make_path(work, combination);
            if (!path.reverse.empty()) out[name].push_back(std::move(path));
        }
    }
    std::vector<ServicePath*> all;
    for (auto& row : out)
        for (ServicePath& path : row.second) all.push_back(&path);
    number_paths(intent, all);
    for (auto& row : out) std::ranges::sort(row.second, {}, &ServicePath::spi);
    return out;
}

std::map<std::string, std::uint32_t> rule_ids(const Snapshot& intent) {
    std::map<std::string, std::uint32_t> ids;
    std::set<std::uint32_t> taken;
    for (const auto& [name, rule] : intent.all<ServiceRule>())
        if (rule.id != 0) ids.emplace(name, rule.id);
    for (const auto& row : intent.all<ServiceRule>()) {
        if (row.second.id != 0) continue;
        std::uint32_t id = 0;
        for (std::uint64_t attempt = 0; id == 0 || !taken.insert(id).second; ++attempt)
            id = Digest().add(row.first).add(attempt).value32() | (max_explicit_rule_id + 1);
        ids.emplace(row.first, id);
    }
    return ids;
}

}  // namespace weir::chain
