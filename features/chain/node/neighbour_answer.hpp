#pragma once
#include <cstdint>

#include "features/chain/node/node_table.hpp"
#include "net/packet.hpp"

namespace weir::chain {

// What a frame of a node that sees the proxy as its neighbour is to the link between them.
enum class LinkTalk : std::uint8_t {
    none,      // a packet to be taken back, or heartbeat
    question,  // ARP or neighbour solicitation for the proxy's address: now the answer to it
    other,     // of the node's own: gratuitous ARP, router solicitations, multicast
};

// The packet must be parsed. A question is overwritten with its answer.
LinkTalk answer_neighbour(net::Packet&, const LocalNode&, Side side);

}  // namespace weir::chain
