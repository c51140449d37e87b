#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "net/packet.hpp"
#include "net/smd.hpp"

// Geneve (RFC 8926) with the options of the service plane (spec service-plane §4.1–4.3).
namespace weir::net {

inline constexpr std::uint16_t option_class = 0xff53;  // experimental range
inline constexpr std::uint8_t option_smd = 0x81;       // top bit: critical
inline constexpr std::uint8_t option_ctrl = 0x82;
inline constexpr std::uint8_t option_auth = 0x83;
inline constexpr std::uint8_t option_live = 0x04;
inline constexpr std::uint8_t option_trace = 0x05;
inline constexpr std::uint8_t option_serviced = 0x06;

inline constexpr std::size_t ctrl_bytes = 28;  // content without the 4-byte option header
inline constexpr std::size_t auth_bytes = 24;
inline constexpr std::size_t max_ctrl_options = 4;
inline constexpr std::size_t max_geneve_bytes = 8 + 63 * 4;

// Heartbeat content (spec §4.3 LIVE, §7).
struct Live {
    std::uint32_t node = 0, sequence = 0, sent_ms = 0;
    friend bool operator==(const Live&, const Live&) = default;
};

// What decode() refuses, in the order of SEC-6 (service-plane §10.2); the first failure counts.
enum class GeneveError : std::uint8_t {
    none = 0,
    short_header,  // ends inside the 8 fixed bytes
    bad_version,
    options_overrun,   // option length beyond the packet, or an option beyond the option length
    unknown_critical,  // critical option of a class or type not known here
    duplicate_smd,
    duplicate_auth,
    duplicate_live,
    duplicate_trace,
    duplicate_serviced,
    too_many_ctrl,    // more than 4
    bad_smd_length,   // not 11 words
    bad_smd_version,  // Ver ≠ 0
    bad_smd_zz,       // ZZ ≠ 0
    bad_auth_length,
    bad_ctrl_length,
    bad_live_length,
    bad_trace_length,
    bad_serviced_length,
    count_
};
const char* name(GeneveError);  // the enumerator as text

// A decoded header. The spans point into the packet.
struct GeneveView {
    std::uint32_t vni = 0;
    std::uint16_t protocol = 0;
    std::uint16_t header_bytes = 0;  // 8 + options; the inner frame follows
    bool oam = false;
    bool critical = false;                  // the C bit as it stood on the wire; not relied upon
    std::span<const std::uint8_t> options;  // all of them, as on the wire
    std::span<const std::uint8_t> inner;    // behind the header
    std::optional<Smd> smd;
    std::optional<SmdTrace> trace;
    std::optional<Serviced> serviced;
    std::optional<Live> live;
    std::span<const std::uint8_t> smd_content;  // of the option, as on the wire; empty: none
    std::span<const std::uint8_t> auth;         // content, 24 bytes; empty: none
    std::array<std::span<const std::uint8_t>, max_ctrl_options> ctrl;  // contents, 28 bytes each
    std::uint8_t ctrl_count = 0;
};

// Reads a Geneve header at the start of `bytes`. Unknown options that are not critical are skipped.
// Whether the values in the SMD make sense is check_smd()'s matter (net/smd_codec.hpp).
GeneveError decode(std::span<const std::uint8_t> bytes, GeneveView& view);

// What push_geneve() writes; options stand in this order. Null and empty: not there.
struct GeneveHeader {
    std::uint32_t vni = 0;  // 24 bits
    std::uint16_t protocol = 0x6558;
    bool oam = false;
    const Smd* smd = nullptr;
    std::span<const std::uint8_t> auth;                                // content, auth_bytes
    std::array<std::span<const std::uint8_t>, max_ctrl_options> ctrl;  // contents, ctrl_bytes each
    std::uint8_t ctrl_count = 0;
    const Live* live = nullptr;
    const SmdTrace* trace = nullptr;
    const Serviced* serviced = nullptr;
};

// Bytes that push_geneve() will take.
std::size_t header_bytes(const GeneveHeader&);

// Puts a Geneve header in front of the packet. False, and nothing done, if the headroom is too
// small or the options do not fit 63 words.
bool push_geneve(Packet&, const GeneveHeader&);
bool push_geneve(Packet&, std::uint32_t vni, const Smd*, const SmdTrace*, const Serviced*,
                 bool oam);

// The way between two tunnel endpoints.
struct OuterAddresses {
    Ip src, dst;  // of one family
    Mac src_mac, dst_mac;
    std::uint8_t traffic_class = 0;  // DSCP and ECN
};

inline constexpr std::uint32_t outer_bytes_ip4 = 14 + 20 + 8;  // Ethernet, IPv4, UDP
inline constexpr std::uint32_t outer_bytes_ip6 = 14 + 40 + 8;

// Outer UDP source port with the entropy of the inner flow (RFC 8926 §3.3), 49152…65535.
std::uint16_t outer_source_port(std::uint32_t inner_hash);

// Puts UDP (to 6081), IP and Ethernet in front of a packet that starts with its Geneve header.
// IPv4: DF, id 0 (RFC 6864), no UDP checksum (RFC 8926 §3.3). IPv6: UDP checksum computed.
// Packet::headers describe the outer headers afterwards. False, and nothing done, without headroom,
// beyond 65535 bytes, or if the two addresses are of different families.
bool push_outer(Packet&, const OuterAddresses&, std::uint16_t udp_source_port, std::uint8_t ttl);

}  // namespace weir::net
