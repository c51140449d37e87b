#pragma once
#include <cstdint>

#include "bench/gen/settings.hpp"

namespace weir::gen {

// What the host of a service node answers, as far as the wire tells: the packet comes back as if
// its node had returned it unchanged. One index and one TTL less, addressed to the next node of the
// path, or to its anchor when it was the last one.
//
// Node number k is hop k of the forward direction (from 1), replies meet the nodes in opposite
// order. No keys, no skipped hops; without checks, for it is not this host that is measured.
//
// `Far::echo` only turns the tunnel packet round, as a peer has it that keeps its place in the
// chain in the tunnel's VNI.

// Works in place. False: not a packet that is answered (neighbour talk other than ARP requests,
// BFD, messages).
bool answer_as_hop_host(Far form, std::uint8_t* frame, std::uint32_t length);

}  // namespace weir::gen
