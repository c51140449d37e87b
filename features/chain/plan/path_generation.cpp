#include "features/chain/plan/path_generation.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace weir::chain {
namespace {

using Combination = std::vector<std::uint32_t>;  // node indices, hop by hop
constexpr std::uint32_t unplaced = 0xffffffffu;

class Generator {
public:
    explicit Generator(const PathRequest& request)
        : services_(request.services), nodes_(request.nodes), max_paths_(request.max_paths) {
        std::erase_if(nodes_, [&](const CandidateNode& n) {
            return std::ranges::find(services_, n.service) == services_.end();
        });
        std::ranges::sort(nodes_, {}, &CandidateNode::id);
        uses_.resize(nodes_.size());
    }

    std::vector<Combination> run() {
        if (!possible()) return {};
        while (paths_.size() < max_paths_ && std::ranges::count(uses_, 0u) != 0) {
            Combination path = by_host();
            if (seen_.contains(path)) break;
            accept(std::move(path));
        }
        Combination path(services_.size(), unplaced);
        while (paths_.size() < max_paths_ && next_unseen(path, 0)) {
            accept(path);
            path.assign(services_.size(), unplaced);
        }
        return ids();
    }

private:
    // Each service needs as many nodes as it has hops; then every partial path can be finished.
    bool possible() const {
        for (std::uint32_t service : services_) {
            const auto nodes = std::ranges::count(nodes_, service, &CandidateNode::service);
            if (nodes < std::ranges::count(services_, service)) return false;
        }
        return !services_.empty();
    }

    void accept(Combination path) {
        std::set<std::uint32_t> hosts;
        for (std::uint32_t node : path) {
            ++uses_[node];
            hosts.insert(nodes_[node].host);
        }
        for (std::uint32_t host : hosts) ++through_[host];
        seen_.insert(path);
        paths_.push_back(std::move(path));
    }

    // The least used node of the service that is on `host` and not in the path yet.
    std::uint32_t pick(const Combination& path, std::uint32_t service, std::uint32_t host) const {
        std::uint32_t best = unplaced;
        for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].service != service || nodes_[i].host != host) continue;
            if (std::ranges::find(path, i) != path.end()) continue;
            if (best == unplaced || uses_[i] < uses_[best]) best = i;
        }
        return best;
    }

    struct Run {
        std::size_t first = 0, length = 0, unused = 0;
    };

    // The longest run of hops without a node that `host` can perform, those with most unused nodes
    // first; fills it into a copy of the path.
    Run longest_run(const Combination& path, std::uint32_t host, Combination& filled) const {
        Run best;
        for (std::size_t first = 0; first < path.size(); ++first) {
            Combination attempt = path;
            Run run{first, 0, 0};
            for (std::size_t hop = first; hop < path.size() && path[hop] == unplaced; ++hop) {
                const std::uint32_t node = pick(attempt, services_[hop], host);
                if (node == unplaced) break;
                attempt[hop] = node;
                ++run.length;
                run.unused += uses_[node] == 0;
            }
            if (std::tie(run.unused, run.length) <= std::tie(best.unused, best.length)) continue;
            best = run;
            filled = std::move(attempt);
        }
        return best;
    }

    Combination by_host() const {
        std::set<std::uint32_t> hosts;
        for (const CandidateNode& node : nodes_) hosts.insert(node.host);
        Combination path(services_.size(), unplaced);
        while (std::ranges::find(path, unplaced) != path.end()) {
            Combination chosen;
            auto best = std::tuple(~std::size_t{0}, std::size_t{0}, std::size_t{0});
            for (std::uint32_t host : hosts) {
                Combination filled;
                const Run run = longest_run(path, host, filled);
                if (run.length == 0) continue;
                const auto paths = through_.contains(host) ? through_.at(host) : 0;
                // Fewest paths first; then most unused services in a row; then the longest run.
                const auto rank = std::tuple(paths, ~run.unused, ~run.length);
                if (!chosen.empty() && rank >= best) continue;
                best = rank;
                chosen = std::move(filled);
            }
            path = std::move(chosen);
        }
        return path;
    }

    // Depth first over all combinations; ends at the first that is no path yet.
    bool next_unseen(Combination& path, std::size_t hop) const {
        if (hop == path.size()) return !seen_.contains(path);
        std::vector<std::uint32_t> order;
        for (std::uint32_t i = 0; i < nodes_.size(); ++i)
            if (nodes_[i].service == services_[hop] &&
                std::ranges::find(path, i) == path.end())
                order.push_back(i);
        const auto near = [&](std::uint32_t i) {
            return hop != 0 && nodes_[i].host == nodes_[path[hop - 1]].host;
        };
        std::ranges::stable_sort(order, {}, [&](std::uint32_t i) {
            return std::pair(uses_[i], !near(i));
        });
        for (std::uint32_t node : order) {
            path[hop] = node;
            if (next_unseen(path, hop + 1)) return true;
        }
        path[hop] = unplaced;
        return false;
    }

    std::vector<Combination> ids() const {
        std::vector<Combination> out;
        for (const Combination& path : paths_) {
            Combination& ids = out.emplace_back();
            for (std::uint32_t node : path) ids.push_back(nodes_[node].id);
        }
        return out;
    }

    const std::vector<std::uint32_t> services_;
    std::vector<CandidateNode> nodes_;
    const std::size_t max_paths_;
    std::vector<std::uint32_t> uses_;                 // paths through each node
    std::map<std::uint32_t, std::size_t> through_;    // paths through each host
    std::set<Combination> seen_;
    std::vector<Combination> paths_;
};

}  // namespace

std::vector<std::vector<std::uint32_t>> generate_paths(const PathRequest& request) {
    return Generator(request).run();
}

}  // namespace weir::chain
