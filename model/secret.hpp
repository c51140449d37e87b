#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/value.hpp"

namespace weir::model {

struct FieldInfo;
class Kind;

// Key material, written as hexadecimal digits. Operators write it and nobody reads it again: where
// Weir shows resources, `hidden` stands in its place. Writing `hidden` back keeps what is stored.
struct Secret {
    static constexpr std::string_view notation = "secret";
    static constexpr std::string_view hidden = "hidden";
    static constexpr std::size_t min_bytes = 16, max_bytes = 64;

    std::vector<std::uint8_t> bytes;  // empty: unset

    // The message of an error never quotes the text.
    static Result<Secret> parse(std::string_view text);
    std::string text() const;
    static Secret arbitrary(std::uint64_t seed);
    friend auto operator<=>(const Secret&, const Secret&) = default;
};

// Puts `hidden` in the place of every secret of a resource's fields.
void hide_secrets(const std::vector<FieldInfo>& fields, Value& resource);
// The same for the value of one field.
void hide_secret(const FieldInfo& field, Value& value);
// Replaces every `hidden` by what `stored` holds there; entries of lists are matched by their first
// field. What has no match stays `hidden`, which parse() refuses.
void fill_secrets(const std::vector<FieldInfo>& fields, const Value& stored, Value& resource);

}  // namespace weir::model
