#include "features/switching/announcements.hpp"

#include "net/arp.hpp"
#include "net/nd.hpp"
#include "net/parse.hpp"

namespace weir::switching {
namespace {

using dataplane::Emit;
using dataplane::Packet;
using dataplane::PortEntry;

bool write(Packet& p, const PortEntry& port, const net::Ip* address) {
    if (!address) return net::write_rarp_announcement(p, port.mac);
    if (address->is4()) return net::write_arp_request(p, port.mac, *address, *address);
    net::Neighbour nobody;  // … has asked, so that all nodes are told
    nobody.target = *address;
    return net::write_neighbour_advertisement(p, nobody, net::Mac{}, port.mac, false);
}

// As if the port had sent it, but it is no guest's packet: no rule is asked.
bool say(const PortEntry& port, const net::Ip* address, Emit& emit) {
    Packet* p = emit.allocate();
    if (!p) return false;
    if (!write(*p, port, address) || net::parse(*p) != net::ParseError::none) {
        emit.release(*p);
        return false;
    }
    p->hand.port = p->source_port = port.index;
    p->vni = port.vni;
    p->program = dataplane::own_program(*p);
    emit.enter(*p, dataplane::Context::source,
               emit.stages->behind_insertion[static_cast<std::size_t>(
                   dataplane::Context::source)]);
    return true;
}

bool is_new_here(const PortEntry& port, const Emit& emit) {
    return port.role == dataplane::PortRole::guest && port.from_host != net::no_port &&
           !port.foreign && port.polling_worker == emit.worker;
}

}  // namespace

// A port that came is one that was not there under the program before.
void Announcements::look(const Emit& emit) {
    seen_ticket_ = emit.ticket;
    waiting_ = 0;
    for (const PortEntry& port : emit.ports->ports) {
        if (port.index >= ports_.size()) continue;
        One& one = ports_[port.index];
        if (!is_new_here(port, emit)) {
            one = {};
            continue;
        }
        if (one.anchor_id != port.anchor_id()) one = {port.anchor_id(), 0, emit.now_ns};
        waiting_ += one.said < after_ns.size();
    }
}

void Announcements::announce(const PortEntry& port, Emit& emit) {
    if (port.addresses.empty()) sent_ += say(port, nullptr, emit);
    for (const net::Ip& address : port.addresses) sent_ += say(port, &address, emit);
}

void Announcements::tick(Emit& emit) {
    if (emit.ticket != seen_ticket_) look(emit);
    if (waiting_ == 0) [[likely]]
        return;
    for (const PortEntry& port : emit.ports->ports) {
        if (port.index >= ports_.size()) continue;
        One& one = ports_[port.index];
        if (one.said == after_ns.size() || emit.now_ns - one.since_ns < after_ns[one.said])
            continue;
        announce(port, emit);
        if (++one.said == after_ns.size()) --waiting_;
    }
}

}  // namespace weir::switching
