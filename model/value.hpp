#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weir::model {

// A tree of plain values: what JSON and YAML say before a description gives it types.
//
// Objects keep the order they were written in and may hold a key twice; decoding refuses that with
// the place. `line` counts from 1 and is 0 where the text had none (JSON, values made by code).
class Value {
public:
    struct Member;
    using Array = std::vector<Value>;
    using Object = std::vector<Member>;

    Value() = default;
    Value(std::nullptr_t);
    Value(bool value);
    Value(std::int64_t value);
    Value(std::uint64_t value);
    Value(int value);
    Value(unsigned value);
    Value(double value);
    Value(std::string value);
    Value(std::string_view value);
    Value(const char* value);
    Value(Array items);
    Value(Object members);

    static Value array();
    static Value object();
    // A word without quotes, e.g. a YAML scalar or `key=value` of a command line. It becomes a
    // number, a truth value or text by what the reader expects there.
    static Value word(std::string text);

    bool is_null() const { return std::holds_alternative<std::monostate>(content_); }
    bool is_bool() const { return std::holds_alternative<bool>(content_); }
    bool is_integer() const {
        return std::holds_alternative<std::int64_t>(content_) ||
               std::holds_alternative<std::uint64_t>(content_);
    }
    bool is_number() const { return is_integer() || std::holds_alternative<double>(content_); }
    bool is_text() const { return std::holds_alternative<std::string>(content_); }
    bool is_word() const { return is_text() && word_; }
    bool is_array() const { return std::holds_alternative<Array>(content_); }
    bool is_object() const { return std::holds_alternative<Object>(content_); }

    // What is there, else the fallback. Integers out of the range of the answer give the fallback.
    bool as_bool(bool fallback = false) const;
    std::int64_t as_int(std::int64_t fallback = 0) const;
    std::uint64_t as_uint(std::uint64_t fallback = 0) const;
    double as_double(double fallback = 0) const;
    const std::string& as_text() const;  // empty if this is no text
    const Array& items() const;          // empty if this is no array
    const Object& members() const;       // empty if this is no object

    std::size_t size() const;  // items or members; 0 for anything else
    // The member, or null (of the C++ kind) if this is no object or has none.
    const Value* find(std::string_view key) const;
    // The member, or a null value.
    const Value& operator[](std::string_view key) const;
    const Value& operator[](const char* key) const { return (*this)[std::string_view(key)]; }
    // Sets the member, making this an object if it was none. Gives back the new member's value.
    Value& set(std::string key, Value value);
    // Adds an item, making this an array if it was none. Gives back the new item.
    Value& push(Value item);
    Object& edit_members();  // makes this an object if it was none
    Array& edit_items();     // makes this an array if it was none

    // Words as the YAML core schema reads them: null, true/false, integers, numbers, else text.
    Value resolved() const;
    // "text", "a list", "true or false", … for messages.
    std::string_view type_name() const;

    std::uint32_t line = 0;

    // Equal content; lines and the order of members do not count.
    friend bool operator==(const Value& a, const Value& b);

private:
    // Unsigned only where a signed integer is too small.
    std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array,
                 Object>
        content_;
    bool word_ = false;
};

struct Value::Member {
    std::string key;
    Value value;
    friend bool operator==(const Member&, const Member&) = default;
};

inline Value::Value(std::nullptr_t) {}
inline Value::Value(bool value) : content_(value) {}
inline Value::Value(std::int64_t value) : content_(value) {}
inline Value::Value(int value) : content_(static_cast<std::int64_t>(value)) {}
inline Value::Value(unsigned value) : content_(static_cast<std::int64_t>(value)) {}
inline Value::Value(double value) : content_(value) {}
inline Value::Value(std::string value) : content_(std::move(value)) {}
inline Value::Value(std::string_view value) : content_(std::string(value)) {}
inline Value::Value(const char* value) : content_(std::string(value)) {}

}  // namespace weir::model
