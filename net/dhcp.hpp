#pragma once
#include <cstdint>
#include <optional>

#include "net/packet.hpp"

namespace weir::net {

// What a DHCP server granted (RFC 2131).
struct DhcpLease {
    Mac client;
    Ip address;
    std::uint32_t seconds = 0;  // 0: the server did not say
};

// Nothing unless the packet (parsed) is a server's DHCPACK with an address for an Ethernet client.
// Options overloaded into `sname` and `file` are not searched.
std::optional<DhcpLease> read_dhcp_ack(const Packet&);

}  // namespace weir::net
