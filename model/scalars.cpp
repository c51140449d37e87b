#include "model/scalars.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/closest.hpp"
#include "base/limits.hpp"
#include "model/walk.hpp"

namespace weir::model {

namespace {

constexpr std::size_t max_label_bytes = 255;

std::string line_note(const Value* at) {
    return at && at->line ? " (line " + std::to_string(at->line) + ")" : std::string();
}

std::string expected(std::string_view what, const Value& value) {
    std::string out = "expected " + std::string(what) + ", found ";
    if (value.is_text()) return out + in_quotes(value.as_text());
    return out + std::string(value.type_name());
}

bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// The bytes a UTF-8 sequence that starts with `lead` has, and the smallest code point allowed.
struct Sequence {
    std::size_t bytes;
    std::uint32_t smallest;
};
Sequence sequence_of(unsigned char lead) {
    if (lead < 0x80) return {1, 0};
    if ((lead & 0xe0) == 0xc0) return {2, 0x80};
    if ((lead & 0xf0) == 0xe0) return {3, 0x800};
    if ((lead & 0xf8) == 0xf0) return {4, 0x10000};
    return {0, 0};
}

// Whether `text` is UTF-8 and `allowed` takes each of its code points.
template <class Allowed>
bool every_point(std::string_view text, Allowed&& allowed) {
    for (std::size_t i = 0; i < text.size();) {
        const Sequence sequence = sequence_of(static_cast<unsigned char>(text[i]));
        if (sequence.bytes == 0 || text.size() - i < sequence.bytes) return false;
        std::uint32_t point = static_cast<unsigned char>(text[i]);
        if (sequence.bytes > 1) point &= 0x7fu >> sequence.bytes;
        for (std::size_t k = 1; k < sequence.bytes; ++k) {
            const auto byte = static_cast<unsigned char>(text[i + k]);
            if ((byte & 0xc0) != 0x80) return false;
            point = point << 6 | (byte & 0x3fu);
        }
        if (point < sequence.smallest || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return false;
        if (!allowed(point)) return false;
        i += sequence.bytes;
    }
    return true;
}

// One integer, read from a number or a word. `negative` tells how `bits` is meant.
struct Integer {
    bool negative = false;
    std::uint64_t bits = 0;
    std::string text;
};

bool read_integer(const Value& value, Integer& out) {
    if (value.is_integer()) {
        const std::int64_t small = value.as_int(-1);
        out.negative = small < 0 && value.as_uint() == 0;
        out.bits = out.negative ? static_cast<std::uint64_t>(small) : value.as_uint();
        out.text = out.negative ? std::to_string(small) : std::to_string(out.bits);
        return true;
    }
    if (!value.is_word()) return false;
    const Value word = value.resolved();
    return word.is_integer() && read_integer(word, out);
}

}  // namespace

void Sink::fail(const Path& path, std::string message, const Value* at) const {
    errors.add({Errc::invalid, object, path.text(), std::move(message) + line_note(at)});
}

bool is_utf8(std::string_view text) {
    return every_point(text, [](std::uint32_t) { return true; });
}

bool is_text(std::string_view text) {
    return every_point(text, [](std::uint32_t point) {
        const bool is_noncharacter =
            (point & 0xfffe) == 0xfffe || (point >= 0xfdd0 && point <= 0xfdef);
        return point != 0 && !is_noncharacter;
    });
}

std::string in_quotes(std::string_view text) {
    constexpr std::size_t most = 60;
    std::string out = "\"";
    for (char c : text.substr(0, most))
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    if (text.size() > most) {
        while (!out.empty() && !is_utf8(out)) out.pop_back();
        out += "…";
    }
    return out + "\"";
}

bool decode_bool(const Value& value, bool& out, const Path& path, const Sink& sink) {
    if (value.is_bool()) return out = value.as_bool(), true;
    if (value.is_word()) {
        const std::string& word = value.as_text();
        if (word == "true" || word == "yes") return out = true, true;
        if (word == "false" || word == "no") return out = false, true;
    }
    sink.fail(path, expected("true or false", value), &value);
    return false;
}

bool decode_text(const Value& value, std::string& out, const Path& path, const Sink& sink) {
    if (!value.is_text()) {
        sink.fail(path, expected("text", value), &value);
        return false;
    }
    const std::string& text = value.as_text();
    if (!is_text(text)) {
        sink.fail(path, "is not valid UTF-8 text", &value);
        return false;
    }
    out = text;
    return true;
}

bool number_text(const Value& value, std::string& out) {
    Integer number;
    if (!value.is_integer() || !read_integer(value, number)) return false;
    out = std::move(number.text);
    return true;
}

bool decode_integer(const Value& value, std::uint64_t& out, IntegerLimits limits,
                    const Bounds& bounds, const Path& path, const Sink& sink) {
    Integer number;
    if (!read_integer(value, number)) {
        sink.fail(path, expected("an integer", value), &value);
        return false;
    }
    if (bounds.bounded) limits = {bounds.min, static_cast<std::uint64_t>(bounds.max)};
    const auto as_signed = static_cast<std::int64_t>(number.bits);
    const bool below = number.negative
                           ? limits.min >= 0 || as_signed < limits.min
                           : limits.min > 0 && number.bits < static_cast<std::uint64_t>(limits.min);
    const bool max_negative = bounds.bounded && bounds.max < 0;
    const bool above = number.negative ? max_negative && as_signed > bounds.max
                                       : max_negative || number.bits > limits.max;
    if (below) sink.fail(path, number.text + " is below " + std::to_string(limits.min), &value);
    if (above) {
        const std::string most =
            max_negative ? std::to_string(bounds.max) : std::to_string(limits.max);
        sink.fail(path, number.text + " is above " + most, &value);
    }
    out = number.bits;
    return !below && !above;
}

bool decode_labels(const Value& value, Labels& out, const Path& path, const Sink& sink) {
    if (!value.is_object()) {
        sink.fail(path, expected("a map of texts", value), &value);
        return false;
    }
    Labels labels;
    bool good = true;
    for (const auto& [key, item] : value.members()) {
        if (sink.errors.full()) return false;
        std::string text;
        const Path here = path.field(key);
        if (!decode_text(item, text, here, sink)) {
            good = false;
        } else if (!labels.emplace(key, std::move(text)).second) {
            sink.fail(here, "is written twice", &item);
            good = false;
        }
    }
    if (good) out = std::move(labels);
    return good;
}

bool decode_items(const Value& value, Value::Array& out, const Path& path, const Sink& sink) {
    if (value.is_array()) return out = value.items(), true;
    if (!value.is_word()) {
        sink.fail(path, expected("a list", value), &value);
        return false;
    }
    std::string_view rest = value.as_text();
    while (true) {
        const std::size_t comma = rest.find(',');
        out.push_back(Value::word(std::string(rest.substr(0, comma))));
        out.back().line = value.line;
        if (comma == std::string_view::npos) return true;
        rest.remove_prefix(comma + 1);
    }
}

void check_members(const Value& value, const std::vector<std::string_view>& known, const Path& path,
                   const Sink& sink) {
    const Value::Object& members = value.members();
    for (std::size_t i = 0; i < members.size() && !sink.errors.full(); ++i) {
        const auto& [key, item] = members[i];
        if (std::ranges::find(known, key) == known.end()) {
            sink.fail(path.field(in_quotes(key)), "is unknown" + did_you_mean(key, known), &item);
        } else if (value.find(key) != &item) {
            sink.fail(path.field(key), "is written twice", &item);
        }
    }
}

void check_integer(bool below, bool above, const std::string& value, const Bounds& bounds,
                   const Path& path, const Sink& sink) {
    if (below) sink.fail(path, value + " is below " + std::to_string(bounds.min));
    if (above) sink.fail(path, value + " is above " + std::to_string(bounds.max));
}

void check_text(const std::string& value, const Bounds& bounds, const Path& path,
                const Sink& sink) {
    const std::uint64_t most =
        bounds.bounded ? static_cast<std::uint64_t>(bounds.max) : default_max_text_bytes;
    if (value.size() > most)
        sink.fail(path, "has " + std::to_string(value.size()) + " bytes, more than " +
                            std::to_string(most));
    if (bounds.bounded && value.size() < static_cast<std::uint64_t>(bounds.min))
        sink.fail(path, "has " + std::to_string(value.size()) + " bytes, fewer than " +
                            std::to_string(bounds.min));
    if (!is_text(value)) sink.fail(path, "is not valid UTF-8 text");
}

void check_count(std::size_t count, const Bounds& bounds, const Path& path, const Sink& sink) {
    if (count < bounds.min_count)
        sink.fail(path, "has " + std::to_string(count) + " entries, fewer than " +
                            std::to_string(bounds.min_count));
    if (count > bounds.max_count)
        sink.fail(path, "has " + std::to_string(count) + " entries, more than " +
                            std::to_string(bounds.max_count));
}

void check_labels(const Labels& labels, const Bounds& bounds, const Path& path, const Sink& sink) {
    check_count(labels.size(), bounds, path, sink);
    for (const auto& [key, value] : labels) {
        const Path here = path.field(key);
        if (key.empty()) sink.fail(path, "has an entry without a key");
        if (key.size() > max_label_bytes || value.size() > max_label_bytes)
            sink.fail(here, "is longer than " + std::to_string(max_label_bytes) + " bytes");
        if (!is_text(key) || !is_text(value)) sink.fail(path, "is not valid UTF-8 text");
    }
}

std::string why_no_name(std::string_view name) {
    if (name.empty()) return "must not be empty";
    if (name.size() > limits::max_name_bytes)
        return "is longer than " + std::to_string(limits::max_name_bytes) + " bytes";
    const bool ends = is_lower_alnum(name.front()) && is_lower_alnum(name.back());
    const bool inside =
        std::ranges::all_of(name, [](char c) { return is_lower_alnum(c) || c == '-' || c == '.'; });
    if (ends && inside) return {};
    return in_quotes(name) +
           " is no name: use lower-case letters, digits, '-' and '.', "
           "first and last a letter or digit";
}

void check_name(const std::string& name, const Path& path, const Sink& sink) {
    if (std::string why = why_no_name(name); !why.empty()) sink.fail(path, std::move(why));
}

}  // namespace weir::model
