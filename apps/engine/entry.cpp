#include "apps/engine/abi.hpp"

namespace {

const weir_engine_api api = weir::engine::engine_api(WEIR_BUILD_ID, WEIR_VERSION);

}  // namespace

// The one exported symbol of libweir-engine.so.
extern "C" __attribute__((visibility("default"))) const weir_engine_api* weir_engine_entry(void) {
    return &api;
}
