#pragma once
#include <cstdint>
#include <span>

#include "net/parse.hpp"

// The IP part of parse(), for outer packets and for those that an ICMP error quotes.
namespace weir::net {

// Whether the bytes are the packet, or only its beginning as an ICMP error quotes it.
enum class Extent : std::uint8_t { whole, quoted };

// One IP header with its options or extension headers. Offsets count from the IP header.
struct L3 {
    Ip src, dst;
    Family family = Family::none;
    Fragment fragment = Fragment::whole;
    std::uint8_t proto = 0;  // what stands at `header`
    std::uint8_t ttl = 0;
    bool fragment_more = false;
    std::uint16_t fragment_offset = 0;  // bytes
    std::uint32_t fragment_id = 0;
    std::uint32_t header = 0;  // bytes up to the transport header
    std::uint32_t total = 0;   // bytes of the IP packet that are there
};

// A quoted packet may be cut short, may have changed on its way, and its checksum is not looked at.
ParseError read_ip4(std::span<const std::uint8_t>, Extent, L3&);
ParseError read_ip6(std::span<const std::uint8_t>, Extent, L3&);

}  // namespace weir::net
