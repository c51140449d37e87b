#pragma once
#include <cstdint>
#include <span>

#include "net/smd.hpp"

namespace weir::net {

inline constexpr std::size_t smd_bytes = 44;

// The service metadata as option content (spec service-plane §4.2), network byte order. Every one
// of the 352 bits has a member, so encode(decode(x)) == x for any x; fields wider than their place
// are cut.
void encode(const Smd&, std::span<std::uint8_t, smd_bytes>);
Smd decode(std::span<const std::uint8_t, smd_bytes>);

// The flag half of word 0 (Ver … Rsvd), shared by the SMD option and the NSH mapping (HD-3).
inline std::uint16_t smd_flags(const Smd& smd) {
    return static_cast<std::uint16_t>(
        (smd.version & 3u) << 14 | unsigned{smd.oam} << 13 | unsigned{smd.reverse} << 12 |
        unsigned{smd.at_ingress} << 11 | unsigned{smd.returning} << 10 | unsigned{smd.copy} << 9 |
        unsigned{smd.live_query} << 8 | unsigned{smd.live_ack} << 7 | unsigned{smd.trace} << 6 |
        unsigned{smd.moved} << 5 | (smd.reserved & 0x1fu));
}
void set_smd_flags(Smd&, std::uint16_t flags);

// What an SMD may not say, in the order of SEC-6 (service-plane §10.2).
enum class SmdError : std::uint8_t {
    none = 0,
    ttl_zero,           // TTL 0 on arrival
    too_many_hops,      // InitSI > 8 (OBJ-9)
    index_above_start,  // SI > InitSI
    return_mismatch,    // R without SI = 0, or SI = 0 without R
    copy_returning,     // C and R
    inner_short,        // no whole Ethernet header behind the metadata
    inner_not_unicast,  // an inner MAC that is no service-plane unicast address
    count_
};
const char* name(SmdError);

SmdError check_smd(const Smd&);

// The last step of SEC-6: the frame behind the metadata.
SmdError check_inner_frame(std::span<const std::uint8_t> frame);

// The service-plane MAC of a host: 02:5A and its number (service-plane §4.2).
Mac service_plane_mac(std::uint32_t host);

}  // namespace weir::net
