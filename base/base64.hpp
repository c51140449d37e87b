#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

// Bytes as text, RFC 4648 §4, padded.
std::string to_base64(std::string_view bytes);
// Nothing unless the text is exactly what to_base64() writes.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace weir
