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

// A frame made up here goes on as if the guest of that port had sent it and all had been decided.
void leave_port(Packet& frame, std::uint32_t from, Emit& emit) {
    const PortEntry* port = emit.ports->at(from);
    if (!port || net::parse(frame) != net::ParseError::none) {
        emit.release(frame);
        return;
    }
    frame.hand = {};
    frame.hand.dispatched = 2;
    frame.source_port = frame.hand.source_port = frame.hand.port = port->index;
    frame.vni = frame.hand.vni = port->vni;
    frame.hash = net::symmetric_hash(frame.tuple);
    frame.program = own_program(frame);
    emit.enter(frame, Context::source, emit.stages->behind_insertion[0]);
}

}  // namespace

void send_reply(const Packet& offending, Packet& reply, Emit& emit) {
    if (static_cast<Context>(offending.context) == Context::source) {
        emit.transmit(reply, offending.source_port);
        return;
    }
    // The sender may be on another host: the reply leaves like a packet of the guest it was sent
    // to.
    leave_port(reply, offending.destination_port, emit);
}

void send_onward(const Packet& offending, Packet& reset, Emit& emit) {
    if (static_cast<Context>(offending.context) == Context::source) {
        leave_port(reset, offending.source_port, emit);
    } else {
        emit.transmit(reset, offending.destination_port);
    }
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
