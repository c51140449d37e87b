#pragma once
#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace weir::net {

struct Mac {
    std::array<std::uint8_t, 6> bytes{};

    static Result<Mac> parse(std::string_view text);  // "02:00:00:00:00:01"
    static Mac from(const std::uint8_t* p) {
        Mac mac;
        std::memcpy(mac.bytes.data(), p, 6);
        return mac;
    }
    void store(std::uint8_t* p) const { std::memcpy(p, bytes.data(), 6); }
    std::string text() const;
    bool is_multicast() const { return bytes[0] & 1; }  // broadcast included
    bool is_broadcast() const { return *this == Mac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
    bool is_zero() const { return *this == Mac{}; }
    std::uint64_t to_u64() const {
        std::uint64_t value = 0;
        for (std::uint8_t byte : bytes) value = value << 8 | byte;
        return value;
    }
    friend auto operator<=>(const Mac&, const Mac&) = default;
};

enum class Family : std::uint8_t { none = 0, ip4 = 4, ip6 = 6 };

// An IPv4 or IPv6 address in 16 bytes, network order; IPv4 stands as ::ffff:a.b.c.d.
struct Ip {
    std::array<std::uint8_t, 16> bytes{};

    static Result<Ip> parse(std::string_view text);
    static Ip from4(const std::uint8_t* p) {
        Ip ip;
        ip.bytes[10] = ip.bytes[11] = 0xff;
        std::memcpy(ip.bytes.data() + 12, p, 4);
        return ip;
    }
    static Ip from4(std::uint32_t host_order) {
        std::uint8_t p[4] = {static_cast<std::uint8_t>(host_order >> 24),
                             static_cast<std::uint8_t>(host_order >> 16),
                             static_cast<std::uint8_t>(host_order >> 8),
                             static_cast<std::uint8_t>(host_order)};
        return from4(p);
    }
    static Ip from6(const std::uint8_t* p) {
        Ip ip;
        std::memcpy(ip.bytes.data(), p, 16);
        return ip;
    }
    bool is4() const {
        constexpr std::array<std::uint8_t, 4> mapped = {0, 0, 0xff, 0xff};
        std::uint64_t high;
        std::uint32_t middle;
        std::memcpy(&high, bytes.data(), 8);
        std::memcpy(&middle, bytes.data() + 8, 4);
        return high == 0 && middle == std::bit_cast<std::uint32_t>(mapped);
    }
    Family family() const { return is4() ? Family::ip4 : Family::ip6; }
    const std::uint8_t* data4() const { return bytes.data() + 12; }  // 4 bytes, network order
    const std::uint8_t* data6() const { return bytes.data(); }
    bool is_zero() const;        // 0.0.0.0 or ::
    bool is_multicast() const {  // 224/4 or ff00::/8
        return is4() ? (bytes[12] & 0xf0) == 0xe0 : bytes[0] == 0xff;
    }
    bool is_broadcast() const {  // 255.255.255.255
        return is4() && (bytes[12] & bytes[13] & bytes[14] & bytes[15]) == 0xff;
    }
    bool is_link_local() const;  // 169.254/16 or fe80::/10
    std::string text() const;
    friend auto operator<=>(const Ip&, const Ip&) = default;
    friend bool operator==(const Ip& a, const Ip& b) {
        return std::memcmp(a.bytes.data(), b.bytes.data(), 16) == 0;
    }
};

// A network, e.g. 10.0.0.0/24 or 2001:db8::/64. `length` counts bits of the family's own length.
struct Prefix {
    Ip address;  // host bits are zero after parse()
    std::uint8_t length = 0;

    static Result<Prefix> parse(std::string_view text);       // host bits set → error
    static Result<Prefix> parse_host(std::string_view text);  // "10.0.0.1/24": keeps the host bits
    bool contains(const Ip& ip) const;
    Prefix network() const;  // with the host bits cleared
    std::string text() const;
    friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

}  // namespace weir::net
