#pragma once
#include <string>

#include "base/result.hpp"
#include "bench/gen/page.hpp"

namespace weir::gen {

// The page in a file, made if it is not there; it stays mapped for the life of the process.
Result<Page*> map_page(const std::string& path);

}  // namespace weir::gen
