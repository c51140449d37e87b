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

Page& open_page(const Settings& settings, std::uint64_t tsc_hz) {
    const Result<Page*> mapped = map_page(settings.page);
    if (!mapped) fail(mapped.error().text());
    Page& page = **mapped;
    page.tsc_hz.set(tsc_hz);
    page.version.set(page_version);
    return page;
}

void end_when_told() {
    std::signal(SIGTERM, [](int) { ended = 1; });
}

bool is_ended() {
    return ended != 0;
}

}  // namespace weir::gen
