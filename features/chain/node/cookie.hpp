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

// One worker's cookies of late, each as cookie() would say: a packet that comes back needs the one
// that it was given.
class Cookies {
public:
    std::uint32_t of(const NodeSecret& secret, const net::Smd& sent, bool timed);

private:
    struct alignas(64) Entry {
        std::array<std::uint64_t, 5> hashed{};
        NodeSecret secret{};
        std::uint32_t cookie = 0;
        bool used = false;
    };
    std::array<Entry, 1024> entries_{};
};

}  // namespace weir::chain
