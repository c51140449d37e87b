#include "net/notation_line.hpp"

#include <algorithm>
#include <array>

#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/hash.hpp"
#include "net/wire.hpp"

namespace weir::net::notation {
namespace {

constexpr std::size_t max_data_bytes = 64;

void append_hex(std::string& out, std::span<const std::uint8_t> bytes) {
    for (std::uint8_t byte : bytes) {
        out += "0123456789abcdef"[byte >> 4];
        out += "0123456789abcdef"[byte & 15];
    }
}

}  // namespace

std::string hex_number(std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes;
    store64(bytes.data(), value);
    std::string digits;
    append_hex(digits, bytes);
    return "0x" + digits.substr(std::min(digits.find_first_not_of('0'), digits.size() - 1));
}

void Line::word(std::string_view word) {
    text_ += ' ';
    text_ += word;
}

void Line::pair(std::string_view key, std::string_view value) {
    word(key);
    text_ += '=';
    text_ += value;
}

void Line::number(std::string_view key, std::uint64_t value) {
    pair(key, std::to_string(value));
}

void Line::number_unless(std::string_view key, std::uint64_t value, std::uint64_t usual) {
    if (value != usual) number(key, value);
}

void Line::hex(std::string_view key, std::span<const std::uint8_t> bytes) {
    pair(key, "");
    append_hex(text_, bytes);
}

void Line::payload(std::span<const std::uint8_t> bytes) {
    if (bytes.empty()) return;
    bool counting = true;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        counting = counting && bytes[i] == static_cast<std::uint8_t>(i);
    if (!counting && bytes.size() <= max_data_bytes) return hex("data", bytes);
    number("len", bytes.size());
    if (!counting) pair("crc", hex_number(crc32c(bytes)));
}

void Line::braced(std::string_view packet) {
    text_ += " {";
    text_ += packet;
    text_ += '}';
}

std::string link_words(std::span<const std::uint8_t> frame, bool src, bool dst) {
    std::string out;
    for (std::size_t at = 12; at + 4 <= frame.size(); at += vlan_bytes) {
        const std::uint16_t type = load16(frame.data() + at);
        if (type != ethertype_vlan && type != ethertype_qinq) break;
        out += " vlan=" + std::to_string(load16(frame.data() + at + 2));
    }
    if (src) out += " smac=" + Mac::from(frame.data() + 6).text();
    if (dst) out += " dmac=" + Mac::from(frame.data()).text();
    return out;
}

std::string unusual_link_words(std::span<const std::uint8_t> frame) {
    const FrameSpec usual;
    return link_words(frame, Mac::from(frame.data() + 6) != usual.src_mac,
                      Mac::from(frame.data()) != usual.dst_mac);
}

}  // namespace weir::net::notation
