#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace weir::scenario {

// Exit → how often the engines of a story counted it.
using ExitCounts = std::map<std::string, std::uint64_t>;

// Runs one scenario file (README.md says what stands in it). Empty: every expectation was met; else
// what was not, with file and line. What its engines counted is added to `exits`.
std::string run_story(const std::string& path, const std::string& setup_dir, std::uint32_t workers,
                      ExitCounts& exits);

}  // namespace weir::scenario
