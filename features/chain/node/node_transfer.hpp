#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "features/chain/node/node_state.hpp"
#include "features/chain/node/to_node.hpp"

// Takes what travels with a service node out of the proxies' memory, and puts it into that of
// another host. Called on each worker for what that worker owns, between bursts.
namespace weir::chain {

struct SavedPart {
    std::vector<std::uint8_t> bytes;  // empty: this worker has nothing to say here
    bool identity = false;            // the first one to be restored, before any other
    std::uint32_t next = 0;           // where the worker's next part begins; 0: there is none
};

// The worker's part that begins at `from` (0: who the node is): of the numbers of contexts, which
// all workers of a host have in common. When all have answered the next part is asked for from the
// smallest `next` on, of all again. The node must be frozen here.
// Errors: not_found; conflict, while the node is given packets.
Result<SavedPart> save_node(const ToNode::Tables&, ToNode::State&, std::string_view node,
                            std::uint32_t from, std::uint64_t now_ns);

struct RestoredPart {
    std::uint32_t taken = 0;       // contexts that this worker owns now
    std::uint32_t renumbered = 0;  // of these, under another number than they had
    std::uint32_t lost = 0;        // contexts that found no place
};

// Takes the worker's share. The node must be expected here and not be given packets yet.
// Errors: invalid; conflict (the node is here already); limit.
Result<RestoredPart> restore_node(const ToNode::Tables&, ToNode::State&,
                                  std::span<const std::uint8_t> bytes, std::uint64_t now_ns);

}  // namespace weir::chain
