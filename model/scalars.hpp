#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "model/describe.hpp"
#include "model/errors.hpp"
#include "model/value.hpp"

// The leaves of decoding and checking; model/walk.hpp calls them with types taken away.
namespace weir::model {

// Where problems of one resource go.
struct Sink {
    Errors& errors;
    std::string object;  // "firewall-rule/web"

    // `at` gives the line, if the text had one.
    void fail(const Path& path, std::string message, const Value* at = nullptr) const;
};

// The bounds an integer of a type has anyway.
struct IntegerLimits {
    std::int64_t min;
    std::uint64_t max;
};

// Each gives false after telling the sink why.
bool decode_bool(const Value& value, bool& out, const Path& path, const Sink& sink);
bool decode_text(const Value& value, std::string& out, const Path& path, const Sink& sink);
// The digits of an integer, where the notation of a field takes those; false for anything else.
bool number_text(const Value& value, std::string& out);
// The answer holds the bits of a signed or an unsigned integer, whichever `limits` speak of.
bool decode_integer(const Value& value, std::uint64_t& out, IntegerLimits limits,
                    const Bounds& bounds, const Path& path, const Sink& sink);
bool decode_labels(const Value& value, Labels& out, const Path& path, const Sink& sink);
// The items of a list; a word "a,b" counts as a list of two words.
bool decode_items(const Value& value, Value::Array& out, const Path& path, const Sink& sink);

void check_integer(bool below, bool above, const std::string& value, const Bounds& bounds,
                   const Path& path, const Sink& sink);
void check_text(const std::string& value, const Bounds& bounds, const Path& path, const Sink& sink);
void check_count(std::size_t count, const Bounds& bounds, const Path& path, const Sink& sink);
void check_labels(const Labels& labels, const Bounds& bounds, const Path& path, const Sink& sink);
void check_name(const std::string& name, const Path& path, const Sink& sink);

// Why this cannot name a resource; empty if it can: lower-case letters, digits, '-' and '.', first
// and last a letter or digit, at most limits::max_name_bytes bytes.
std::string why_no_name(std::string_view name);
bool is_utf8(std::string_view text);
// UTF-8 that every reader of JSON and YAML leaves as it is: no NUL, no noncharacter (Unicode 23.7).
bool is_text(std::string_view text);
// The text shortened and made printable for use in a message.
std::string in_quotes(std::string_view text);

}  // namespace weir::model
