#pragma once
#include <chrono>
#include <string>

#include "apps/controller/moves.hpp"

namespace weir::controller {

struct NodeMoveOrder {
    std::string node, to;
    bool without_state = false;  // the node begins anew: what is inside it is lost
    bool wait_frozen = false;    // go on only when told that the machine has moved
    std::chrono::milliseconds patience{30'000};  // with the machine that is being moved
};

// A service node goes to another host (spec service-plane §8.5; features/chain/nodes.md). What goes
// wrong before its ports are up there leaves it where it was. A controller that finds such a move
// begun brings it to its end if everything that the old host remembers was carried over, as the
// machine may be on its way by then; else it is undone. Whoever is to tell it to go on is waited
// for again if nobody had.
MoveOrder move_of_node(NodeMoveOrder order);
MoveOrder resumed_move_of_node(const model::Move& record);

// Steps of moves of which there is no record any more are taken back.
void forget_unrecorded_node_moves(Intent& intent);

}  // namespace weir::controller
