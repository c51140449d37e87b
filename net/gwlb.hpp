#pragma once
#include <cstdint>
#include <span>

#include "net/packet.hpp"

// Geneve as AWS Gateway Load Balancers speak it to their appliances: RFC 8926 with the protocol
// type of the packet itself (no inner Ethernet header), VNI 0 and three options of class 0x0108.
// The appliance gives the packet back with the outer addresses swapped and the options unchanged.
namespace weir::net {

inline constexpr std::uint16_t gwlb_class = 0x0108;
inline constexpr std::uint8_t gwlb_endpoint = 1;    // 64 bits: the endpoint the flow came through
inline constexpr std::uint8_t gwlb_attachment = 2;  // 64 bits: attachment it belongs to
inline constexpr std::uint8_t gwlb_cookie = 3;      // 32 bits: the flow
inline constexpr std::uint32_t gwlb_bytes = 8 + 12 + 12 + 8;  // Geneve header and its options

struct Gwlb {
    std::uint64_t endpoint = 0, attachment = 0;
    std::uint32_t cookie = 0;
    friend bool operator==(const Gwlb&, const Gwlb&) = default;
};

enum class GwlbError : std::uint8_t {
    none = 0,
    short_header,
    bad_version,
    options_overrun,  // option length beyond the packet, or an option beyond the option length
    bad_protocol,     // neither IPv4 nor IPv6
    bad_option,       // an option of ours with another length, or twice
    missing_option,
    unknown_critical,
    count_
};
const char* name(GwlbError);  // the enumerator as text

struct GwlbView {
    Gwlb gwlb;
    std::uint16_t protocol = 0;  // ethertype of `inner`
    std::uint16_t header_bytes = 0;
    std::span<const std::uint8_t> inner;
};

// Reads the Geneve header at the start of `bytes` (behind UDP). Options that are neither ours nor
// critical are skipped.
GwlbError decode_gwlb(std::span<const std::uint8_t> bytes, GwlbView& view);

// Puts the Geneve header in front of an IP packet. False, and nothing done, without headroom.
bool push_gwlb(Packet&, const Gwlb&, std::uint16_t protocol);

}  // namespace weir::net
