#include <algorithm>
#include <cstdio>
#include <map>
#include <tuple>

#include "dataplane/digest.hpp"
#include "features/chain/feature.hpp"
#include "features/chain/planned.hpp"
#include "model/value.hpp"

// Paths on demand (spec service-plane PS-10): a host's flow needs one, the controller picks a node
// for each service and remembers it; the plan makes the path of it.
namespace weir::chain {
namespace {

using model::Snapshot;

const ServiceNode* node_of(const Snapshot& intent, std::uint32_t id) {
    for (const auto& row : intent.all<ServiceNode>())
        if (row.second.id == id) return &row.second;
    return nullptr;
}

// Whether the nodes still realise the chain, hop by hop.
bool fits(const Snapshot& intent, const ServiceChain& chain,
          const std::vector<std::uint32_t>& nodes) {
    if (nodes.size() != chain.forward.size()) return false;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const ServiceProfile* profile = intent.find(chain.forward[i]);
        const ServiceNode* node = node_of(intent, nodes[i]);
        if (!profile || !node || node->service != profile->service ||
            node->service_segment != chain.service_segment)
            return false;
    }
    return true;
}

// Up, not about to leave, and with a share of new flows.
bool is_eligible(const ServiceNode& node, const Snapshot& reported) {
    if (node.maintenance || node.weight == 0) return false;
    const auto* status = reported.find<ServiceNodeStatus>(node.name);
    return !status || (status->state == NodeState::up && !status->slow && !status->lossy);
}

// How many paths pass each node, of what the chain has already.
std::map<std::uint32_t, std::size_t> uses_of(const Snapshot& reported, const std::string& chain) {
    std::map<std::uint32_t, std::size_t> uses;
    for (const auto& row : reported.all<ServicePathWanted>())
        if (row.second.chain == chain)
            for (const std::uint32_t id : row.second.nodes) ++uses[id];
    return uses;
}

// The nodes in turn, each as often as its weight says; of equal ones that on the host where the
// packets are, then the lower number. Empty: a service has none left.
std::vector<std::uint32_t> pick(const Snapshot& intent, const Snapshot& reported,
                                const ServiceChain& chain, std::string_view host) {
    const auto uses = uses_of(reported, chain.name);
    std::vector<std::uint32_t> out;
    std::string at(host);
    for (const auto& ref : chain.forward) {
        const ServiceProfile* profile = intent.find(ref);
        const ServiceNode* best = nullptr;
        std::tuple<double, bool, std::uint32_t> best_rank;
        for (const auto& row : intent.all<ServiceNode>()) {
            const ServiceNode& node = row.second;
            if (!profile || node.service != profile->service ||
                node.service_segment != chain.service_segment || !is_eligible(node, reported) ||
                std::ranges::find(out, node.id) != out.end())
                continue;
            const auto used = uses.find(node.id);
            const double turns = used == uses.end() ? 0 : static_cast<double>(used->second);
            const std::tuple rank{(turns + 1) / node.weight, node.host.name != at, node.id};
            if (best && rank >= best_rank) continue;
            best = &node;
            best_rank = rank;
        }
        if (!best) return {};
        out.push_back(best->id);
        at = best->host.name;
    }
    return out;
}

std::string name_of(const ServicePathWanted& wanted, std::uint32_t sci) {
    char text[48];
    std::snprintf(text, sizeof text, "%06x.%08x.%llx", sci,
                  dataplane::Digest().add(wanted.host).value32(),
                  static_cast<unsigned long long>(wanted.number));
    return text;
}

// What nobody can have any more, and the oldest where there are too many.
bool prune(const Snapshot& intent, const ServiceChain& chain, Snapshot& reported) {
    std::map<std::uint64_t, std::string> kept;
    std::vector<std::string> gone;
    for (const auto& [name, wanted] : reported.all<ServicePathWanted>()) {
        if (wanted.chain != chain.name) continue;
        const bool lives = intent.find<model::Host>(wanted.host) != nullptr;
        if (lives && fits(intent, chain, wanted.nodes)) kept.emplace(wanted.number, name);
        else gone.push_back(name);
    }
    for (; kept.size() >= chain.max_static_paths; kept.erase(kept.begin()))
        gone.push_back(kept.begin()->second);
    for (const std::string& name : gone) reported.erase<ServicePathWanted>(name);
    return !gone.empty();
}

std::uint64_t next_number(const Snapshot& reported) {
    std::uint64_t next = 1;
    for (const auto& row : reported.all<ServicePathWanted>())
        next = std::max(next, row.second.number + 1);
    return next;
}

}  // namespace

bool answer(const model::Value& event, std::string_view host, const Snapshot& intent,
            Snapshot& reported) {
    if (event["event"].as_text() != "path-wanted") return false;
    const ServiceChain* chain = intent.find<ServiceChain>(event["chain"].as_text());
    ServicePathWanted wanted;
    wanted.host = host;
    if (!chain || chain->paths != PathMode::on_demand || !intent.find<model::Host>(wanted.host))
        return false;
    wanted.chain = chain->name;
    wanted.nodes = pick(intent, reported, *chain, host);
    if (wanted.nodes.empty()) return false;
    // It has asked again before the answer came, or finds unusable what there is.
    for (const auto& row : reported.all<ServicePathWanted>())
        if (row.second.chain == wanted.chain && row.second.host == wanted.host &&
            row.second.nodes == wanted.nodes)
            return false;
    prune(intent, *chain, reported);
    wanted.number = next_number(reported);
    wanted.name = name_of(wanted, chain->sci);
    reported.put(std::move(wanted));
    return true;
}

}  // namespace weir::chain
