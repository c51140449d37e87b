#pragma once
#include <chrono>
#include <cstdlib>

namespace weir::testing {

// How long a test waits for what other threads and processes do: `bound`, and so many times longer
// as WEIR_SLOWNESS says. `./dev test --asan` and `--tsan` set it.
inline std::chrono::milliseconds patience(std::chrono::milliseconds bound) {
    const char* text = std::getenv("WEIR_SLOWNESS");
    const double slowness = text ? std::strtod(text, nullptr) : 1;
    return std::chrono::milliseconds(
        static_cast<long>(static_cast<double>(bound.count()) * (slowness > 1 ? slowness : 1)));
}

}  // namespace weir::testing
