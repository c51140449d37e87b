#include "model/json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

namespace weir::model {

namespace {

using Json = nlohmann::json;

// Builds the tree while the parser reads, so that limits hold before memory is spent.
class Builder {
public:
    using number_integer_t = Json::number_integer_t;
    using number_unsigned_t = Json::number_unsigned_t;
    using number_float_t = Json::number_float_t;
    using string_t = Json::string_t;
    using binary_t = Json::binary_t;

    explicit Builder(const TextLimits& limits) : limits_(limits) {}

    bool null() { return add(Value()); }
    bool boolean(bool value) { return add(Value(value)); }
    bool number_integer(number_integer_t value) { return add(Value(std::int64_t{value})); }
    bool number_unsigned(number_unsigned_t value) { return add(Value(std::uint64_t{value})); }
    bool number_float(number_float_t value, const string_t& text) {
        const bool integer = text.find_first_of(".eE") == string_t::npos;
        if (integer) return refuse(Errc::invalid, "the integer " + text + " is too large");
        return add(Value(value));
    }
    bool string(string_t& value) { return add(Value(std::move(value))); }
    bool binary(binary_t&) { return refuse(Errc::invalid, "binary content is not JSON"); }
    bool key(string_t& value) {
        key_ = std::move(value);
        return true;
    }
    bool start_object(std::size_t) { return open(Value::object()); }
    bool start_array(std::size_t) { return open(Value::array()); }
    bool end_object() { return open_.pop_back(), true; }
    bool end_array() { return open_.pop_back(), true; }
    bool parse_error(std::size_t position, const std::string&, const Json::exception& error) {
        std::string_view why = error.what();
        const std::size_t colon = why.find("]: ") == why.npos ? why.npos : why.find(": ");
        if (colon != why.npos) why.remove_prefix(colon + 2);
        return refuse(Errc::invalid,
                      "not JSON at byte " + std::to_string(position) + ": " + std::string(why));
    }

    Result<Value> finish(bool good) && {
        if (!good) return std::move(error_);
        return std::move(root_);
    }

private:
    bool refuse(Errc code, std::string why) {
        error_ = {code, {}, {}, std::move(why)};
        return false;
    }
    bool add(Value value) { return place(std::move(value)) != nullptr; }
    bool open(Value value) {
        if (open_.size() >= limits_.max_depth)
            return refuse(Errc::limit, "nested deeper than " + std::to_string(limits_.max_depth));
        Value* placed = place(std::move(value));
        if (placed) open_.push_back(placed);
        return placed != nullptr;
    }
    // Only the innermost open container grows, so pointers to its ancestors stay good.
    Value* place(Value value) {
        if (++count_ > limits_.max_values) {
            refuse(Errc::limit, "more than " + std::to_string(limits_.max_values) + " values");
            return nullptr;
        }
        if (open_.empty()) return &(root_ = std::move(value));
        if (open_.back()->is_array()) return &open_.back()->push(std::move(value));
        auto& members = open_.back()->edit_members();
        return &members.emplace_back(Value::Member{std::move(key_), std::move(value)}).value;
    }

    TextLimits limits_;
    Value root_;
    std::vector<Value*> open_;
    std::string key_;
    std::size_t count_ = 0;
    Error error_{Errc::internal, {}, {}, "nothing was read"};
};

void append_text(std::string& out, const std::string& text) {
    const bool plain = std::ranges::all_of(text, [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f &&
               c != '"' && c != '\\';
    });
    if (plain) {
        out.append(1, '"').append(text).append(1, '"');
    } else {
        out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
    }
}

void new_line(std::string& out, int indent) {
    if (indent >= 0) out.append(1, '\n').append(static_cast<std::size_t>(indent) * 2, ' ');
}

void append_scalar(std::string& out, const Value& value) {
    if (value.is_null()) {
        out += "null";
    } else if (value.is_bool()) {
        out += value.as_bool() ? "true" : "false";
    } else if (value.is_integer()) {
        const bool negative = value.as_int() < 0;
        out += negative ? std::to_string(value.as_int()) : std::to_string(value.as_uint());
    } else if (value.is_number()) {
        out += std::isfinite(value.as_double()) ? Json(value.as_double()).dump() : "null";
    } else if (value.is_word()) {
        const Value meant = value.resolved();
        if (meant.is_word()) return append_text(out, meant.as_text());
        append_scalar(out, meant);
    } else {
        append_text(out, value.as_text());
    }
}

// `indent` is the depth in pretty form and negative in the compact one.
void append(std::string& out, const Value& value, int indent) {
    const int inner = indent < 0 ? indent : indent + 1;
    bool first = true;
    auto separate = [&] {
        if (!first) out += ',';
        first = false;
        new_line(out, inner);
    };
    if (value.is_array()) {
        out += '[';
        for (const Value& item : value.items()) {
            separate();
            append(out, item, inner);
        }
        if (!first) new_line(out, indent);
        out += ']';
    } else if (value.is_object()) {
        out += '{';
        for (const auto& [key, member] : value.members()) {
            separate();
            append_text(out, key);
            out += indent < 0 ? ":" : ": ";
            append(out, member, inner);
        }
        if (!first) new_line(out, indent);
        out += '}';
    } else {
        append_scalar(out, value);
    }
}

}  // namespace

Result<Value> parse_json(std::string_view text, const TextLimits& limits) {
    if (text.size() > limits.max_bytes)
        return Error{Errc::limit,
                     {},
                     {},
                     "the text is longer than " + std::to_string(limits.max_bytes) + " bytes"};
    Builder builder(limits);
    const bool good = Json::sax_parse(text, &builder);
    return std::move(builder).finish(good);
}

std::string dump_json(const Value& value) {
    std::string out;
    append(out, value, -1);
    return out;
}

std::string pretty_json(const Value& value) {
    std::string out;
    append(out, value, 0);
    return out + "\n";
}

}  // namespace weir::model
