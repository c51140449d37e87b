#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "base/result.hpp"
#include "bench/gen/page.hpp"

namespace weir::gen {

// Pages in a file, made if it is not there; they stay mapped for the life of the process.
Result<std::span<Page>> map_pages(const std::string& path, std::size_t count);

}  // namespace weir::gen
