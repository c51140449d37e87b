#include "api/metrics/metrics.hpp"

#include <algorithm>

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
    text_.append(type == Type::counter ? " counter\n" : " gauge\n");
}

void Page::sample(std::uint64_t value, std::span<const Label> labels) {
    WEIR_CHECK(!name_.empty(), "a sample without a family");
    text_ += name_;
    char before = '{';
    for (const auto& [key, text] : labels) {
        WEIR_CHECK(is_name(key), "a label's name has another character");
        text_ += std::exchange(before, ',');
        text_.append(key).append("=\"");
        append_escaped(text_, text, true);
        text_ += '"';
    }
    if (labels.size() != 0) text_ += '}';
    text_.append(" ").append(std::to_string(value)).append("\n");
}

}  // namespace weir::metrics
