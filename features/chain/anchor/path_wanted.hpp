#pragma once
#include <cstdint>

#include "dataplane/emit.hpp"
#include "features/chain/plane.hpp"

namespace weir::chain {

// When a chain's paths on demand were asked for, by one stage of one worker.
struct PathAsked {
    std::uint64_t count = 0, last_ns = 0;
};

// PS-10: the controller picks a path. At most ten times a second.
void ask_for_path(const Chain& chain, PathAsked& asked, dataplane::Emit& emit);

}  // namespace weir::chain
