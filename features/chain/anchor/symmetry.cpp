#include "features/chain/anchor/symmetry.hpp"

#include <bit>

#include "dataplane/digest.hpp"

namespace weir::chain {
namespace {

constexpr std::uint8_t turns_to_tell = 6;

struct NodeSet {
    std::uint32_t digest = 0;
    std::uint8_t count = 0;
};

// Nodes that packets of one direction pass, whatever their order; `skipped` by ordinal.
NodeSet set_of(const std::vector<Hop>& hops, std::uint8_t skipped) {
    NodeSet out;
    for (std::size_t i = 0; i < hops.size(); ++i) {
        if (hops[i].action == HopAction::copy || (skipped >> i & 1) != 0) continue;
        out.digest += dataplane::Digest{}.add(hops[i].node_id).value32();
        ++out.count;
    }
    return out;
}

}  // namespace

Symmetry::Met met_by(const Plane& plane, const net::Smd& smd) {
    const Chain* chain = plane.chain(smd.sci);
    const Path* path = chain ? chain->path(smd.spi) : nullptr;
    if (!path || path->epoch != smd.path_epoch || smd.moved || smd.ttl >= path->initial_ttl)
        return {};
    if (set_of(path->hops[0], 0).digest != set_of(path->hops[1], 0).digest) return {};
    const NodeSet planned = set_of(path->hops[smd.reverse ? 1 : 0], smd.skip_mask);
    const auto count = static_cast<std::uint8_t>(path->initial_ttl - smd.ttl - 1);
    // A hop was left out on the way: which one, nobody says.
    const std::uint32_t known = count == planned.count ? 0 : 0x9e3779b9u * (count + 1u);
    const std::uint32_t nodes = planned.digest ^ known;
    return {nodes == 0 ? 1 : nodes, count};
}

bool Symmetry::look(std::uint32_t flow_handle, bool reverse, const Met& met) {
    if (met.nodes == 0) return false;
    Entry& entry = entries_[flow_handle % capacity];
    if (entry.flow_handle != flow_handle) {
        entry = {};
        entry.flow_handle = flow_handle;
    }
    const std::size_t way = reverse ? 1 : 0;
    const bool turn = entry.seen[1 - way] && (!entry.seen[way] || entry.last_reverse != reverse);
    if (turn && !entry.seen[way]) ++watched;
    entry.met[way] = met;
    entry.seen[way] = true;
    entry.last_reverse = reverse;
    if (!turn) return false;
    if (entry.met[0] == entry.met[1]) {
        entry.differing = 0;
        return false;
    }
    if (entry.differing < turns_to_tell) ++entry.differing;
    if (entry.differing < turns_to_tell || entry.told) return false;
    entry.told = true;
    ++asymmetric;
    return true;
}

}  // namespace weir::chain
