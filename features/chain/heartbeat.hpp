#pragma once
#include <cstdint>
#include <optional>

#include "features/chain/node_table.hpp"
#include "net/geneve.hpp"
#include "net/packet.hpp"

// Heartbeats through L2 nodes (spec service-plane LV-4): Ethernet 0x88B5, broadcast, LIVE content.
namespace weir::chain {

struct Heartbeat {
    net::Live live;
    Side entered = Side::left;  // where it was sent into the node
};

// Source of heartbeats that enter on a side: 02:5D or 02:5E and the node's number.
net::Mac heartbeat_mac(std::uint32_t node_id, Side entered);

// Makes the packet a heartbeat. False without room.
bool build_heartbeat(net::Packet&, const Heartbeat&);

// Nothing if the frame is not a well-formed heartbeat.
std::optional<Heartbeat> parse_heartbeat(const net::Packet&);

}  // namespace weir::chain
