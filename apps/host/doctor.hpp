#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::host {

class Shell;

// What a machine needs to run Weir well.
struct Finding {
    enum class Level : std::uint8_t { fine, note, warning, problem };
    Level level = Level::fine;
    std::string what;
    std::string why;     // it matters
    std::string action;  // what to do; empty where nothing is
};
std::string_view finding_level_name(Finding::Level level);

// Privileges, memory and kernel parts, whatever is configured.
std::vector<Finding> examine_machine();
// The machine and this host's ports and underlay. Control thread.
std::vector<Finding> examine(Shell& shell);

}  // namespace weir::host
