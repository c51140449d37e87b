#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/scenario/story.hpp"

namespace {

// For tools/check_exits: one file a process in the folder that WEIR_EXITS_DIR names. Only what the
// engines counted gets there; a story cannot claim an exit.
bool write_exits(const weir::scenario::ExitCounts& exits) {
    const char* folder = std::getenv("WEIR_EXITS_DIR");
    if (!folder || !*folder) return true;
    const auto path =
        std::filesystem::path(folder) / ("weir-scenario-" + std::to_string(::getpid()));
    std::ofstream out(path, std::ios::trunc);
    for (const auto& [name, count] : exits)
        if (count != 0) out << name << ' ' << count << '\n';
    out.flush();
    if (!out) std::fprintf(stderr, "weir-scenario: cannot write %s\n", path.c_str());
    return static_cast<bool>(out);
}

}  // namespace

// weir-scenario --setups DIR FILE…: runs each scenario with one worker and with two.
int main(int argc, char** argv) {
    std::string setups;
    int failed = 0, ran = 0;
    weir::scenario::ExitCounts exits;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--setups") == 0 && i + 1 < argc) {
            setups = argv[++i];
            continue;
        }
        for (const std::uint32_t workers : {1u, 2u}) {
            const std::string why = weir::scenario::run_story(argv[i], setups, workers, exits);
            ++ran;
            if (why.empty()) continue;
            ++failed;
            std::fprintf(stderr, "with %u worker(s): %s\n", workers, why.c_str());
        }
    }
    std::printf("%d passed, %d failed\n", ran - failed, failed);
    const bool written = write_exits(exits);
    return ran == 0 || failed != 0 || !written;
}
