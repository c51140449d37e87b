#include "example/nat.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace weir::example {
namespace {

std::uint16_t get16(std::span<const std::uint8_t> b, std::size_t at) {
    return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}

void put16(std::span<std::uint8_t> b, std::size_t at, std::uint16_t value) {
    b[at] = static_cast<std::uint8_t>(value >> 8);
    b[at + 1] = static_cast<std::uint8_t>(value);
}

// RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
std::uint16_t updated(std::uint16_t checksum, std::span<const std::uint8_t> from,
                      std::span<const std::uint8_t> to) {
    std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
    for (std::size_t at = 0; at < 4; at += 2)
        sum += static_cast<std::uint16_t>(~get16(from, at)) + std::uint32_t{get16(to, at)};
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

// Where the checksum of the transport header stands, from the start of that header; 0: nowhere.
std::size_t transport_checksum(std::span<const std::uint8_t> ip, std::size_t header) {
    const bool later_fragment = (get16(ip, 6) & 0x1fff) != 0;
    if (later_fragment) return 0;
    if (ip[9] == 6 && ip.size() >= header + 18) return 16;
    return ip[9] == 17 && ip.size() >= header + 8 && get16(ip, header + 6) != 0 ? 6 : 0;
}

void replace(std::span<std::uint8_t> ip, std::size_t header, std::size_t at,
             const std::array<std::uint8_t, 4>& to) {
    const auto from = ip.subspan(at, 4);
    put16(ip, 10, updated(get16(ip, 10), from, to));
    if (const std::size_t place = transport_checksum(ip, header)) {
        std::uint16_t sum = updated(get16(ip, header + place), from, to);
        if (ip[9] == 17 && sum == 0) sum = 0xffff;
        put16(ip, header + place, sum);
    }
    std::ranges::copy(to, from.begin());
}

}  // namespace

std::optional<Translation> parse_translation(const std::string& text) {
    const std::size_t sign = text.find('=');
    Translation out;
    if (sign == std::string::npos ||
        inet_pton(AF_INET, text.substr(0, sign).c_str(), out.inside.data()) != 1 ||
        inet_pton(AF_INET, text.substr(sign + 1).c_str(), out.outside.data()) != 1)
        return std::nullopt;
    return out;
}

bool translate(std::span<std::uint8_t> frame, const Translation& translation) {
    if (frame.size() < 34 || get16(frame, 12) != 0x0800) return false;
    const auto ip = frame.subspan(14);
    const std::size_t header = (ip[0] & 15u) * 4;
    if (ip[0] >> 4 != 4 || header < 20 || header > ip.size()) return false;
    if (std::ranges::equal(ip.subspan(12, 4), translation.inside)) {
        replace(ip, header, 12, translation.outside);
        return true;
    }
    if (!std::ranges::equal(ip.subspan(16, 4), translation.outside)) return false;
    replace(ip, header, 16, translation.inside);
    return true;
}

}  // namespace weir::example
