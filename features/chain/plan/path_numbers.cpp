#include "features/chain/plan/path_numbers.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include "features/chain/plan/paths.hpp"
#include "features/chain/planned.hpp"

namespace weir::chain {
namespace {

using model::Snapshot;

constexpr std::uint64_t kept_s = 600;
constexpr std::size_t max_kept = 4096;

// Who has a number: SVNI and SPI → SCI and nodes.
struct Owner {
    std::uint32_t sci = 0;
    std::vector<std::uint32_t> nodes;
    friend bool operator==(const Owner&, const Owner&) = default;
};
using Numbers = std::map<std::pair<std::uint32_t, std::uint32_t>, Owner>;

// What operators want and hosts report, as far as paths are made of it.
Snapshot whole(const Snapshot& intent, const Snapshot& reported) {
    Snapshot out = intent;
    for (const auto& row : reported.all<ServiceNode>()) out.put(row.second);
    for (const auto& row : reported.all<ServiceNodeLeaving>()) out.put(row.second);
    for (const auto& row : reported.all<ServicePathWanted>()) out.put(row.second);
    for (const auto& row : reported.all<ServicePathNumber>()) out.put(row.second);
    return out;
}

Numbers numbers_of(const Snapshot& intent) {
    Numbers out;
    for (const auto& row : static_paths(intent))
        for (const ServicePath& path : row.second) {
            Owner& owner = out[{path.svni, path.spi}];
            owner.sci = path.sci;
            for (const PathHop& hop : path.forward) owner.nodes.push_back(hop.node_id);
        }
    return out;
}

template <class... R>
bool share(const Snapshot& a, const Snapshot& b) {
    return (a.shares<R>(b) && ...);
}

bool forget_old(std::uint64_t now_s, Snapshot& reported) {
    std::vector<std::string> over;
    for (const auto& [name, kept] : reported.all<ServicePathNumber>())
        if (kept.until_s <= now_s) over.push_back(name);
    for (const std::string& name : over) reported.erase<ServicePathNumber>(name);
    return !over.empty();
}

// Where there is no room for more, those that were kept longest go.
void keep_within_bounds(Snapshot& reported) {
    const auto& all = reported.all<ServicePathNumber>();
    if (all.size() <= max_kept) return;
    std::vector<std::pair<std::uint64_t, std::string>> by_age;
    for (const auto& [name, kept] : all) by_age.emplace_back(kept.until_s, name);
    std::ranges::sort(by_age);
    by_age.resize(by_age.size() - max_kept);
    for (const auto& row : by_age) reported.erase<ServicePathNumber>(row.second);
}

ServicePathNumber record_of(const Numbers::value_type& number, std::uint64_t now_s) {
    const auto& [key, owner] = number;
    char name[24];
    std::snprintf(name, sizeof name, "%06x.%06x", key.first, key.second);
    return {name, key.first, key.second, owner.sci, owner.nodes, now_s + kept_s};
}

}  // namespace

bool keep_path_numbers(const NumberChange& change, Snapshot& reported) {
    const bool is_over = forget_old(change.now_s, reported);
    if (!is_over &&
        share<ServiceChain, ServiceNode, ServiceProfile, Service, model::Host,
              model::ServiceSegment>(change.before, change.intent) &&
        share<ServiceNode, ServiceNodeLeaving, ServicePathWanted>(change.reported_before, reported))
        return false;
    const Numbers before = numbers_of(whole(change.before, change.reported_before));
    const Numbers after = numbers_of(whole(change.intent, reported));
    bool is_lost = false;
    for (const auto& number : before) {
        const auto now = after.find(number.first);
        if (now != after.end() && now->second == number.second) continue;
        reported.put(record_of(number, change.now_s));
        is_lost = true;
    }
    if (is_lost) keep_within_bounds(reported);
    return is_over || is_lost;
}

}  // namespace weir::chain
