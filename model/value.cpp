#include "model/value.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

namespace weir::model {

Value::Value(std::uint64_t value) {
    if (std::in_range<std::int64_t>(value)) {
        content_ = static_cast<std::int64_t>(value);
    } else {
        content_ = value;
    }
}
Value::Value(Array items) : content_(std::move(items)) {}
Value::Value(Object members) : content_(std::move(members)) {}
Value Value::array() {
    return Value(Array{});
}
Value Value::object() {
    return Value(Object{});
}

Value Value::word(std::string text) {
    Value value(std::move(text));
    value.word_ = true;
    return value;
}

bool Value::as_bool(bool fallback) const {
    const bool* value = std::get_if<bool>(&content_);
    return value ? *value : fallback;
}

std::int64_t Value::as_int(std::int64_t fallback) const {
    if (const auto* value = std::get_if<std::int64_t>(&content_)) return *value;
    if (const auto* value = std::get_if<std::uint64_t>(&content_))
        return std::in_range<std::int64_t>(*value) ? static_cast<std::int64_t>(*value) : fallback;
    return fallback;
}

std::uint64_t Value::as_uint(std::uint64_t fallback) const {
    if (const auto* value = std::get_if<std::uint64_t>(&content_)) return *value;
    if (const auto* value = std::get_if<std::int64_t>(&content_))
        return *value >= 0 ? static_cast<std::uint64_t>(*value) : fallback;
    return fallback;
}

double Value::as_double(double fallback) const {
    if (const auto* value = std::get_if<double>(&content_)) return *value;
    if (const auto* value = std::get_if<std::int64_t>(&content_))
        return static_cast<double>(*value);
    if (const auto* value = std::get_if<std::uint64_t>(&content_))
        return static_cast<double>(*value);
    return fallback;
}

const std::string& Value::as_text() const {
    static const std::string none;
    const auto* value = std::get_if<std::string>(&content_);
    return value ? *value : none;
}

const Value::Array& Value::items() const {
    static const Array none;
    const auto* value = std::get_if<Array>(&content_);
    return value ? *value : none;
}

const Value::Object& Value::members() const {
    static const Object none;
    const auto* value = std::get_if<Object>(&content_);
    return value ? *value : none;
}

std::size_t Value::size() const {
    return is_array() ? items().size() : members().size();
}

const Value* Value::find(std::string_view key) const {
    for (const Member& member : members())
        if (member.key == key) return &member.value;
    return nullptr;
}

const Value& Value::operator[](std::string_view key) const {
    static const Value none;
    const Value* value = find(key);
    return value ? *value : none;
}

Value& Value::set(std::string key, Value value) {
    Object& members = edit_members();
    for (Member& member : members)
        if (member.key == key) return member.value = std::move(value);
    return members.emplace_back(Member{std::move(key), std::move(value)}).value;
}

Value& Value::push(Value item) {
    return edit_items().emplace_back(std::move(item));
}

Value::Object& Value::edit_members() {
    if (!is_object()) content_.emplace<Object>();
    word_ = false;
    return std::get<Object>(content_);
}

Value::Array& Value::edit_items() {
    if (!is_array()) content_.emplace<Array>();
    word_ = false;
    return std::get<Array>(content_);
}

namespace {

// A key that is written twice keeps both values, in their order.
std::vector<const Value::Member*> by_key(const Value& object) {
    std::vector<const Value::Member*> all;
    for (const Value::Member& member : object.members()) all.push_back(&member);
    std::ranges::stable_sort(all, {}, &Value::Member::key);
    return all;
}

template <class T>
bool read_whole(std::string_view text, T& out) {
    if (!text.empty() && text.front() == '+') text.remove_prefix(1);
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Value Value::resolved() const {
    if (!is_word()) return *this;
    const std::string& text = as_text();
    Value out;
    if (text.empty() || text == "~" || text == "null") {
        out = Value();
    } else if (text == "true" || text == "false") {
        out = Value(text == "true");
    } else if (std::int64_t i = 0; read_whole(text, i)) {
        out = Value(i);
    } else if (std::uint64_t u = 0; read_whole(text, u)) {
        out = Value(u);
    } else if (double d = 0; (std::isdigit(static_cast<unsigned char>(text.back())) != 0) &&
                             read_whole(text, d) && std::isfinite(d)) {
        out = Value(d);
    } else {
        out = Value(text);
    }
    out.line = line;
    return out;
}

std::string_view Value::type_name() const {
    if (is_null()) return "nothing";
    if (is_bool()) return "true or false";
    if (is_number()) return "a number";
    if (is_word()) return "a word";
    if (is_text()) return "text";
    return is_array() ? "a list" : "a map";
}

bool operator==(const Value& a, const Value& b) {
    if (!a.is_object() || !b.is_object()) return a.content_ == b.content_;
    return std::ranges::equal(by_key(a), by_key(b),
                              [](const auto* one, const auto* other) { return *one == *other; });
}

}  // namespace weir::model
