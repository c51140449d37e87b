#pragma once
#include <string>
#include <vector>

#include "tests/scenario/world.hpp"

namespace weir::scenario {

// Runs one scenario file (README.md says what stands in it). Empty: every expectation was met; else
// what was not, with file and line.
std::string run_story(const std::string& path, const std::string& setup_dir, std::uint32_t workers);

}  // namespace weir::scenario
