#include <cstdio>
#include <cstring>
#include <string>

#include "tests/scenario/story.hpp"

// weir-scenario --setups DIR FILE…: runs each scenario with one worker and with two.
int main(int argc, char** argv) {
    std::string setups;
    int failed = 0, ran = 0;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--setups") == 0 && i + 1 < argc) {
            setups = argv[++i];
            continue;
        }
        for (const std::uint32_t workers : {1u, 2u}) {
            const std::string why = weir::scenario::run_story(argv[i], setups, workers);
            ++ran;
            if (why.empty()) continue;
            ++failed;
            std::fprintf(stderr, "with %u worker(s): %s\n", workers, why.c_str());
        }
    }
    std::printf("%d passed, %d failed\n", ran - failed, failed);
    return ran == 0 || failed != 0;
}
