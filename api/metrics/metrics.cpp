#include "api/metrics/metrics.hpp"

#include <algorithm>
#include <cstdio>

#include "base/check.hpp"

namespace weir::metrics {
namespace {

bool is_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

void append_escaped(std::string& out, std::string_view text, bool in_quotes) {
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
        } else {
            if (c == '\\' || (in_quotes && c == '"')) out += '\\';
            out += c;
        }
    }
}

}  // namespace

void Page::family(std::string_view name, Type type, std::string_view help) {
    WEIR_CHECK(is_name(name), "a metric's name has another character");
    name_ = name;
    text_.append("# HELP ").append(name).append(" ");
    append_escaped(text_, help, false);
    text_.append("\n# TYPE ").append(name);
    constexpr std::string_view types[] = {" counter\n", " gauge\n", " histogram\n"};
    text_.append(types[static_cast<std::size_t>(type)]);
}

void Page::sample(std::uint64_t value, std::span<const Label> labels) {
    line({}, std::to_string(value), labels);
}

void Page::sample_real(std::string_view suffix, double value, std::span<const Label> labels) {
    char text[32];
    std::snprintf(text, sizeof text, "%.12g", value);
    line(suffix, text, labels);
}

void Page::line(std::string_view suffix, std::string_view value, std::span<const Label> labels) {
    WEIR_CHECK(!name_.empty(), "a sample without a family");
    text_.append(name_).append(suffix);
    char before = '{';
    for (const auto& [key, text] : labels) {
        WEIR_CHECK(is_name(key), "a label's name has another character");
        text_ += std::exchange(before, ',');
        text_.append(key).append("=\"");
        append_escaped(text_, text, true);
        text_ += '"';
    }
    if (labels.size() != 0) text_ += '}';
    text_.append(" ").append(value).append("\n");
}

}  // namespace weir::metrics
