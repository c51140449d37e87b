#pragma once
#include "features/chain/liveness/liveness.hpp"

// What the host of a node sees of it beside whether it lives: packets that stay out, load, and what
// it says of itself. Part of Liveness; not for others.
namespace weir::chain {

// So long after it began to watch a node, a host says how it fares even if nothing has changed: the
// controller may remember something else, of a host or an engine before this one.
inline constexpr std::uint64_t settled_ns = 30'000'000'000;

// Of a message about a node: they come in order of time.
inline std::uint32_t sequence_at(std::uint64_t now_ns) {
    return static_cast<std::uint32_t>(now_ns / 1'000'000);
}

// Room for a message to the other hosts; an earlier one of the same kind about the node is
// overtaken. Null: none.
Liveness::State::Publication* place_for(const LocalNode& node, CtrlOp op, Liveness::State& state);

// Puts the watches into the order of the table.
void arrange_watches(const NodeTable& table, Liveness::State& state);

// Before anything else that is done about the n-th node of the table.
void begin_watch(const LocalNode& node, std::size_t n, Liveness::State& state,
                 std::uint64_t now_ns);

// Looks at the n-th node of the table; often, it minds the time itself.
void watch_node(const LocalNode& node, std::size_t n, Liveness::State& state,
                dataplane::Emit& emit);

}  // namespace weir::chain
