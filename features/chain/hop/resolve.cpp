#include "features/chain/hop/resolve.hpp"

#include "dataplane/cut.hpp"
#include "features/chain/hop/resolve_step.hpp"
#include "net/checksum.hpp"
#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::Packet;
using Exit = Resolve::Exit;

// What became of a packet: it goes on, another took its place, or it leaves by an exit.
struct Outcome {
    bool taken = false;
    Exit exit = Exit::count_;
};
constexpr Outcome goes_on{}, taken{true, Exit::count_};

Exit exit_of(Resolved what) {
    switch (what) {
        case Resolved::ttl_expired:
            return Exit::ttl_expired;
        case Resolved::no_next_hop:
            return Exit::no_next_hop;
        case Resolved::bad_epoch:
            return Exit::bad_epoch;
        case Resolved::hop_down:
            return Exit::hop_down;
        default:
            return Exit::count_;
    }
}

// One packet of a burst.
struct Work {
    const Plane& plane;
    Resolve::State& state;
    dataplane::Exits<Exit>& exits;
    Emit& emit;

    Outcome run(Packet& p) {
        for (;;) {
            const ResolveStep step = resolve_step(p.smd, p.vni, plane, *emit.health);
            state.skipped += step.skipped;
            state.fail_skipped += step.fail_skipped;
            if (step.stale != StaleReason::none) [[unlikely]]
                report(p, step);
            switch (step.what) {
                case Resolved::copy:
                    send_copy(p, step);
                    continue;
                case Resolved::forward:
                    return send_to(p, *step.hop);
                case Resolved::to_anchor:
                    return send_to_anchor(p);
                default:
                    if (step.hop) emit.note(p, "next", step.hop->node);
                    return {false, exit_of(step.what)};
            }
        }
    }

    // §4.5 "report": in the name of the node that the packet comes from.
    void report(const Packet& p, const ResolveStep& step) {
        const LocalVnic* vnic = plane.vnic(p.hand.port);
        report_stale(p, {step.stale, vnic ? vnic->node_id : 0, step.dead_node}, state.reports,
                     emit);
    }

    // What the packet comes from: a node of this host, else this host as an anchor.
    net::Mac from(const Packet& p) const {
        const LocalVnic* vnic = plane.vnic(p.hand.port);
        return vnic ? vnic->mac : net::service_plane_mac(plane.host_id);
    }

    // A node on its way is at its new host as soon as that has said so (MB-9).
    std::uint32_t host_of(const Hop& hop) {
        if (hop.moving_to == 0) [[likely]]
            return hop.host_id;
        const Move* move = plane.move(hop.node_id);
        return move && state.moves.is_away(*move) ? hop.moving_to : hop.host_id;
    }

    Outcome send_to(Packet& p, const Hop& hop) {
        net::set_macs(p, hop.mac, from(p));
        emit.note(p, "next", hop.node);
        emit.note(p, "ttl", p.smd.ttl);
        const std::uint32_t host = host_of(hop);
        if (host != plane.host_id) return send_remote(p, host);
        p.destination_port = hop.port[p.smd.reverse];
        ++state.legs_local;
        return goes_on;
    }

    // DP-18: the anchor is named by the packet, not by tables.
    Outcome send_to_anchor(Packet& p) {
        net::set_macs(p, net::service_plane_mac(p.smd.anchor_host), from(p));
        emit.note(p, "next", "anchor");
        emit.note(p, "ttl", p.smd.ttl);
        if (p.smd.anchor_host != plane.host_id) return send_remote(p, p.smd.anchor_host);
        ++state.legs_local;
        return goes_on;
    }

    // Another host knows nothing of what was negotiated with the guest (DP-25).
    Outcome send_remote(Packet& p, std::uint32_t host) {
        ++state.legs_remote;
        p.tunnel_peer = host;
        if (p.flags & net::packet_super_frame) return send_segments(p);
        return net::resolve_partial_checksum(p) ? goes_on : Outcome{false, Exit::bad_frame};
    }

    // The segments go on by themselves; the whole is freed.
    Outcome send_segments(Packet& whole) {
        const auto take = [&](Packet& piece) {
            emit.enter(piece, dataplane::Context::service, emit.stages->service_from_anchor);
        };
        if (!dataplane::cut_super_frame(whole, emit, take)) return {false, Exit::bad_frame};
        ++state.segmented;
        return taken;
    }

    // CT-11: whatever happens to the copy, the original goes on.
    void send_copy(Packet& p, const ResolveStep& step) {
        Packet* copy = nullptr;
        if (net::resolve_partial_checksum(p)) copy = emit.clone(p);
        if (!copy) {
            ++state.copies_lost;
            return;
        }
        copy->smd.copy = true;
        copy->ctrl_count = 0;
        copy->smd.si = step.copy_si;
        copy->flow = nullptr;
        copy->program = nullptr;
        if (!spend_ttl(copy->smd)) {
            exits.note(Exit::ttl_expired);
            emit.release(*copy);
            return;
        }
        ++state.copies;
        const Outcome outcome = send_to(*copy, *step.hop);
        if (outcome.taken) return;
        if (outcome.exit != Exit::count_) {
            exits.note(outcome.exit);
            emit.release(*copy);
            return;
        }
        emit.enter(*copy, dataplane::Context::service, emit.stages->service_from_anchor);
    }
};

}  // namespace

Result<std::shared_ptr<const Plane>> Resolve::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    return compile_plane(input, previous);
}

void Resolve::run(dataplane::Burst& burst, const Tables& plane, State& state,
                  dataplane::Exits<Exit>& exits, Emit& emit) {
    Work work{plane, state, exits, emit};
    for (Packet* p : burst.packets()) {
        if (p->smd.returning || p->oam || p->smd.oam || p->destination_port != net::no_port ||
            p->tunnel_peer != net::no_port)
            continue;
        const Outcome outcome = work.run(*p);
        if (!outcome.taken && outcome.exit != Exit::count_) exits.take(*p, outcome.exit);
    }
}

}  // namespace weir::chain
