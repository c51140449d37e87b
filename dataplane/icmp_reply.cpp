#include "dataplane/icmp_reply.hpp"

#include "dataplane/stage.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"

namespace weir::dataplane {

namespace {

// The MAC that frames made up here come from: the router's, or the one the offending packet went
// to.
net::Mac own_mac(const Packet& offending, const SegmentEntry* segment, const Emit& emit) {
    if (segment && segment->router != net::no_port) return emit.ports->routers[segment->router].mac;
    return net::Mac::from(offending.data);
}

net::Ip own_address(const Packet& offending, const SegmentEntry* segment, const Emit& emit) {
    if (segment && segment->router != net::no_port) {
        const net::Ip ip =
            emit.ports->routers[segment->router].address_in(segment->vni, offending.headers.family);
        if (!ip.is_zero()) return ip;
    }
    return offending.headers.icmp_error ? offending.tuple.src : offending.tuple.dst;
}

}  // namespace

void send_reply(const Packet& offending, Packet& reply, Emit& emit) {
    if (static_cast<Context>(offending.context) == Context::source) {
        emit.transmit(reply, offending.source_port);
        return;
    }
    // The sender may be on another host: the reply leaves like a packet of the guest it was sent
    // to.
    const PortEntry* port = emit.ports->at(offending.destination_port);
    if (!port || net::parse(reply) != net::ParseError::none) {
        emit.release(reply);
        return;
    }
    reply.hand = {};
    reply.hand.dispatched = 2;
    reply.source_port = reply.hand.source_port = reply.hand.port = port->index;
    reply.vni = reply.hand.vni = port->vni;
    reply.hash = net::symmetric_hash(reply.tuple);
    reply.program = own_program(reply);
    emit.enter(reply, Context::source, emit.stages->behind_insertion[0]);
}

void reply_icmp(const Packet& offending, net::IcmpErrorKind kind, std::uint32_t mtu, Emit& emit) {
    if (!net::may_report(offending, kind) || !emit.may_send_icmp()) return;
    Packet* reply = emit.allocate();
    if (!reply) return;
    const SegmentEntry* segment = emit.ports->segment(offending.vni);
    const net::Mac from = own_mac(offending, segment, emit),
                   to = net::Mac::from(offending.data + 6);
    const net::Ip source = static_cast<Context>(offending.context) == Context::source
                               ? own_address(offending, segment, emit)
                               : offending.tuple.dst;
    const auto mtu16 = static_cast<std::uint16_t>(mtu > 0xffff ? 0xffff : mtu);
    if (!net::build_icmp_error(offending, *reply, kind, mtu16, source, from, to)) {
        emit.release(*reply);
        return;
    }
    send_reply(offending, *reply, emit);
}

}  // namespace weir::dataplane
