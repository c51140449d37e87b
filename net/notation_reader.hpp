#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "net/address.hpp"

// Words, numbers and addresses of a line in packet notation.
namespace weir::net {

inline constexpr std::size_t max_notation_bytes = 64 * 1024;  // of a line
inline constexpr unsigned max_notation_depth = 4;             // packets within packets

// Takes a line apart word by word; {…} counts as one word, braces taken off.
class NotationReader {
public:
    explicit NotationReader(std::string_view line) : rest_(line) {}

    // The next word, or empty at the end.
    std::string_view next();
    bool next_was_braced() const { return braced_; }

    // An unclosed brace, found by next() on its way.
    bool unbalanced() const { return unbalanced_; }

private:
    std::string_view braced_word();

    std::string_view rest_;
    bool braced_ = false;
    bool unbalanced_ = false;
};

Error bad_word(std::string_view word, std::string why);

// Decimal or 0x…, at most `max`.
Result<std::uint64_t> read_number(std::string_view word, std::string_view digits,
                                  std::uint64_t max);
Result<std::vector<std::uint8_t>> read_hex(std::string_view word, std::string_view digits);
Result<std::vector<std::uint64_t>> read_numbers(std::string_view word, std::string_view list,
                                                char separator,
                                                std::initializer_list<std::uint64_t> maxima);

struct Endpoint {
    Ip ip;
    std::optional<std::uint16_t> port;
};
// 10.0.0.1, 10.0.0.1:80, fd00::1, [fd00::1] or [fd00::1]:80
Result<Endpoint> read_endpoint(std::string_view word);

// "key=value" → {key, value}; no '=': {word, ""} and `has_value` false.
struct KeyValue {
    std::string_view key, value;
    bool has_value = false;
};
KeyValue split(std::string_view word);

}  // namespace weir::net
