#pragma once
#include "features/chain/node/to_node.hpp"

// What ToNode and ShortWay share. Not for others.
namespace weir::chain {

// Gives a packet with the guest's MACs to an aware node (metadata of type 2), or to a bump in the
// wire known by VLAN tags; of `p.headers` it reads the protocol and TCP's flags. What it returns is
// the exit to take, or count_: it has gone.
ToNode::Exit give_usual(net::Packet& p, const NodeTable::Place& place, const ToNode::Tables& tables,
                        ToNode::State& state, dataplane::Emit& emit);

}  // namespace weir::chain
