#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace weir::overlay {

enum class OuterExit : std::uint8_t {
    bad_packet,    // unreadable outer headers
    not_ours,      // another address than the tunnel address
    fragment,      // of the outer packet: tunnels send with DF
    not_geneve,    // another protocol or port
    bad_checksum,  // outer UDP checksum, where there is one
    unknown_tep,   // outer source is no known tunnel endpoint
    neighbour,     // an ARP or neighbour discovery message that ends here
    count_
};
inline constexpr std::array<std::string_view, 7> outer_exit_names = {
    "outer.bad_packet",   "outer.not_ours", "outer.fragment", "outer.not_geneve",
    "outer.bad_checksum", "UNKNOWN_TEP",    "outer.neighbour"};

enum class DecapExit : std::uint8_t {
    bad_geneve,    // header or options run beyond the packet, unknown version
    bad_option,    // unknown critical option, a companion option twice or of wrong length
    unknown_svni,  // neither a segment nor a service segment of this host
    no_smd,
    multi_smd,
    bad_smd,
    auth_fail,         // not signed, or not with a key of the segment
    replay,            // signed, but seen before or too old
    smd_on_guest_vni,  // SMD, AUTH or CTRL on a guest segment
    oam_on_guest_vni,
    bad_inner,  // unreadable inner frame
    count_
};
inline constexpr std::array<std::string_view, 11> decap_exit_names = {
    "decap.bad_geneve", "BAD_OPTION", "UNKNOWN_SVNI", "NO_SMD",           "MULTI_SMD",
    "BAD_SMD",          "AUTH_FAIL",  "REPLAY",       "SMD_ON_GUEST_VNI", "decap.oam_on_guest_vni",
    "decap.bad_inner"};

enum class EncapExit : std::uint8_t {
    unknown_peer,  // no such host, or not any more
    no_underlay,   // this host has no underlay port (yet)
    mtu,           // larger than the underlay takes, tunnel headers included
    no_neighbour,  // the underlay did not answer for the other host, or too many packets wait
    no_headroom,   // three orders or more, and no buffer with room in front for them
    count_
};
inline constexpr std::array<std::string_view, 5> encap_exit_names = {
    "encap.unknown_peer", "encap.no_underlay", "MTU", "encap.no_neighbour", "encap.no_headroom"};

}  // namespace weir::overlay
