#pragma once
#include <chrono>
#include <string>

#include "apps/controller/moves.hpp"

namespace weir::controller {

// What a move of a guest's port is to be like.
struct PortMoveOrder {
    std::string port, to;
    bool dry_run = false;       // only look whether it could be done
    bool force = false;         // though paths could not be used from there: their failure policy
    bool wait_ready = false;    // go on to the freeze only when told
    bool wait_frozen = false;   // … and from it to the destination
    std::chrono::milliseconds stub{30'000};      // for how long the old host sends on what comes
    std::chrono::milliseconds patience{30'000};  // with whom is to tell it to go on
};

// What goes wrong before the port is activated at its destination leaves it working where it was. A
// controller that finds such a move begun asks the destination: where the port is active it is
// brought to its end, else undone.
MoveOrder move_of_port(PortMoveOrder order);
MoveOrder resumed_move_of_port(const model::Move& record);

}  // namespace weir::controller
