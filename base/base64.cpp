#include "base/base64.hpp"

#include <array>

namespace weir {

namespace {

constexpr std::string_view letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t no_letter = 64;

constexpr std::array<std::uint8_t, 256> values = [] {
    std::array<std::uint8_t, 256> out{};
    for (std::uint8_t& one : out) one = no_letter;
    for (std::uint8_t i = 0; i < letters.size(); ++i)
        out[static_cast<std::uint8_t>(letters[i])] = i;
    return out;
}();

}  // namespace

std::string to_base64(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 |
                    (at + i < bytes.size() ? static_cast<std::uint8_t>(bytes[at + i]) : 0u);
        for (std::size_t i = 0; i < 4; ++i)
            out += at + i <= bytes.size() ? letters[group >> (18 - 6 * i) & 63] : '=';
    }
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    std::string out;
    out.reserve(text.size() / 4 * 3);
    for (std::size_t at = 0; at < text.size(); at += 4) {
        const bool last = at + 4 == text.size();
        const std::size_t count = last ? 4 - padding : 4;
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const std::uint8_t value =
                i < count ? values[static_cast<std::uint8_t>(text[at + i])] : std::uint8_t{0};
            if (value == no_letter) return std::nullopt;
            group = group << 6 | value;
        }
        for (std::size_t i = 0; i + 1 < count; ++i)
            out += static_cast<char>(group >> (16 - 8 * i) & 0xff);
        if (last && (group & ((1u << 8 * (4 - count)) - 1)) != 0) return std::nullopt;
    }
    return out;
}

}  // namespace weir
