#include "net/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace weir::net {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

// Text from outside as it may stand in an error: bounded, printable.
std::string quoted(std::string_view text) {
    std::string out = "'";
    for (char c : text.substr(0, 64)) out += c >= 0x20 && c < 0x7f ? c : '?';
    return out + (text.size() > 64 ? "…'" : "'");
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The first longest run of at least two zero groups, as [first, last) (RFC 5952 §4.2).
std::pair<int, int> zero_run(const std::array<std::uint16_t, 8>& groups) {
    std::pair<int, int> best{0, 0};
    for (int i = 0; i < 8; ++i) {
        int end = i;
        while (end < 8 && groups[static_cast<std::size_t>(end)] == 0) ++end;
        if (end - i >= 2 && end - i > best.second - best.first) best = {i, end};
        if (end > i) i = end;
    }
    return best;
}

std::string text6(const std::uint8_t* p) {
    std::array<std::uint16_t, 8> groups;
    for (std::size_t i = 0; i < 8; ++i)
        groups[i] = static_cast<std::uint16_t>(p[2 * i] << 8 | p[2 * i + 1]);
    const auto [first, last] = zero_run(groups);
    std::string out;
    for (int i = 0; i < 8; ++i) {
        if (i == first && last > first) {
            out += "::";
            i = last - 1;
            continue;
        }
        if (!out.empty() && out.back() != ':') out += ':';
        char digits[4];
        auto end = std::to_chars(digits, digits + 4, groups[static_cast<std::size_t>(i)], 16).ptr;
        out.append(digits, end);
    }
    return out;
}

unsigned address_bits(const Ip& ip) {
    return ip.is4() ? 32 : 128;
}
unsigned first_bit(const Ip& ip) {
    return ip.is4() ? 96 : 0;
}

}  // namespace

Result<Mac> Mac::parse(std::string_view text) {
    Mac mac;
    bool good = text.size() == 17;
    for (std::size_t i = 0; good && i < 6; ++i) {
        const int high = hex_value(text[3 * i]), low = hex_value(text[3 * i + 1]);
        good = high >= 0 && low >= 0 && (i == 5 || text[3 * i + 2] == ':');
        mac.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    if (!good) return invalid("", quoted(text) + " is not a MAC address like 02:00:00:00:00:01");
    return mac;
}

std::string Mac::text() const {
    std::string out;
    for (std::uint8_t byte : bytes) {
        if (!out.empty()) out += ':';
        out += hex_digits[byte >> 4];
        out += hex_digits[byte & 15];
    }
    return out;
}

Result<Ip> Ip::parse(std::string_view text) {
    char buffer[INET6_ADDRSTRLEN] = {};
    const bool fits = text.size() < sizeof buffer && text.find('\0') == std::string_view::npos;
    if (fits) std::copy(text.begin(), text.end(), buffer);
    std::uint8_t bytes[16];
    if (fits && inet_pton(AF_INET, buffer, bytes) == 1) return from4(bytes);
    if (!fits || inet_pton(AF_INET6, buffer, bytes) != 1)
        return invalid("", quoted(text) + " is not an IPv4 or IPv6 address");
    Ip ip = from6(bytes);
    if (ip.is4()) return invalid("", quoted(text) + " is IPv4-mapped; write " + ip.text());
    return ip;
}

bool Ip::is_zero() const {
    return *this == Ip{} || *this == from4(0u);
}

bool Ip::is_link_local() const {
    if (is4()) return data4()[0] == 169 && data4()[1] == 254;
    return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

std::string Ip::text() const {
    if (!is4()) return text6(data6());
    std::string out;
    for (int i = 0; i < 4; ++i) out += (i ? "." : "") + std::to_string(data4()[i]);
    return out;
}

Result<Prefix> Prefix::parse_host(std::string_view text) {
    const std::size_t slash = text.find('/');
    Result<Ip> ip = Ip::parse(text.substr(0, slash));
    if (!ip) return ip.error();
    const unsigned bits = address_bits(*ip);
    if (slash == std::string_view::npos) return Prefix{*ip, static_cast<std::uint8_t>(bits)};
    const std::string_view tail = text.substr(slash + 1);
    unsigned length = 0;
    const auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), length);
    const bool leading_zero = tail.size() > 1 && tail[0] == '0';
    if (error != std::errc{} || end != tail.data() + tail.size() || leading_zero || length > bits)
        return invalid("", quoted(text) + " needs a length of 0 to " + std::to_string(bits) +
                               " behind the slash");
    return Prefix{*ip, static_cast<std::uint8_t>(length)};
}

Result<Prefix> Prefix::parse(std::string_view text) {
    Result<Prefix> prefix = parse_host(text);
    if (!prefix) return prefix;
    if (prefix->network() != *prefix)
        return invalid("", quoted(text) + " has host bits set; write " + prefix->network().text());
    return prefix;
}

bool Prefix::contains(const Ip& ip) const {
    if (ip.is4() != address.is4()) return false;
    const unsigned end = first_bit(address) + length;
    const std::size_t whole = end / 8;
    if (std::memcmp(ip.bytes.data(), address.bytes.data(), whole) != 0) return false;
    if (end % 8 == 0) return true;
    const unsigned shift = 8 - end % 8;
    return ip.bytes[whole] >> shift == address.bytes[whole] >> shift;
}

Prefix Prefix::network() const {
    Prefix out = *this;
    const unsigned end = first_bit(address) + length;
    for (unsigned byte = 0; byte < 16; ++byte) {
        if (byte * 8 >= end)
            out.address.bytes[byte] = 0;
        else if (byte * 8 + 8 > end)
            out.address.bytes[byte] &= static_cast<std::uint8_t>(0xff00u >> (end - byte * 8));
    }
    return out;
}

std::string Prefix::text() const {
    return address.text() + "/" + std::to_string(length);
}

}  // namespace weir::net
