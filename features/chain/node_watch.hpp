#pragma once
#include "features/chain/liveness.hpp"

// What the host of a node sees of it beside whether it lives: packets that stay out, load, and what
// it says of itself. Part of Liveness; not for others.
namespace weir::chain {

// Of a message about a node: they come in order of time.
inline std::uint32_t sequence_at(std::uint64_t now_ns) {
    return static_cast<std::uint32_t>(now_ns / 1'000'000);
}

// Room for a message to the other hosts; an earlier one of the same kind about the node is
// overtaken. Null: none.
Liveness::State::Publication* place_for(const LocalNode& node, CtrlOp op, Liveness::State& state);

// Looks at the n-th node of the table; often, it minds the time itself.
void watch_node(const LocalNode& node, std::size_t n, Liveness::State& state,
                dataplane::Emit& emit);

}  // namespace weir::chain
