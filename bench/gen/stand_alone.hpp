#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "bench/gen/page_file.hpp"
#include "bench/gen/settings.hpp"

// What every generator begins with, whichever process it is in, and how one ends that is a program
// of its own.
namespace weir::gen {

// Ends the process, with status 3: a benchmark without its traffic says nothing.
[[noreturn]] void fail(const std::string& why);

// What the driver has put into WEIR_GEN.
Settings settings_of_environment();

// The pages of those settings, one for each part. Whoever opens them sets their magic number once
// all else is ready.
std::span<Page> open_pages(const Settings& settings, std::uint64_t tsc_hz);
// … of a generator whose sides have one queue.
Page& open_page(const Settings& settings, std::uint64_t tsc_hz);

// From here on SIGTERM ends run_until_ended().
void end_when_told();
bool is_ended();

// Takes what comes back and gives what is due, side by side.
template <class Side>
void run_until_ended(Side& a, Side& b) {
    while (!is_ended()) {
        for (Side* side : {&a, &b}) {
            side->take();
            side->give();
        }
    }
}

}  // namespace weir::gen
