#pragma once
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.hpp"

// Structured logging for the cold path: an event name and fields, one line each, to standard error.
// Thread-safe. Never call it from a worker's packet loop.
namespace weir::log {

enum class Level : std::uint8_t { debug, info, warn, error };
enum class Format : std::uint8_t { text, json };

// One `key=value` of a line. Strings are quoted where needed, so a line stays one line.
struct Field {
    std::string_view key;
    std::string value;
    bool is_text = true;  // false: a number or a truth value, unquoted in JSON

    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const std::string& v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(v) {}
    template <std::integral T>
    Field(std::string_view k, T v) : key(k), is_text(false) {
        if constexpr (std::same_as<T, bool>) {
            value = v ? "true" : "false";
        } else {
            value = std::to_string(v);
        }
    }
};

using Fields = std::initializer_list<Field>;

struct Options {
    std::string component;  // "host", "controller", …; appears in every line
    Level lowest = Level::info;
    Format format = Format::text;
    std::function<void(std::string_view line)> sink;  // instead of standard error, e.g. in tests
};

// Replaces the options of the whole process. Before the first call: text, info, standard error.
void configure(Options options);

Result<Level> parse_level(std::string_view text);    // "debug", "info", "warn" or "error"
Result<Format> parse_format(std::string_view text);  // "text" or "json"

// `event` is a dotted name that never changes, e.g. "host.connected".
void write(Level level, std::string_view event, Fields fields);
inline void debug(std::string_view event, Fields fields = {}) {
    write(Level::debug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) { write(Level::info, event, fields); }
inline void warn(std::string_view event, Fields fields = {}) { write(Level::warn, event, fields); }
inline void error(std::string_view event, Fields fields = {}) {
    write(Level::error, event, fields);
}

// The line without a line end; `time` as RFC 3339 text.
std::string format_line(Format format, std::string_view time, Level level,
                        std::string_view component, std::string_view event, Fields fields);

}  // namespace weir::log
