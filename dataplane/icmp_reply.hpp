#pragma once
#include "dataplane/emit.hpp"
#include "net/icmp.hpp"

namespace weir::dataplane {

// Tells the sender of `offending` what happened to it, in the name of the segment's router (or of
// the destination where there is none). Nothing is sent where RFC 1122 §3.2.2 and RFC 4443 §2.4
// forbid it, or when the worker's ICMP rate is used up.
void reply_icmp(const Packet& offending, net::IcmpErrorKind kind, std::uint32_t mtu, Emit& emit);

// Sends `reply`, a frame made up here, back to where `offending` came from: straight to the guest
// in the source context, through switching in the name of the destination port otherwise.
void send_reply(const Packet& offending, Packet& reply, Emit& emit);

// Sends `reset`, made up here in the name of the sender of `offending`, to where that was going: to
// the guest in the destination context, through switching otherwise.
void send_onward(const Packet& offending, Packet& reset, Emit& emit);

}  // namespace weir::dataplane
