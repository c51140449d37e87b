#pragma once
#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <vector>

// What twins did, in words, and in what they differ. For tests.
namespace weir::engine {

// Frames by port and flow.
using Sendings = std::map<std::string, std::vector<std::string>>;

// What differs; empty: nothing.
inline std::string difference(const Sendings& quick, const Sendings& slow) {
    std::string out;
    Sendings every = quick;
    every.insert(slow.begin(), slow.end());
    for (const auto& [flow, unused] : every) {
        const auto list = [&](const Sendings& sendings) {
            std::string text;
            if (const auto at = sendings.find(flow); at != sendings.end())
                for (const std::string& line : at->second) text += "\n    " + line;
            return text;
        };
        if (list(quick) != list(slow))
            out += "flow " + flow + "\n  quick" + list(quick) + "\n  slow" + list(slow) + "\n";
    }
    return out;
}

// Lines that only one side has.
inline std::string difference(std::vector<std::string> quick, std::vector<std::string> slow) {
    std::ranges::sort(quick);
    std::ranges::sort(slow);
    std::string out;
    const auto only = [&out](const char* side, const auto& these, const auto& those) {
        std::vector<std::string> lines;
        std::ranges::set_difference(these, those, std::back_inserter(lines));
        for (const std::string& line : lines) out += std::string(side) + ": " + line + "\n";
    };
    only("quick", quick, slow);
    only("slow", slow, quick);
    return out;
}

}  // namespace weir::engine
