#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "net/packet.hpp"

// Control packets of Bidirectional Forwarding Detection, without authentication (RFC 5880 §4.1).
namespace weir::net {

inline constexpr std::size_t bfd_bytes = 24;
inline constexpr std::uint16_t udp_port_bfd = 3784;  // single hop (RFC 5881 §4)
inline constexpr std::uint8_t bfd_ttl = 255;         // of its IP packet, sent and required there

enum class BfdState : std::uint8_t { admin_down = 0, down, init, up };
const char* name(BfdState);

enum class BfdDiagnostic : std::uint8_t {
    none = 0,
    detection_time_expired = 1,
    neighbour_signalled_down = 3,
    administratively_down = 7,
};

// The fields of one control packet. Host byte order; intervals in microseconds.
struct Bfd {
    std::uint8_t version = 1;     // 3 bits
    std::uint8_t diagnostic = 0;  // 5 bits; BfdDiagnostic, or a number this version does not know
    BfdState state = BfdState::down;
    bool poll = false, final = false;
    bool control_plane_independent = false, authenticated = false, demand = false;
    bool multipoint = false;
    std::uint8_t detect_multiplier = 3;
    std::uint32_t my_discriminator = 0, your_discriminator = 0;
    std::uint32_t desired_min_tx_us = 0, required_min_rx_us = 0, required_min_echo_rx_us = 0;

    friend bool operator==(const Bfd&, const Bfd&) = default;
};

void encode(const Bfd&, std::span<std::uint8_t, bfd_bytes>);

enum class BfdError : std::uint8_t {
    none = 0,
    bad_version,
    bad_length,  // shorter than a packet, or than it says, or than 24 bytes
    bad_multiplier,
    multipoint,
    bad_discriminator,  // mine is 0, or yours is 0 in a state that knows it
    authenticated,      // there is no key
    count_
};
const char* name(BfdError);

// The checks of RFC 5880 §6.8.6 that need no session, in its order. What is behind the packet's
// own length is ignored.
BfdError decode(std::span<const std::uint8_t>, Bfd&);

// The UDP payload of a parsed packet, if it is sent to the port of BFD with a whole TTL (RFC 5881
// §5).
std::optional<std::span<const std::uint8_t>> bfd_payload(const Packet&);

// Where a BFD packet goes. Addresses of one family.
struct BfdRoute {
    Mac dst, src;
    Ip to, from;
    std::uint16_t source_port = 49152;  // 49152 … 65535 (RFC 5881 §4)
};

// Makes the packet a whole frame, checksums included. False without room.
bool build_bfd(Packet& out, const BfdRoute&, const Bfd&);

}  // namespace weir::net
