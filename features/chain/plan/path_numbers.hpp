#pragma once
#include <cstdint>

#include "features/feature.hpp"

namespace weir::chain {

// Numbers of paths are not given to others for a while (CP-2). Everything that paths are made of
// may have changed from `before` and `reported_before` to `intent` and `reported`: keeps in
// `reported` what lost its number, or would; true if that changed. Pure.
struct NumberChange {
    const model::Snapshot& before;
    const model::Snapshot& reported_before;
    const model::Snapshot& intent;
    std::uint64_t now_s = 0;
};
bool keep_path_numbers(const NumberChange& change, model::Snapshot& reported);

}  // namespace weir::chain
