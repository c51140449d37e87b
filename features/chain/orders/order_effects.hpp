#pragma once
#include "features/chain/anchor/selection.hpp"
#include "features/chain/orders/order_book.hpp"
#include "features/chain/plane.hpp"
#include "flow/table.hpp"

// What accepted orders do to a flow's decision (spec service-plane §6.2). Pure but for the record
// and the book.
namespace weir::chain {

// One flow with what orders are judged and carried out by.
struct OrderedFlow {
    flow::FlowPair& pair;
    flow::InsertionDecision record;
    std::uint32_t handle = 0;
    const Plane& plane;
    const dataplane::HealthBoard& health;
    OrderBook& book;
    Chance chance = {};  // for chains whose flows get their numbers by it

    // The chain that the rules gave the flow.
    std::uint32_t ruled_sci() const {
        return record.ruled_sci != 0 ? record.ruled_sci : record.sci;
    }
    const Path* path() const;
    // The path the flow was on before this one; null: none, or it is not known any more.
    const Path* previous_path() const;
};

enum class Carried : std::uint8_t { out = 0, no_room, no_such_way, no_such_chain };

// Carries out a message that was accepted: remembers it and changes `record`.
Carried carry_out(OrderedFlow&, const Ctrl&, std::uint64_t now_ns);

// Ends one order whose time is over, as RESTORE would.
void end_order(OrderedFlow&, Order&);

// Verdict bits and skip masks of `record` from the orders that stand, e.g. after a change of path.
// Precedence CT-2: reset, drop, another chain or path, skip, allow.
void derive_effects(OrderedFlow&);

}  // namespace weir::chain
