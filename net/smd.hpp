#pragma once
#include <cstdint>

#include "net/address.hpp"

namespace weir::net {

// Service metadata of one packet on the service plane (spec service-plane §4.2). Host byte order;
// net/smd_codec.hpp puts it on the wire.
struct Smd {
    std::uint32_t spi = 0;         // 24 bits
    std::uint32_t sci = 0;         // 24 bits
    std::uint32_t tenant_vni = 0;  // 24 bits
    std::uint32_t anchor_host = 0;
    std::uint32_t anchor_port = 0;  // incarnation 8 | port index 24
    std::uint32_t flow_handle = 0;  // nonce 8 | slot 24
    std::uint32_t flow_tag = 0;
    std::uint8_t version = 0;  // 2 bits
    std::uint8_t zz = 0;       // 2 bits beside TTL; 0 on send, else BAD_SMD
    std::uint8_t si = 0;
    std::uint8_t initial_si = 0;
    std::uint8_t ttl = 63;  // 6 bits
    std::uint8_t path_epoch = 0;
    std::uint8_t skip_mask = 0;  // bit i: skip the hop with ordinal i
    std::uint8_t reserved = 0;   // 5 bits, preserved on transit (HD-2)
    bool oam = false;            // O
    bool reverse = false;        // D
    bool at_ingress = false;     // P: call point to resume
    bool returning = false;      // R
    bool copy = false;           // C
    bool live_query = false;     // L
    bool live_ack = false;       // A
    bool trace = false;          // T
    bool moved = false;          // M
    Mac original_dst{};
    Mac original_src{};
    // The U bits of an NSH (RFC 8300 §2.2): 0 where one begins, not looked at, and as they came in
    // the next one. Bit 4 stands behind O, bits 0–3 before the MD type; the option has no place.
    std::uint8_t unassigned = 0;

    friend bool operator==(const Smd&, const Smd&) = default;
};

// Companion options that a packet may carry beside the SMD (spec §4.3).
struct SmdTrace {
    std::uint32_t trace_id = 0;
    std::uint32_t collector_host = 0;
};
struct Serviced {
    std::uint8_t flags = 0;  // serviced_forward/…; see below
    std::uint32_t sci = 0;
    std::uint32_t anchor_host = 0;
};
inline constexpr std::uint8_t serviced_flag = 0x01;     // verdict SERVICED
inline constexpr std::uint8_t exempted_flag = 0x02;     // verdict EXEMPTED
inline constexpr std::uint8_t serviced_reverse = 0x80;  // D of the packet

}  // namespace weir::net
