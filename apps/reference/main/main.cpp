#include <cstdio>
#include <string_view>

#include "api/openapi/reference.hpp"
#include "features/feature.hpp"
#include "model/registry.hpp"

// weir-reference FOLDER           writes the reference pages there
// weir-reference --check FOLDER   says which of them are out of date; exit status 1 if any is
int main(int argc, char** argv) {
    using namespace weir;
    const bool check = argc == 3 && std::string_view(argv[1]) == "--check";
    if (!check && (argc != 2 || argv[1][0] == '-')) {
        std::fputs("usage: weir-reference [--check] FOLDER\n", stderr);
        return 2;
    }
    const char* folder = argv[argc - 1];
    model::Registry registry;
    for (const features::Feature& feature : features::all()) feature.add_kinds(registry);
    if (!check) {
        const Status written = openapi::write_reference(registry, folder);
        if (!written) std::fprintf(stderr, "%s\n", written.error().text().c_str());
        return written ? 0 : 1;
    }
    const auto drift = openapi::reference_drift(registry, folder);
    for (const std::string& line : drift) std::fprintf(stderr, "%s/%s\n", folder, line.c_str());
    if (!drift.empty()) std::fprintf(stderr, "run: weir-reference %s\n", folder);
    return drift.empty() ? 0 : 1;
}
