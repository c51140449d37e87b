#include "bench/gen/stand_alone.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace weir::gen {
namespace {

volatile std::sig_atomic_t ended = 0;

}  // namespace

void fail(const std::string& why) {
    std::fprintf(stderr, "weir-gen: %s\n", why.c_str());
    std::_Exit(3);
}

Settings settings_of_environment() {
    const char* text = std::getenv("WEIR_GEN");
    if (!text) fail("WEIR_GEN is not set");
    Result<Settings> settings = parse_settings(text);
    if (!settings) fail(settings.error().text());
    return std::move(settings).value();
}

std::span<Page> open_pages(const Settings& settings, std::uint64_t tsc_hz) {
    const Result<std::span<Page>> mapped = map_pages(settings.page, settings.parts);
    if (!mapped) fail(mapped.error().text());
    for (Page& page : *mapped) {
        page.tsc_hz.set(tsc_hz);
        page.version.set(page_version);
    }
    return *mapped;
}

Page& open_page(const Settings& settings, std::uint64_t tsc_hz) {
    if (settings.parts != 1) fail("parts: there is one queue here");
    return open_pages(settings, tsc_hz)[0];
}

void end_when_told() {
    std::signal(SIGTERM, [](int) { ended = 1; });
}

bool is_ended() {
    return ended != 0;
}

}  // namespace weir::gen
