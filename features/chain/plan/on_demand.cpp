#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <tuple>

#include "dataplane/digest.hpp"
#include "features/chain/feature.hpp"
#include "features/chain/plan/path_numbers.hpp"
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

// A node that was deleted keeps its flows for a while.
const ServiceNode* leaving_node_of(const Snapshot& reported, std::uint32_t id) {
    const ServiceNode* node = node_of(reported, id);
    const auto* leaving = node ? reported.find<ServiceNodeLeaving>(node->name) : nullptr;
    return leaving && leaving->phase == LeavingPhase::draining ? node : nullptr;
}

// Whether the nodes still realise the chain, hop by hop.
bool fits(const Snapshot& intent, const Snapshot& reported, const ServiceChain& chain,
          const std::vector<std::uint32_t>& nodes) {
    if (nodes.size() != chain.forward.size()) return false;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const ServiceProfile* profile = intent.find(chain.forward[i]);
        const ServiceNode* node = node_of(intent, nodes[i]);
        if (!node) node = leaving_node_of(reported, nodes[i]);
        if (!profile || !node || node->service != profile->service ||
            node->service_segment != chain.service_segment)
            return false;
    }
    return true;
}

// What only sees copies decides nothing, up or down (CT-11).
bool is_tap(const Snapshot& intent, const model::Ref<ServiceProfile>& ref) {
    const ServiceProfile* profile = intent.find(ref);
    return profile && profile->action == HopAction::copy;
}

// Limits that the node does not keep.
std::uint32_t limits_missed(const ServiceNode& node, const Snapshot& reported) {
    const auto* status = reported.find<ServiceNodeStatus>(node.name);
    return status ? std::uint32_t{status->slow} + std::uint32_t{status->lossy} : 0;
}

// Up, not about to leave, and with a share of new flows.
bool is_well(const ServiceNode& node, const Snapshot& reported) {
    if (node.maintenance || node.weight == 0 || node.partner_state != PartnerState::healthy)
        return false;
    const auto* status = reported.find<ServiceNodeStatus>(node.name);
    return !status || (status->state == NodeState::up && status->attached);
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
// packets are, then the lower number. What is slow or lossy has its turn where nothing better is
// left. Empty: a service has none left. Where no tap is well any will do.
std::vector<std::uint32_t> pick(const Snapshot& intent, const Snapshot& reported,
                                const ServiceChain& chain, std::string_view host) {
    const auto uses = uses_of(reported, chain.name);
    std::vector<std::uint32_t> out;
    std::string at(host);
    for (const auto& ref : chain.forward) {
        const ServiceProfile* profile = intent.find(ref);
        const ServiceNode* best = nullptr;
        std::tuple<bool, std::uint32_t, double, bool, std::uint32_t> best_rank;
        for (const auto& row : intent.all<ServiceNode>()) {
            const ServiceNode& node = row.second;
            if (!profile || node.service != profile->service ||
                node.service_segment != chain.service_segment ||
                std::ranges::find(out, node.id) != out.end())
                continue;
            const bool well = is_well(node, reported);
            if (!well && !is_tap(intent, ref)) continue;
            const auto used = uses.find(node.id);
            const double turns = used == uses.end() ? 0 : static_cast<double>(used->second);
            const std::tuple rank{!well, limits_missed(node, reported),
                                  (turns + 1) / std::max<double>(node.weight, 1),
                                  node.host.name != at, node.id};
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

using Nodes = std::vector<std::uint32_t>;

constexpr std::size_t most_of_host = 8;  // paths of a chain that a host may have asked for

// Nodes that paths of a chain are made of, whoever asked.
struct Combination {
    std::size_t hosts = 0;  // whose flows may have the path
    bool is_asked = false;  // by the host that asks now
    std::uint64_t oldest = ~std::uint64_t{0};
    std::vector<std::string> names;
};

std::map<Nodes, Combination> combinations_of(const Snapshot& reported, const std::string& chain,
                                             std::string_view host) {
    std::map<Nodes, Combination> out;
    for (const auto& [name, wanted] : reported.all<ServicePathWanted>()) {
        if (wanted.chain != chain) continue;
        Combination& one = out[wanted.nodes];
        ++one.hosts;
        one.is_asked |= wanted.host == host;
        one.oldest = std::min(one.oldest, wanted.number);
        one.names.push_back(name);
    }
    return out;
}

bool erase(Snapshot& reported, const std::vector<std::string>& names) {
    for (const std::string& name : names) reported.erase<ServicePathWanted>(name);
    return !names.empty();
}

// What nobody can have any more, and the oldest combinations where there are too many.
bool prune(const Snapshot& intent, const ServiceChain& chain, Snapshot& reported) {
    std::vector<std::string> gone;
    for (const auto& [name, wanted] : reported.all<ServicePathWanted>())
        if (wanted.chain == chain.name && (intent.find<model::Host>(wanted.host) == nullptr ||
                                           !fits(intent, reported, chain, wanted.nodes)))
            gone.push_back(name);
    const bool any = erase(reported, gone);
    auto combinations = combinations_of(reported, chain.name, {});
    const auto is_older = [](const auto& a, const auto& b) {
        return a.second.oldest < b.second.oldest;
    };
    bool too_many = false;
    for (; combinations.size() > chain.max_static_paths; too_many = true) {
        const auto oldest = std::ranges::min_element(combinations, is_older);
        erase(reported, oldest->second.names);
        combinations.erase(oldest);
    }
    return any || too_many;
}

// Limits that the nodes together do not keep; empty: one of them takes no new flows.
std::optional<std::uint32_t> limits_missed(const Snapshot& intent, const Snapshot& reported,
                                           const ServiceChain& chain, const Nodes& nodes) {
    if (nodes.size() != chain.forward.size()) return std::nullopt;
    std::uint32_t missed = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const ServiceNode* node = node_of(intent, nodes[i]);
        if (!node) return std::nullopt;
        if (is_tap(intent, chain.forward[i])) continue;
        if (!is_well(*node, reported)) return std::nullopt;
        missed += limits_missed(*node, reported);
    }
    return missed;
}

// Whether new flows are as well off there as with `picked`.
bool is_as_good(const Snapshot& intent, const Snapshot& reported, const ServiceChain& chain,
                const Nodes& nodes, const Nodes& picked) {
    const auto missed = limits_missed(intent, reported, chain, nodes);
    return missed && *missed <= limits_missed(intent, reported, chain, picked).value_or(0);
}

// Room for one more of the host: of what it has, the oldest that is worse goes. False: all that it
// has is good.
bool make_room(const Snapshot& intent, Snapshot& reported, const ServiceChain& chain,
               const ServicePathWanted& wanted) {
    std::map<std::uint64_t, const ServicePathWanted*> own;
    for (const auto& row : reported.all<ServicePathWanted>())
        if (row.second.chain == wanted.chain && row.second.host == wanted.host)
            own.emplace(row.second.number, &row.second);
    if (own.size() < most_of_host) return true;
    for (const auto& [number, one] : own) {
        if (is_as_good(intent, reported, chain, one->nodes, wanted.nodes)) continue;
        return erase(reported, {one->name});
    }
    return false;
}

// Where there are as many combinations as may be: one that others have, of nodes as good as picked
// ones and with the fewest hosts. If there is none, the oldest that is worse makes room.
// Empty: the host has all that there is.
Nodes shared(const Snapshot& intent, Snapshot& reported, const ServiceChain& chain,
             std::string_view host, Nodes picked) {
    const auto combinations = combinations_of(reported, chain.name, host);
    if (combinations.size() < chain.max_static_paths || combinations.contains(picked))
        return picked;
    const std::pair<const Nodes, Combination>* best = nullptr;
    const std::pair<const Nodes, Combination>* worst = nullptr;
    for (const auto& one : combinations) {
        if (!is_as_good(intent, reported, chain, one.first, picked)) {
            if (!worst || one.second.oldest < worst->second.oldest) worst = &one;
        } else if (!one.second.is_asked && (!best || one.second.hosts < best->second.hosts)) {
            best = &one;
        }
    }
    if (best) return best->first;
    if (!worst) return {};
    erase(reported, worst->second.names);
    return picked;
}

// Where all is slow or lossy, one path more of that is no help.
bool has_as_slow(const Snapshot& intent, const Snapshot& reported, const ServiceChain& chain,
                 std::string_view host, const Nodes& picked) {
    if (limits_missed(intent, reported, chain, picked).value_or(0) == 0) return false;
    return std::ranges::any_of(reported.all<ServicePathWanted>(), [&](const auto& row) {
        const ServicePathWanted& one = row.second;
        return one.chain == chain.name && one.host == host &&
               is_as_good(intent, reported, chain, one.nodes, picked);
    });
}

std::uint64_t next_number(const Snapshot& reported) {
    std::uint64_t next = 1;
    for (const auto& row : reported.all<ServicePathWanted>())
        next = std::max(next, row.second.number + 1);
    return next;
}

bool give_path(const model::Value& event, std::string_view host, const Snapshot& intent,
               Snapshot& reported) {
    const ServiceChain* chain = intent.find<ServiceChain>(event["chain"].as_text());
    ServicePathWanted wanted;
    wanted.host = host;
    if (!chain || chain->paths != PathMode::on_demand || !intent.find<model::Host>(wanted.host))
        return false;
    wanted.chain = chain->name;
    const Nodes picked = pick(intent, reported, *chain, host);
    if (picked.empty()) return false;
    const bool pruned = prune(intent, *chain, reported);
    if (has_as_slow(intent, reported, *chain, host, picked)) return pruned;
    wanted.nodes = shared(intent, reported, *chain, host, picked);
    // It has asked again before the answer came, or finds unusable what there is.
    const bool is_new =
        !wanted.nodes.empty() &&
        std::ranges::none_of(reported.all<ServicePathWanted>(), [&](const auto& row) {
            return row.second.chain == wanted.chain && row.second.host == wanted.host &&
                   row.second.nodes == wanted.nodes;
        });
    if (!is_new || !make_room(intent, reported, *chain, wanted)) return pruned;
    wanted.number = next_number(reported);
    wanted.name = name_of(wanted, chain->sci);
    reported.put(std::move(wanted));
    return true;
}

}  // namespace

bool answer(const model::Value& event, std::string_view host, const Snapshot& intent,
            Snapshot& reported) {
    if (event["event"].as_text() != "path-wanted")
        return answer_about_node(event, host, intent, reported);
    const Snapshot before = reported;
    const bool changed = give_path(event, host, intent, reported);
    return keep_path_numbers({intent, before, intent, event["heard_s"].as_uint()}, reported) ||
           changed;
}

}  // namespace weir::chain
