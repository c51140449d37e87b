// How the new host of a node tells the other hosts that it is there (spec service-plane MB-9).
#include <algorithm>
#include <cstdio>

#include "features/chain/hop/arrive.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::Packet;

constexpr std::uint32_t hosts_per_tick = 64;  // 4096 within 64 ms

void report(const Move& move, bool again, Emit& emit) {
    char text[200];
    const int n = std::snprintf(
        text, sizeof text, R"({"event":"node-arrived","node":"%.63s","node_id":%u,"number":%u%s})",
        move.node.c_str(), move.node_id, move.number, again ? R"(,"again":true)" : "");
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

bool tell(const Move& move, std::uint32_t host, std::uint32_t this_host, Emit& emit) {
    Packet* p = emit.allocate();
    if (!p) return false;
    if (!build_arrival(*p, move.node_id, this_host, host)) {
        emit.release(*p);
        return false;
    }
    p->smd = {};
    p->smd.oam = p->smd.returning = true;
    p->smd.anchor_host = p->tunnel_peer = host;
    --p->smd.ttl;  // one leg; nothing to resolve
    p->oam = true;
    p->ctrl_count = 0;
    p->vni = p->hand.vni = move.svni;
    emit.enter(*p, dataplane::Context::service, emit.stages->service_from_anchor);
    return true;
}

// A few times, as packets may be lost; the controller tells everybody in any case.
void announce(const Move& move, MoveMemory::One& one, std::uint32_t this_host, Emit& emit) {
    std::uint64_t since = one.present_ns.load(std::memory_order_relaxed);
    if (since == 0) one.present_ns.store(since = emit.now_ns, std::memory_order_relaxed);
    const std::uint32_t times = one.announced.load(std::memory_order_relaxed);
    if (times == announcements_ns.size() || emit.now_ns < since + announcements_ns[times]) return;
    std::uint32_t told = one.told.load(std::memory_order_relaxed);
    const std::uint32_t before = told;
    for (std::uint32_t i = 0; i < hosts_per_tick && told < move.hosts.size(); ++i, ++told)
        if (!tell(move, move.hosts[told], this_host, emit)) break;
    const bool all = told >= move.hosts.size();
    // With the first of the others, as there is room for it.
    if (before == 0 && (told != 0 || all)) report(move, times != 0, emit);
    one.told.store(all ? 0 : told, std::memory_order_relaxed);
    if (all) one.announced.store(times + 1, std::memory_order_relaxed);
}

}  // namespace

void Arrive::tick(const Tables& plane, State& state, dataplane::Exits<Exit>&, Emit& emit) {
    if (emit.worker != 0) return;
    if (plane.moves.empty() && !state.moving) return;
    state.moving = !plane.moves.empty();
    state.moves.keep_only(plane.moves);
    for (const Move& move : plane.moves)
        if (MoveMemory::One* one = move.present ? state.moves.of(move) : nullptr)
            announce(move, *one, plane.host_id, emit);
}

}  // namespace weir::chain
