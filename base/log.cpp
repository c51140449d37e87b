#include "base/log.hpp"

#define FMT_HEADER_ONLY 1
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <mutex>
#include <utility>

namespace weir::log {
namespace {

struct Output {
    std::mutex mutex;
    Options options;
    std::shared_ptr<spdlog::logger> logger;
};

Output& output() {
    static Output* one = [] {
        auto* made = new Output;  // lives as long as the process: threads may log while it ends
        made->logger = std::make_shared<spdlog::logger>(
            "weir", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->logger->set_pattern("%v");
        made->logger->set_level(spdlog::level::trace);
        made->logger->flush_on(spdlog::level::trace);
        return made;
    }();
    return *one;
}

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug: return "debug";
        case Level::info: return "info";
        case Level::warn: return "warn";
        case Level::error: return "error";
    }
    return "error";
}

void append_quoted(std::string& out, std::string_view text) {
    static constexpr char hex[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte == 0x7f) {
            out += "\\u00";
            out += hex[byte >> 4];
            out += hex[byte & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}

bool is_plain(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\' || c == '=') return false;
    }
    return true;
}

void append_json(std::string& out, std::string_view key, std::string_view value, bool is_text) {
    out += out.size() > 1 ? "," : "";
    append_quoted(out, key);
    out += ':';
    if (is_text) {
        append_quoted(out, value);
    } else {
        out += value;
    }
}

std::string now_text() {
    const auto now = std::chrono::system_clock::now();
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[40];
    const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(text + size, sizeof text - size, ".%03dZ", static_cast<int>(ms.count() % 1000));
    return text;
}

}  // namespace

std::string format_line(Format format, std::string_view time, Level level,
                        std::string_view component, std::string_view event, Fields fields) {
    std::string out;
    if (format == Format::json) {
        out = "{";
        append_json(out, "time", time, true);
        append_json(out, "level", name_of(level), true);
        if (!component.empty()) append_json(out, "component", component, true);
        append_json(out, "event", event, true);
        for (const Field& field : fields) append_json(out, field.key, field.value, field.is_text);
        return out + "}";
    }
    out.append(time).append(" ").append(name_of(level));
    if (!component.empty()) out.append(" ").append(component);
    out.append(" ").append(event);
    for (const Field& field : fields) {
        out.append(" ").append(field.key).append("=");
        if (field.is_text && !is_plain(field.value)) {
            append_quoted(out, field.value);
        } else {
            out += field.value;
        }
    }
    return out;
}

void configure(Options options) {
    Output& out = output();
    const std::lock_guard lock(out.mutex);
    out.options = std::move(options);
}

Result<Level> parse_level(std::string_view text) {
    for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
        if (text == name_of(level)) return level;
    }
    return invalid("log level", "expected debug, info, warn or error");
}

Result<Format> parse_format(std::string_view text) {
    if (text == "text") return Format::text;
    if (text == "json") return Format::json;
    return invalid("log format", "expected text or json");
}

void write(Level level, std::string_view event, Fields fields) {
    Output& out = output();
    const std::lock_guard lock(out.mutex);
    if (level < out.options.lowest) return;
    const std::string line = format_line(out.options.format, now_text(), level,
                                         out.options.component, event, fields);
    if (out.options.sink) {
        out.options.sink(line);
    } else {
        out.logger->info("{}", line);
    }
}

}  // namespace weir::log
