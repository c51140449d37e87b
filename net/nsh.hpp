#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "net/packet.hpp"
#include "net/smd.hpp"

// Network service header (RFC 8300) as aware service nodes get it: Ethernet 0x894F, NSH, original
// frame. Mapping of the service metadata: spec service-plane §4.4, HD-3 to HD-5.
namespace weir::net {

inline constexpr std::uint16_t nsh_class = 0xfff6;
inline constexpr std::uint8_t nsh_context = 1;  // context header with the service metadata
inline constexpr std::uint8_t nsh_control = 2;  // a node's order
inline constexpr std::size_t nsh_md1_bytes = 24;
inline constexpr std::size_t nsh_md2_bytes = 44;  // without a node's order
inline constexpr std::size_t nsh_max_bytes = 63 * 4;

enum class MdType : std::uint8_t { fixed = 1, variable = 2 };

// What a node orders (CT-3); the proxy checks and translates it.
struct NodeControl {
    std::uint8_t operation = 0, scope = 0, reason = 0;
    std::uint32_t parameter = 0;
    friend bool operator==(const NodeControl&, const NodeControl&) = default;
};

struct Nsh {
    MdType md_type = MdType::variable;
    // TTL, SPI, SI, O and U stand in the NSH base; no original MACs; MD 1 lacks more (HD-4).
    Smd smd;
    std::uint32_t cookie = 0;
    std::uint8_t flow_action = 0;        // FA nibble, MD type 1 only
    std::optional<NodeControl> control;  // MD type 2 only
    friend bool operator==(const Nsh&, const Nsh&) = default;
};

enum class NshError : std::uint8_t {
    none = 0,
    short_header,  // ends inside the 8 fixed bytes
    bad_version,
    bad_length,                 // length field below the fixed part or beyond the packet
    unsupported_md_type,        // neither 1 nor 2 (HD-5)
    unsupported_next_protocol,  // neither Ethernet nor (O packets) none (HD-5, RFC 8393)
    bad_md1_length,             // MD type 1 is 6 words long
    context_overrun,            // a context header beyond the NSH length
    missing_context,            // MD type 2 without our context header
    duplicate_context,
    bad_context_length,
    duplicate_control,
    bad_control_length,
    bad_smd_version,  // Ver of the metadata ≠ 0
    count_
};
const char* name(NshError);  // the enumerator as text

struct NshView {
    Nsh nsh;
    std::uint16_t header_bytes = 0;
    std::span<const std::uint8_t> inner;  // original frame; empty for a header-only O packet
};

// Reads the NSH at the start of `bytes` (behind Ethernet). Context headers of other classes and
// types are skipped. An arriving TTL of 0 reads as 63 (HD-5).
NshError decode_nsh(std::span<const std::uint8_t> bytes, NshView& view);

// Puts the NSH in front of the original frame; an empty packet becomes a header-only O packet.
// False, and nothing done, without headroom.
bool push_nsh(Packet&, const Nsh&);

}  // namespace weir::net
