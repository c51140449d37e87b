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
    std::string check;  // what was looked at: "privileges", "port g1"
    std::string found;
    std::string why;     // it matters; empty where all is fine
    std::string advice;  // what to do

    bool ok() const { return level == Level::fine || level == Level::note; }
};
std::string_view finding_level_name(Finding::Level level);

// Privileges, memory and kernel parts, whatever is configured.
std::vector<Finding> examine_machine();
// The machine and this host's ports and underlay. Control thread.
std::vector<Finding> examine(Shell& shell);

}  // namespace weir::host
