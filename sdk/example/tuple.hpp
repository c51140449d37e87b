#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>

namespace weir::example {

inline constexpr std::uint8_t proto_icmp = 1, proto_tcp = 6, proto_udp = 17, proto_icmpv6 = 58;

// Who speaks to whom in one frame (host byte order). IPv4 addresses fill the first four bytes.
struct Tuple {
    std::array<std::uint8_t, 16> src{}, dst{};
    std::uint16_t src_port = 0,
                  dst_port = 0;  // 0 where the protocol has none, and in later fragments
    std::uint8_t family = 0;     // 4 or 6
    std::uint8_t proto = 0;
    std::uint32_t tcp_seq = 0;   // not part of what is compared
    std::uint8_t tcp_flags = 0;  // nor this

    auto key() const { return std::tie(family, proto, src, dst, src_port, dst_port); }
    std::string text() const;  // tcp 10.0.0.1:4000 > 10.0.0.2:80
};

// Reads an Ethernet frame; nothing when it is not IPv4 or IPv6, or cut short.
std::optional<Tuple> read_tuple(std::span<const std::uint8_t> frame);

// "tcp", "udp", "icmp" (both families), or the number.
std::string proto_name(std::uint8_t proto);

}  // namespace weir::example
