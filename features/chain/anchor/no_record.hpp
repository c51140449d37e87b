#pragma once
#include <cstdint>
#include <optional>

#include "features/chain/anchor/insert.hpp"

// What counts for packets that have no flow record. One by one: nothing remembers the answer.
namespace weir::chain {

// The failure policy of the chain that the packet's flow would have; null: none. It may be a reply
// (DP-10, DP-11).
std::optional<FailurePolicy> policy_without_record(const InsertTables& tables, Insert::State& state,
                                                   const net::Packet& p, std::uint32_t port,
                                                   CallPoint point);

// The same for a fragment that does not show its ports (DP-12). It may be of any flow between its
// two ends, begun by either: `allow` is the answer if all chains that one of them may have say so.
std::optional<FailurePolicy> policy_without_ports(const InsertTables& tables, Insert::State& state,
                                                  const net::Packet& p, std::uint32_t port,
                                                  CallPoint point);

}  // namespace weir::chain
