#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "api/openapi/reference.hpp"
#include "apps/reference/main/wire_page.hpp"
#include "features/feature.hpp"
#include "model/registry.hpp"

namespace {

int fail(const weir::Error& error) {
    std::fprintf(stderr, "%s\n", error.text().c_str());
    return 1;
}

}  // namespace

// weir-reference FOLDER EXAMPLES…           writes the reference pages there
// weir-reference --check FOLDER EXAMPLES…   says which of them are out of date; status 1 if any is
int main(int argc, char** argv) {
    using namespace weir;
    std::vector<std::string> words(argv + 1, argv + argc);
    const bool check = !words.empty() && words[0] == "--check";
    if (check) words.erase(words.begin());
    if (words.empty() || words[0].starts_with("-")) {
        std::fputs("usage: weir-reference [--check] FOLDER [FILE-OF-EXAMPLES]…\n", stderr);
        return 2;
    }
    const std::string& folder = words[0];
    const model::Registry registry = features::registry_of(features::all());
    const auto examples = openapi::read_examples(registry, {words.begin() + 1, words.end()});
    if (!examples) return fail(examples.error());
    auto pages = openapi::reference_pages(registry, *examples);
    auto wire = reference::wire_page();
    if (!wire) return fail(wire.error());
    pages["wire.md"] = *std::move(wire);
    if (!check) {
        const Status written = openapi::write_reference(pages, folder);
        return written ? 0 : fail(written.error());
    }
    const auto drift = openapi::reference_drift(pages, folder);
    for (const std::string& line : drift)
        std::fprintf(stderr, "%s/%s\n", folder.c_str(), line.c_str());
    if (!drift.empty())
        std::fputs("to write them again: ninja -C build/release reference\n", stderr);
    return drift.empty() ? 0 : 1;
}
