#pragma once
#include <string>

#include "dataplane/abi.hpp"

namespace weir::scenario {

// Appends to `text`, which must outlive the sink.
inline weir_sink into(std::string& text) {
    return {&text, [](void* context, const char* bytes, std::size_t count) {
                static_cast<std::string*>(context)->append(bytes, count);
                return true;
            }};
}

}  // namespace weir::scenario
