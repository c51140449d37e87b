#include <algorithm>

#include "features/overlay/service_leg.hpp"
#include "features/overlay/underlay.hpp"
#include "net/geneve.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"

namespace weir::overlay {

namespace {

using dataplane::Emit;
using dataplane::Packet;

DecapExit exit_of(net::GeneveError error) {
    switch (error) {
        case net::GeneveError::duplicate_smd:
            return DecapExit::multi_smd;
        case net::GeneveError::bad_smd_length:
        case net::GeneveError::bad_smd_version:
        case net::GeneveError::bad_smd_zz:
            return DecapExit::bad_smd;
        case net::GeneveError::short_header:
        case net::GeneveError::bad_version:
        case net::GeneveError::options_overrun:
            return DecapExit::bad_geneve;
        default:
            return DecapExit::bad_option;
    }
}

// What the plane of the VNI allows; count_ when all is well.
DecapExit check_plane(const net::GeneveView& view, const dataplane::SegmentEntry& segment) {
    if (segment.service && segment.nsh) return view.smd ? DecapExit::bad_smd : DecapExit::count_;
    if (segment.service) return view.smd ? DecapExit::count_ : DecapExit::no_smd;
    if (view.smd || view.ctrl_count != 0 || !view.auth.empty()) return DecapExit::smd_on_guest_vni;
    return view.oam ? DecapExit::oam_on_guest_vni : DecapExit::count_;
}

bool in_span(const dataplane::SegmentEntry& segment, std::uint32_t host) {
    for (const std::uint32_t one : segment.remote_hosts)
        if (one == host) return true;
    return false;
}

// Where the segment has keys (SEC-6); count_ when all is well.
DecapExit check_signature(const Packet& p, const net::GeneveView& view,
                          const dataplane::SegmentEntry& segment, const Decap::Tables& tables,
                          Decap::State& state) {
    if (!segment.signed_legs) return DecapExit::count_;
    const AuthLink* link = tables.find(view.vni, p.tunnel_peer);
    AuthWindows::Window* window = link ? state.windows.find(view.vni, p.tunnel_peer) : nullptr;
    switch (check_auth(view, segment.nsh, link, window)) {
        case AuthFault::none:
            return DecapExit::count_;
        case AuthFault::replay:
            return DecapExit::replay;
        default:
            return DecapExit::auth_fail;
    }
}

// The metadata of a packet of a service segment; count_ when all is well.
DecapExit take_metadata(Packet& p, const net::GeneveView& view,
                        const dataplane::SegmentEntry& segment) {
    if (view.smd) p.smd = *view.smd;
    if (!segment.service || !segment.nsh) return DecapExit::count_;
    switch (take_nsh(p)) {
        case NshLeg::good:
            return DecapExit::count_;
        case NshLeg::missing:
            return DecapExit::no_smd;
        default:
            return DecapExit::bad_smd;
    }
}

void take_marks(Packet& p, const net::GeneveView& view, const dataplane::SegmentEntry& segment,
                Decap::State& state) {
    p.hand.serviced_flags = 0;
    if (view.serviced && !segment.service) {
        if (segment.router != net::no_port || in_span(segment, p.tunnel_peer)) {
            p.hand.serviced_flags = view.serviced->flags;
            p.hand.serviced_sci = view.serviced->sci;
            p.hand.serviced_anchor = view.serviced->anchor_host;
        } else {
            ++state.serviced_ignored;
        }
    }
    if (view.trace) {
        p.hand.trace_id = view.trace->trace_id;
        p.hand.trace_collector = view.trace->collector_host;
    }
}

}  // namespace

void Decap::run(dataplane::Burst& burst, const Tables& tables, State& state,
                dataplane::Exits<Exit>& exits, Emit& emit) {
    for (Packet* p : burst.packets()) {
        net::GeneveView view;
        const auto payload =
            p->bytes().subspan(p->headers.payload, p->headers.l3_end - p->headers.payload);
        if (const auto error = net::decode(payload, view); error != net::GeneveError::none) {
            exits.take(*p, exit_of(error));
            continue;
        }
        const dataplane::SegmentEntry* segment = emit.ports->segment(view.vni);
        if (!segment) {
            exits.take(*p, Exit::unknown_svni);
            continue;
        }
        if (view.protocol != net::geneve_proto_ethernet) {
            exits.take(*p, Exit::bad_geneve);
            continue;
        }
        if (const Exit why = check_plane(view, *segment); why != Exit::count_) {
            exits.take(*p, why);
            continue;
        }
        if (const Exit why = check_signature(*p, view, *segment, tables, state);
            why != Exit::count_) {
            exits.take(*p, why);
            continue;
        }
        take_marks(*p, view, *segment, state);
        if (view.trace) [[unlikely]] {
            const auto* peer = emit.ports->peer(p->tunnel_peer);
            emit.note(*p, "from", peer ? std::string_view(peer->name) : std::string_view("?"));
            emit.note(*p, "vni", view.vni);
        }
        p->ctrl_count = view.ctrl_count;
        for (std::size_t i = 0; i < view.ctrl_count; ++i)
            std::ranges::copy(view.ctrl[i], p->ctrl[i].begin());
        p->oam = view.oam;
        p->vni = p->hand.vni = view.vni;
        p->trim_to(p->headers.l3_end);
        p->strip(p->headers.payload + view.header_bytes);
        if (const Exit why = take_metadata(*p, view, *segment); why != Exit::count_) {
            exits.take(*p, why);
            continue;
        }
        p->source_port = p->hand.source_port = net::no_port;
        if (net::parse(*p) != net::ParseError::none) {
            exits.take(*p, Exit::bad_inner);
            continue;
        }
        p->hash = net::symmetric_hash(p->tuple);
        p->flow = nullptr;
        if (segment->service) {
            ++state.received.of(p->tunnel_peer).service;
            emit.enter(*p, dataplane::Context::service, emit.stages->service_from_tunnel);
        } else {
            ++state.received.of(p->tunnel_peer).guest;
        }
    }
}

}  // namespace weir::overlay
