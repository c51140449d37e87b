#pragma once
#include <cstdint>
#include <span>

#include "net/geneve.hpp"
#include "net/packet.hpp"

namespace weir::chain {

// What nodes and proxies tell anchors in the data plane (spec service-plane §6.2).
enum class CtrlOp : std::uint8_t {
    flow_allow = 1,
    flow_drop,
    flow_reset,
    node_skip,
    path_change,
    chain_change,
    set_tag,
    restore,
    overload,
    node_down,
    stale_path,
};

inline constexpr std::uint8_t ctrl_forward = 1, ctrl_reverse = 2, ctrl_node_scope = 4;

// Content of one CTRL option (§6.1). Host byte order.
struct Ctrl {
    std::uint8_t version = 0;  // 4 bits, 0
    std::uint8_t op = 0;       // CtrlOp, or a number this version does not know
    std::uint8_t scope = ctrl_forward | ctrl_reverse;
    std::uint8_t reason = 0;
    std::uint32_t flow_handle = 0;  // 0: node scope
    std::uint32_t issuer = 0;       // node id
    std::uint32_t sequence = 0;     // serial number arithmetic (RFC 1982) per issuer
    std::uint16_t valid_s = 0;      // 0: life of the flow
    std::uint8_t hop = 0;           // ordinal of the issuer
    std::uint32_t parameter = 0;
    std::uint32_t digest = 0;  // CRC-32C of the flow's canonical tuple and tenant

    friend bool operator==(const Ctrl&, const Ctrl&) = default;
};

// Reserved bits are zero on send and ignored on receive (HD-2).
void encode(const Ctrl&, std::span<std::uint8_t, net::ctrl_bytes>);

enum class CtrlError : std::uint8_t { none = 0, bad_length, bad_version, bad_op, bad_scope };
const char* name(CtrlError);

// Checks form only: length, version, a known op, and a scope that fits the flow handle.
CtrlError decode(std::span<const std::uint8_t>, Ctrl&);

// Ctrl::digest of a flow, equal for both of its directions: CRC-32C over the endpoint that compares
// lower, the other one (16 bytes of address, IPv4 mapped; 2 of port), the protocol, and 4 bytes of
// tenant VNI. Ports of ICMP are those of net::parse().
std::uint32_t flow_digest(const net::Tuple& tuple, std::uint32_t tenant_vni);

// Whether `a` was issued after `b` (RFC 1982: within half the number space).
inline bool is_newer(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) > 0;
}

}  // namespace weir::chain
