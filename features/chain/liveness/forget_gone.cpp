#include <algorithm>

#include "features/chain/liveness/liveness.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t sweep_pause_ns = 60'000'000'000;

}  // namespace

void Liveness::State::forget_gone(const Tables& tables, dataplane::Emit& emit) {
    if (emit.now_ns - swept_ns < sweep_pause_ns) return;
    swept_ns = emit.now_ns;
    emit.health->sweep(emit.now_ns, [&](std::uint32_t node_id) {
        return std::ranges::binary_search(tables.known, node_id);
    });
    binding.memory()->sweep_heard(emit.now_ns, tables.known);
}

}  // namespace weir::chain
