#include "features/switching/egress.hpp"

#include "dataplane/cut.hpp"
#include "dataplane/enter.hpp"
#include "dataplane/icmp_reply.hpp"
#include "dataplane/overhead.hpp"
#include "flow/record.hpp"

namespace weir::switching {

namespace {

using dataplane::ActionProgram;
using dataplane::Emit;
using dataplane::Packet;

void mark_current(Packet& p, Emit& emit) {
    if (!p.flow || p.flow->condemned) return;
    const dataplane::PortEntry* port = emit.ports->at(p.source_port);
    if (!port) return;
    ActionProgram& program = *p.program;
    if (program.behind_is(port->epoch, emit.engine)) return;
    program.act_behind = emit.stages->egress | (program.routed ? emit.stages->ttl : 0);
    program.behind_epoch = port->epoch;
    program.behind_engine = emit.engine;
    emit.store_program(p);
}

void send(Packet& p, const ActionProgram& program, Emit& emit) {
    p.vni = p.hand.vni = program.vni;
    if (program.egress == dataplane::Egress::local_port) {
        if (const auto* port = emit.ports->at(program.egress_port)) {
            dataplane::enter_destination(p, *port, emit);
            return;
        }
    }
    p.tunnel_peer = program.peer;
    p.pending = emit.stages->encap;
}

// Largest IP packet that this way takes.
std::uint32_t limit_of(const ActionProgram& program, const Emit& emit) {
    std::uint32_t limit = program.mtu;
    // Without an underlay there is no size that would fit: encap says so.
    if (program.egress == dataplane::Egress::tunnel && emit.ports->underlay_port != net::no_port) {
        const std::uint32_t overhead = dataplane::tunnel_overhead(*emit.ports);
        const std::uint32_t room =
            emit.ports->underlay_mtu > overhead ? emit.ports->underlay_mtu - overhead : 0;
        limit = limit < room ? limit : room;
    }
    return limit;
}

// The pieces go on by themselves; the whole is freed. False: it cannot be cut. Segments meet the
// limit once more, each for itself; fragments were made for it.
bool send_pieces(Packet& whole, bool super_frame, std::uint32_t limit, Egress::State& state,
                 Emit& emit) {
    const auto take = [&](Packet& piece) {
        piece.flow = nullptr;
        piece.program = dataplane::own_program(piece);
        *piece.program = *whole.program;
        if (!super_frame) piece.program->mtu = 0;
        // The same visit goes on: pieces are cut once, so this is no recirculation.
        emit.start(piece, dataplane::Context::source, emit.stages->egress);
    };
    const bool done = super_frame ? dataplane::cut_super_frame(whole, emit, take)
                                  : dataplane::cut_fragments(whole, limit, emit, take);
    if (!done) return false;
    ++(super_frame ? state.segmented : state.fragmented);
    return true;
}

}  // namespace

void Egress::run(dataplane::Burst& burst, const Tables&, State& state,
                 dataplane::Exits<Exit>& exits, Emit& emit) {
    for (Packet* p : burst.packets()) {
        const ActionProgram& program = *p->program;
        mark_current(*p, emit);
        const std::uint32_t ip_bytes =
            static_cast<std::uint32_t>(p->headers.l3_end - p->headers.l3);
        if (program.mtu != 0 && p->headers.family != net::Family::none) {
            const std::uint32_t limit = limit_of(program, emit);
            const bool super_frame = p->flags & net::packet_super_frame;
            const bool dont_fragment =
                p->headers.family == net::Family::ip6 || (p->data[p->headers.l3 + 6] & 0x40);
            if (ip_bytes > limit && !super_frame && dont_fragment) {
                emit.note(*p, "mtu", limit);
                dataplane::reply_icmp(*p, net::IcmpErrorKind::too_big, limit, emit);
                exits.take(*p, Exit::mtu);
                continue;
            }
            if (ip_bytes > limit || super_frame) {
                if (!send_pieces(*p, super_frame, limit, state, emit))
                    exits.take(*p, Exit::not_cut);
                continue;
            }
        }
        if (program.routed) {
            program.new_dst.store(p->data);
            program.new_src.store(p->data + 6);
        }
        send(*p, program, emit);
    }
}

}  // namespace weir::switching
