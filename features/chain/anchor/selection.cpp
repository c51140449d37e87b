#include "features/chain/anchor/selection.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include "features/chain/node/load.hpp"
#include "net/bytes.hpp"
#include "net/hash.hpp"

namespace weir::chain {
namespace {

// Lower is better; only the best class takes part (PS-3).
using Class = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;

Class class_of(PathSelection policy, const Path& path) {
    switch (policy) {
        case PathSelection::local:
            return {path.crossings, 0xffffu - path.nodes_here, 0xffffu - path.nodes_in_rack};
        case PathSelection::remote:
            return {path.nodes_here != 0, 0, 0};
        case PathSelection::any:
        case PathSelection::round_robin:
        case PathSelection::weighted:
            break;
    }
    return {};
}

bool passes(const Path& path, std::uint32_t node_id) {
    for (const auto& hops : path.hops)
        if (std::ranges::find(hops, node_id, &Hop::node_id) != hops.end()) return true;
    return false;
}

void put_endpoint(std::uint8_t* out, const net::Ip& ip, std::uint16_t port) {
    std::copy(ip.bytes.begin(), ip.bytes.end(), out);
    net::store16(out + 16, port);
}

}  // namespace

std::uint32_t ordered_share(const Path& path, const dataplane::HealthBoard& health) {
    std::uint32_t share = whole_load;
    if (!health.overloads().any()) return share;
    for (const auto& hops : path.hops)
        for (const Hop& hop : hops)
            if (hop.action == HopAction::redirect)
                share = std::min(share, health.overloads().share(hop.node_id));
    return share;
}

std::uint32_t limits_missed(const Path& path, const dataplane::HealthBoard& health) {
    return path.above_limits + (health.avoided_paths().contains(path.svni, path.spi) ? 1u : 0u);
}

std::uint16_t Ranges::pick(std::uint32_t number) const {
    // number / 2^32 of the whole width; 96 bits do not occur as weights sum below 2^40.
    const std::uint64_t whole = total_ >> 32, rest = total_ & 0xffffffff;
    const std::uint64_t at = whole * number + (rest * number >> 32);
    const auto* end = std::upper_bound(ends_, ends_ + size_, at);
    return entries_[end - ends_];
}

std::uint32_t flow_number(std::uint32_t sci, std::uint32_t tenant_vni, const net::Tuple& tuple) {
    constexpr std::size_t endpoint = 18;
    std::array<std::uint8_t, 2 * endpoint + 5> bytes;
    const bool in_order =
        std::tie(tuple.src, tuple.src_port) <= std::tie(tuple.dst, tuple.dst_port);
    put_endpoint(bytes.data() + (in_order ? 0 : endpoint), tuple.src, tuple.src_port);
    put_endpoint(bytes.data() + (in_order ? endpoint : 0), tuple.dst, tuple.dst_port);
    bytes[2 * endpoint] = tuple.proto;
    net::store32(bytes.data() + 2 * endpoint + 1, tenant_vni);
    // Equal on all hosts and for ever: a flow that lost its record finds its path again (DP-20).
    const std::array<std::uint64_t, 2> key{0x5765697243686169ull ^ sci, 0x6e5061746853656cull};
    return static_cast<std::uint32_t>(net::siphash24(key, bytes) >> 32);
}

std::uint32_t number_of(const Chain& chain, std::uint32_t tenant_vni, const net::Tuple& tuple,
                        const Chance& chance) {
    if (chain.number == FlowNumbers::random && chance.draws)
        return chance.draws->next(chance.now_ns);
    return flow_number(chain.sci, tenant_vni, tuple);
}

namespace {

// Who looks for a path: an anchor, perhaps because a node wants another one than itself.
struct Asker {
    std::uint32_t this_host;
    const dataplane::HealthBoard& health;
    std::uint32_t without_node = 0;  // 0: none
    std::uint32_t may_miss = ~0u;    // so many limits
};

bool is_candidate(const Path& path, const Asker& asker) {
    if (limits_missed(path, asker.health) > asker.may_miss) return false;
    return !path.maintenance && path.weight != 0 &&
           is_usable(path, asker.this_host, asker.health) &&
           (asker.without_node == 0 || !passes(path, asker.without_node));
}

// What is taken of a path's weight by its busiest node and by what its nodes said of themselves.
std::uint32_t busy(const Path& path, const Asker& asker) {
    return std::max(path.load, whole_load - ordered_share(path, asker.health));
}

// The best class with a candidate below that load; empty: none.
std::optional<Class> best_class(const Chain& chain, const Asker& asker, std::uint32_t below_load) {
    std::optional<Class> best;
    for (const Path& path : chain.paths) {
        const Class here = class_of(chain.path_selection, path);
        if ((best && here >= *best) || !is_candidate(path, asker)) continue;
        if (below_load > whole_load || busy(path, asker) < below_load) best = here;
    }
    return best;
}

// Paths above their limits are left to those who find no other, and so are the worse of these.
Asker avoiding(const Chain& chain, Asker asker) {
    std::uint32_t most = 0, least = ~0u;
    for (const Path& path : chain.paths) most = std::max(most, limits_missed(path, asker.health));
    if (most == 0) return asker;
    for (const Path& path : chain.paths)
        if (const std::uint32_t missed = limits_missed(path, asker.health); missed < least)
            if (is_candidate(path, asker)) least = missed;
    asker.may_miss = least;
    return asker;
}

// Where distance counts, a class whose paths are all busy gives way to the next (PS-3).
std::optional<Class> chosen_class(const Chain& chain, const Asker& asker) {
    std::optional<Class> best;
    if (chain.path_selection == PathSelection::local) best = best_class(chain, asker, spill_load);
    return best ? best : best_class(chain, asker, whole_load + 1);
}

// PS-6; at least 1, as the path is a candidate.
std::uint32_t weight_of(const Chain& chain, const Path& path, const Asker& asker) {
    if (chain.path_selection == PathSelection::round_robin) return 1;
    const std::uint64_t left = std::uint64_t{path.weight} * load_factor(path.load) / whole_load *
                               ordered_share(path, asker.health) / whole_load;
    return std::max(1u, static_cast<std::uint32_t>(left));
}

}  // namespace

const Path* select_path(const Chain& chain, std::uint32_t this_host,
                        const dataplane::HealthBoard& health, std::uint32_t number,
                        std::uint32_t without_node) {
    const Asker asker = avoiding(chain, {this_host, health, without_node});
    const std::optional<Class> best = chosen_class(chain, asker);
    if (!best) return nullptr;
    Ranges ranges;
    for (std::size_t i = 0; i < chain.paths.size(); ++i) {
        const Path& path = chain.paths[i];
        if (class_of(chain.path_selection, path) == *best && is_candidate(path, asker))
            ranges.add(weight_of(chain, path, asker), static_cast<std::uint16_t>(i));
    }
    return ranges.empty() ? nullptr : &chain.paths[ranges.pick(number)];
}

std::vector<Choice> choices(const Chain& chain, std::uint32_t this_host,
                            const dataplane::HealthBoard& health) {
    std::vector<Choice> out;
    const Asker asker = avoiding(chain, {this_host, health});
    const std::optional<Class> best = chosen_class(chain, asker);
    for (const Path& path : chain.paths)
        out.push_back({&path, is_candidate(path, asker), false,
                       path.weight == 0 ? 0 : weight_of(chain, path, asker)});
    std::uint64_t total = 0, below = 0;
    for (Choice& choice : out) {
        choice.takes_part =
            choice.candidate && best && class_of(chain.path_selection, *choice.path) == *best;
        if (choice.takes_part) total += choice.weight;
    }
    // The first number n with n * total / 2^32 ≥ at, as pick() counts; both are below 2^40.
    const auto edge = [&](std::uint64_t at) {
        if (at == total) return std::uint64_t{1} << 32;
        const std::uint64_t high = at << 24, low = high % total << 8;
        return (high / total << 8) + low / total + (low % total != 0 ? 1 : 0);
    };
    for (Choice& choice : out) {
        if (!choice.takes_part) continue;
        choice.from = edge(below);
        choice.to = edge(below += choice.weight);
    }
    return out;
}

}  // namespace weir::chain
