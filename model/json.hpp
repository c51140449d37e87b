#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

// JSON text and value trees (RFC 8259). The text is untrusted.
namespace weir::model {

struct TextLimits {
    std::size_t max_bytes = std::size_t{16} << 20;
    std::size_t max_depth = 32;
    std::size_t max_values = std::size_t{4} << 20;  // scalars, lists and maps together
};

// Limits for what our own programs exchange, e.g. whole snapshots.
inline constexpr TextLimits trusted_limits{std::size_t{1} << 30, 32, std::size_t{256} << 20};

// Errors: limit (too big, too deep), invalid (syntax with byte position, not UTF-8).
Result<Value> parse_json(std::string_view text, const TextLimits& limits = {});

// Without spaces and line ends. Words become what they mean; what is not UTF-8 becomes U+FFFD.
std::string dump_json(const Value& value);
// Indented, one member a line, for people.
std::string pretty_json(const Value& value);

}  // namespace weir::model
