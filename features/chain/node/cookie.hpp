#pragma once
#include <array>
#include <cstdint>

#include "net/smd.hpp"

namespace weir::chain {

using NodeSecret = std::array<std::uint64_t, 2>;

// The secret of one node, from the host's seed. Nodes cannot tell each other's from their own.
NodeSecret node_secret(std::uint64_t seed, std::uint32_t node_id);

// The Cookie that an aware node carries through (spec service-plane HD-8): 32 bits of a keyed hash
// over all that a node must not change (SEC-9), the index and TTL it was given, and the guest's
// MACs.
//
// Left out: what a node may change (FlowTag, O, L, A) and reserved bits. `timed` marks the one
// packet whose way through the node is being timed; both kinds are valid.
std::uint32_t cookie(const NodeSecret&, const net::Smd& sent, bool timed);

}  // namespace weir::chain
