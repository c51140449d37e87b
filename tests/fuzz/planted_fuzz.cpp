#include <cstddef>
#include <vector>

#include "net/geneve.hpp"

// Proves that the fuzzing set-up finds what it is there for. With WEIR_PLANTED_BUG it reads an
// inner MAC without asking whether there is one, but only behind a valid Geneve header with service
// metadata that returns: `run --self-test` expects the crash, and none without the bug.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::vector<std::uint8_t> exact(data, data + size);
    weir::net::GeneveView view;
    if (weir::net::decode(exact, view) != weir::net::GeneveError::none) return 0;
    if (!view.smd || !view.smd->returning) return 0;
#ifndef WEIR_PLANTED_BUG
    if (view.inner.size() < 6) return 0;
#endif
    volatile std::uint8_t last = view.inner.data()[5];
    (void)last;
    return 0;
}
