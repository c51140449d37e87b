#pragma once
#include <cstdint>
#include <span>

#include "net/packet.hpp"

// Internet checksums (RFC 1071) and their incremental update (RFC 1624).
namespace weir::net {

// Ones' complement sum under construction. Every span but the last must have an even length.
class InternetSum {
public:
    void add(std::span<const std::uint8_t> bytes);
    void add16(std::uint16_t host_order) {
        total_ += static_cast<std::uint64_t>(__builtin_bswap16(host_order));
    }
    void add32(std::uint32_t host_order) {
        add16(static_cast<std::uint16_t>(host_order >> 16));
        add16(static_cast<std::uint16_t>(host_order));
    }
    std::uint16_t folded() const;  // host byte order, not inverted
    std::uint16_t checksum() const { return static_cast<std::uint16_t>(~folded()); }

private:
    std::uint64_t total_ = 0;  // sum of 16-bit words as they stand in memory
};

// The RFC 1071 checksum of `bytes`, host byte order.
std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes);

// Sum of the IPv4 (RFC 9293 §3.1) or IPv6 (RFC 8200 §8.1) pseudo header; the family is that of
// `src`.
InternetSum pseudo_header(const Ip& src, const Ip& dst, std::uint8_t proto, std::uint32_t l4_bytes);

// RFC 1624 equation 3: the checksum after a 16 or 32 bit field changed. Host byte order throughout.
std::uint16_t update_checksum16(std::uint16_t checksum, std::uint16_t from, std::uint16_t to);
std::uint16_t update_checksum32(std::uint16_t checksum, std::uint32_t from, std::uint32_t to);

// `header` is a whole IPv4 header, options included.
bool ip4_checksum_ok(std::span<const std::uint8_t> header);
void fill_ip4_checksum(std::span<std::uint8_t> header);

// The functions below need Packet::headers as parse() left it.

// Whether the TCP, UDP, ICMP or ICMPv6 checksum is right. True where nothing can be said:
// fragments, other protocols, UDP over IPv4 without a checksum, and packets flagged
// packet_partial_checksum.
bool l4_checksum_ok(const Packet&);

// Computes the checksum from nothing and clears packet_partial_checksum. False, and nothing done,
// for fragments and protocols without one known here.
bool fill_l4_checksum(Packet&);

// If the packet is flagged packet_partial_checksum: its field holds the pseudo-header sum alone;
// adds the rest and clears the flag. False only where the flag stands on a packet that cannot have
// one.
bool resolve_partial_checksum(Packet&);

// Puts the pseudo-header sum alone into the field and sets packet_partial_checksum (TCP and UDP
// only).
bool make_partial_checksum(Packet&);

// One hop less, with the IPv4 header checksum kept right. False, and nothing done, if none would be
// left (RFC 1812 §5.3.1, RFC 8200 §3): then the packet has expired.
bool decrement_ttl(Packet&);

}  // namespace weir::net
