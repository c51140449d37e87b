#include "features/chain/anchor/path_wanted.hpp"

#include <algorithm>
#include <cstdio>

namespace weir::chain {

void ask_for_path(const Chain& chain, PathAsked& asked, dataplane::Emit& emit) {
    constexpr std::uint64_t ask_again_ns = 100'000'000;
    if (asked.last_ns != 0 && emit.now_ns - asked.last_ns < ask_again_ns) return;
    asked.last_ns = emit.now_ns;
    ++asked.count;
    char text[160];
    const int n =
        std::snprintf(text, sizeof text, R"({"event":"path-wanted","chain":"%.63s","sci":%u})",
                      chain.name.c_str(), chain.sci);
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

}  // namespace weir::chain
