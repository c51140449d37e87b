#pragma once
#include <cstdint>
#include <span>

#include "net/parse.hpp"

// The ICMP part of parse().
namespace weir::net {

// `message` starts at the ICMP header; `headers.family` says which ICMP it is.
ParseError parse_icmp(std::span<const std::uint8_t> message, Headers& headers, Tuple& tuple);

// Whether the type reports about another packet and quotes it (RFC 792, RFC 4443 §2.1).
bool is_icmp_error_type(Family, std::uint8_t type);

}  // namespace weir::net
