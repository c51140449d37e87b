#pragma once
#include <string>

#include "apps/controller/moves.hpp"

namespace weir::controller {

// The order in the body of POST /v1/moves/PORT and /v1/node-moves/NODE, for this port or node. A
// member of another type than it should have, or with a name that none has, is an error: nothing is
// moved by a word that was mistyped.
Result<MoveOrder> read_move(const model::Value& body, model::MoveSubject subject,
                            const std::string& object);

}  // namespace weir::controller
