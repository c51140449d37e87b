#pragma once
#include "dataplane/emit.hpp"
#include "features/overlay/auth_tables.hpp"
#include "net/geneve.hpp"

// How packets of the service plane look between hosts: the metadata as an option or as NSH (spec
// service-plane §4.1, HD-3), signed where the segment has keys.
namespace weir::overlay {

// Puts the Geneve header in front, signed with the next number. False, without headroom.
struct Signer {
    const AuthTables& tables;
    const SharedWindows& shared;
    AuthNumbers& numbers;
};
bool push_service_leg(net::Packet& p, const dataplane::SegmentEntry* segment, Signer& signer);

// Whether all that may come in front of the packet has room: orders of more than two nodes may not.
bool has_headroom(const net::Packet& packet);
// A copy that has it, all else alike; null without a buffer.
net::Packet* with_headroom(const net::Packet& packet, dataplane::Emit& emit);

// The metadata of a packet of an NSH segment, whose tunnel headers are off: reads it, takes NSH and
// its Ethernet header off and leaves the guest's frame with the addresses of the service plane, as
// the SMD option would have come. False: there is none, or it is not what hosts send each other.
enum class NshLeg : std::uint8_t { good = 0, missing, bad };
NshLeg take_nsh(net::Packet& p);

// Where the guest's frame stands behind NSH; empty if that cannot be told.
std::span<const std::uint8_t> frame_behind_nsh(std::span<const std::uint8_t> inner);

}  // namespace weir::overlay
