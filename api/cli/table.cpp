#include "api/cli/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "model/json.hpp"

namespace weir::cli {

namespace {

// Columns on the screen: UTF-8 continuation bytes take none.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool is_number(const std::string& text) {
    return text.empty() || text.find_first_not_of("0123456789.,-") == std::string::npos;
}

}  // namespace

std::string Table::text() const {
    std::vector<std::size_t> widths;
    std::vector<bool> right(header_.size(), !rows_.empty());
    for (const std::string& title : header_) widths.push_back(width_of(title));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
            widths[i] = std::max(widths[i], width_of(row[i]));
            if (!is_number(row[i])) right[i] = false;
        }
    std::string out;
    const auto line = [&](const std::vector<std::string>& cells) {
        std::string text;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            const std::string cell = i < cells.size() ? cells[i] : "";
            const std::string fill(widths[i] - width_of(cell), ' ');
            text += (i ? "  " : "") + (right[i] ? fill + cell : cell + fill);
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + "\n";
    };
    line(header_);
    for (const auto& row : rows_) line(row);
    return out;
}

std::string inline_text(const model::Value& value) {
    if (value.is_null()) return {};
    if (value.is_text()) return value.as_text();
    std::string out;
    if (value.is_array()) {
        for (const model::Value& item : value.items())
            out += (out.empty() ? "" : ",") +
                   (item.is_object() ? "{" + inline_text(item) + "}" : inline_text(item));
        return out;
    }
    if (value.is_object()) {
        for (const auto& member : value.members())
            out += (out.empty() ? "" : " ") + member.key + "=" + inline_text(member.value);
        return out;
    }
    return model::dump_json(value);
}

std::string duration_text(double seconds) {
    char text[32];
    if (seconds < 1) std::snprintf(text, sizeof text, "%.0f ms", seconds * 1000);
    else if (seconds < 120) std::snprintf(text, sizeof text, "%.0f s", seconds);
    else if (seconds < 7200) std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
    else std::snprintf(text, sizeof text, "%.0f h", seconds / 3600);
    return text;
}

}  // namespace weir::cli
