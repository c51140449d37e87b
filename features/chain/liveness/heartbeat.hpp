#pragma once
#include <cstdint>
#include <optional>

#include "features/chain/node/node_table.hpp"
#include "net/geneve.hpp"
#include "net/packet.hpp"

// Heartbeats through L2 nodes (spec service-plane LV-4): Ethernet 0x88B5, broadcast, LIVE content.
// Heartbeats through L3 nodes (LV-5): UDP from the proxy's address on one side to that on the
// other.
namespace weir::chain {

struct Heartbeat {
    net::Live live;
    Side entered = Side::left;  // where it was sent into the node
};

// Makes the packet a heartbeat. False without room.
bool build_heartbeat(net::Packet&, const Heartbeat&);

// Nothing if the frame is not a well-formed heartbeat.
std::optional<Heartbeat> parse_heartbeat(const net::Packet&);

inline constexpr std::uint16_t router_heartbeat_port = 0x88b5;  // UDP, both ports

// Makes the packet a heartbeat that the router gets on `entered`, between the proxy's addresses of
// one family, with TTL 255. False without room, or without addresses of that family.
bool build_router_heartbeat(net::Packet&, const LocalNode&, Side entered, net::Family,
                            const net::Live&);

// Whether the packet (parsed), which came out of the node on `side`, is one: addresses and ports
// as above, one hop later.
bool is_router_heartbeat(const net::Packet&, const LocalNode&, Side side);
// What it says.
net::Live read_router_heartbeat(const net::Packet&);

}  // namespace weir::chain
