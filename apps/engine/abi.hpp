#pragma once
#include "dataplane/abi.hpp"

namespace weir::engine {

// The C ABI over class Engine, under the name of a build. Both texts must last.
weir_engine_api engine_api(const char* build_id, const char* version);

}  // namespace weir::engine
