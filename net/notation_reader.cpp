#include "net/notation_reader.hpp"

#include <charconv>
#include <string>

namespace weir::net {
namespace {

constexpr std::string_view blanks = " \t\r\n";

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string_view NotationReader::braced_word() {
    unsigned depth = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
        if (rest_[i] == '{') ++depth;
        if (rest_[i] == '}' && --depth == 0) {
            const std::string_view word = rest_.substr(1, i - 1);
            rest_.remove_prefix(i + 1);
            return word;
        }
    }
    unbalanced_ = true;
    return std::exchange(rest_, {});
}

std::string_view NotationReader::next() {
    const std::size_t start = rest_.find_first_not_of(blanks);
    rest_.remove_prefix(start == std::string_view::npos ? rest_.size() : start);
    braced_ = !rest_.empty() && rest_[0] == '{';
    if (braced_) return braced_word();
    const std::size_t end = std::min(rest_.find_first_of(" \t\r\n{"), rest_.size());
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return word;
}

Error bad_word(std::string_view word, std::string why) {
    std::string field;
    for (char c : word.substr(0, 64)) field += c >= 0x20 && c < 0x7f ? c : '?';
    return invalid(std::move(field), std::move(why));
}

Result<std::uint64_t> read_number(std::string_view word, std::string_view digits,
                                  std::uint64_t max) {
    int base = 10;
    if (digits.starts_with("0x")) {
        base = 16;
        digits.remove_prefix(2);
    }
    std::uint64_t value = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
    if (error != std::errc{} || stop != end || value > max)
        return bad_word(word, "needs a number from 0 to " + std::to_string(max));
    return value;
}

Result<std::vector<std::uint8_t>> read_hex(std::string_view word, std::string_view digits) {
    std::vector<std::uint8_t> bytes(digits.size() / 2);
    bool good = digits.size() % 2 == 0;
    for (std::size_t i = 0; good && i < bytes.size(); ++i) {
        const int high = hex_value(digits[2 * i]), low = hex_value(digits[2 * i + 1]);
        good = high >= 0 && low >= 0;
        bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    if (!good) return bad_word(word, "needs an even number of hexadecimal digits");
    return bytes;
}

Result<std::vector<std::uint64_t>> read_numbers(std::string_view word, std::string_view list,
                                                char separator,
                                                std::initializer_list<std::uint64_t> maxima) {
    std::vector<std::uint64_t> values;
    for (std::uint64_t max : maxima) {
        const std::size_t end = std::min(list.find(separator), list.size());
        const auto value = read_number(word, list.substr(0, end), max);
        if (!value) return value.error();
        values.push_back(*value);
        if (values.size() == maxima.size() && end != list.size())
            return bad_word(word, "has too many parts");
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return values;
}

Result<Endpoint> read_endpoint(std::string_view word) {
    std::string_view address = word, port;
    if (word.starts_with('[')) {
        const std::size_t close = word.find(']');
        if (close == std::string_view::npos) return bad_word(word, "has no closing bracket");
        address = word.substr(1, close - 1);
        port = word.substr(close + 1);
        if (!port.empty() && port[0] != ':')
            return bad_word(word, "needs a colon behind the bracket");
    } else if (word.find(':') != std::string_view::npos && word.find(':') == word.rfind(':')) {
        address = word.substr(0, word.find(':'));
        port = word.substr(word.find(':'));
    }
    const Result<Ip> ip = Ip::parse(address);
    if (!ip) return bad_word(word, ip.error().message);
    Endpoint endpoint{*ip, std::nullopt};
    if (port.empty()) return endpoint;
    const auto number = read_number(word, port.substr(1), 65535);
    if (!number) return number.error();
    endpoint.port = static_cast<std::uint16_t>(*number);
    return endpoint;
}

KeyValue split(std::string_view word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return {word, {}, false};
    return {word.substr(0, equals), word.substr(equals + 1), true};
}

}  // namespace weir::net
