#pragma once
#include <array>
#include <cstdint>

#include "features/chain/plane.hpp"
#include "net/smd.hpp"

namespace weir::chain {

// Whether replies meet the nodes that the packets they answer have met, as stateful nodes need it.
// Looks at what returns to the anchor, for one flow in 64: chosen by the number that its packets
// carry in both directions, so that of a flow that is watched no packet is missed, whatever nodes
// make of its addresses. One per worker.
class Symmetry {
public:
    static constexpr std::uint32_t one_in = 64;
    static constexpr std::size_t capacity = 1024;

    // The same answer at the anchor, at every hop and on every host.
    static constexpr bool watches(std::uint32_t anchor_host, std::uint32_t flow_handle) {
        const std::uint32_t number = flow_handle * 0x9e3779b1u + anchor_host * 0x85ebca6bu;
        return number <= ~0u / one_in;
    }
    static constexpr bool watches(const net::Smd& smd) {
        return watches(smd.anchor_host, smd.flow_handle);
    }

    // What a returning packet has met, as far as its metadata tells.
    struct Met {
        std::uint32_t nodes = 0;  // digest of the set; 0: nobody can tell
        std::uint8_t count = 0;   // nodes that let it pass, from its TTL (HD-6)
        friend bool operator==(const Met&, const Met&) = default;
    };

    // True when the flow turns out to be asymmetric: six times in turn, a packet of the other
    // direction has met other nodes. A change of path makes three of them differ at most, by
    // packets that were under way. Told once a flow.
    bool look(std::uint32_t flow_handle, bool reverse, const Met& met);

    std::uint64_t watched = 0;     // flows of which both directions were seen
    std::uint64_t asymmetric = 0;  // of these

private:
    struct Entry {
        std::uint32_t flow_handle = 0;
        std::array<Met, 2> met{};
        std::array<bool, 2> seen{};
        bool last_reverse = false;
        bool told = false;
        std::uint8_t differing = 0;  // turns
    };
    std::array<Entry, capacity> entries_{};
};

// Of a packet that has come back to its anchor. Nothing (nodes 0) for chains whose replies are
// meant to meet other nodes, and for paths that this host does not know in this epoch.
Symmetry::Met met_by(const Plane& plane, const net::Smd& smd);

}  // namespace weir::chain
