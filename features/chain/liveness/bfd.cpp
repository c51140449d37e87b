#include "features/chain/liveness/bfd.hpp"

#include <algorithm>
#include <cstdio>
#include <random>

#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

using dataplane::BfdSession;
using dataplane::Emit;
using dataplane::Packet;
using Exit = Bfd::Exit;
using HostState = dataplane::HealthBoard::Hosts::State;
using Slot = Bfd::Slot;
using State = Bfd::State;
using Tables = Bfd::Tables;

constexpr std::uint32_t empty = 0, writing = 1, full = 2;
// Who was away for longer than the other side waits begins anew and blames nobody.
constexpr std::uint64_t slept_ns = 1'000'000'000;
constexpr std::uint16_t nowhere = 0xffff;

void report(Emit& emit, const char* event, const Bfd::Peer& peer, const BfdSession& session) {
    char text[256];
    const int n = std::snprintf(
        text, sizeof text,
        R"({"event":"%s","peer":"%.63s","host_id":%u,"svni":%u,"diagnostic":%u,"at_ms":%llu})",
        event, peer.name.c_str(), peer.host_id, peer.svni,
        static_cast<unsigned>(session.diagnostic()),
        static_cast<unsigned long long>(emit.now_ns / 1'000'000));
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

// Discriminators differ between the sessions of a host and, mostly, between its lives.
std::uint32_t discriminator_of(std::uint32_t seed, std::size_t slot) {
    const std::uint32_t high = (seed & 0xfffff) << 11;
    return high | static_cast<std::uint32_t>(slot + 1);
}

void start(Bfd::Memory& memory, std::size_t at, std::uint64_t now_ns) {
    Slot& slot = memory.slots[at];
    const std::uint32_t own = discriminator_of(memory.seed.load(std::memory_order_relaxed), at);
    slot.session.begin(own, now_ns);
    slot.discriminator.store(own, std::memory_order_release);
}

// The peer's slot, or a free one; the sessions of hosts that are no peers any more end.
void bind(const Tables& tables, State& state, Emit& emit) {
    Bfd::Memory& memory = *state.memory;
    for (Slot& slot : memory.slots) {
        const std::uint32_t host = slot.host_id.load(std::memory_order_relaxed);
        if (host == 0 || tables.peer(host)) continue;
        emit.health->set_host(host, HostState::unknown, emit.now_ns);
        slot.host_id.store(0, std::memory_order_release);
    }
    state.slots.clear();
    for (const Bfd::Peer& peer : tables.peers) {
        std::size_t found = nowhere, free = nowhere;
        for (std::size_t i = 0; i < memory.slots.size() && found == nowhere; ++i) {
            const std::uint32_t host = memory.slots[i].host_id.load(std::memory_order_relaxed);
            if (host == peer.host_id) found = i;
            if (host == 0 && free == nowhere) free = i;
        }
        if (found == nowhere && free != nowhere) {
            found = free;
            start(memory, found, emit.now_ns);
            memory.slots[found].host_id.store(peer.host_id, std::memory_order_release);
        }
        state.slots.push_back(static_cast<std::uint16_t>(found));
    }
    state.digest = tables.digest;
}

bool send(const Tables& tables, const Bfd::Peer& peer, const net::Bfd& bfd, Emit& emit) {
    Packet* p = emit.allocate();
    if (!p) return false;
    net::BfdRoute route;
    route.dst = net::service_plane_mac(peer.host_id);
    route.src = net::service_plane_mac(tables.host_id);
    route.to = net::Ip::from4(0x7f000001u);  // as in RFC 8971 §3: it ends at the endpoint
    route.from = tables.address;
    if (!net::build_bfd(*p, route, bfd)) {
        emit.release(*p);
        return false;
    }
    p->smd = {};
    p->smd.oam = p->smd.returning = true;
    p->smd.anchor_host = p->tunnel_peer = peer.host_id;
    --p->smd.ttl;  // one leg; nothing to resolve
    p->oam = true;
    p->ctrl_count = 0;
    p->vni = p->hand.vni = peer.svni;
    emit.enter(*p, dataplane::Context::service, emit.stages->service_from_anchor);
    return true;
}

// Up and not any more, or up again: the only changes that count.
void tell(const Bfd::Peer& peer, const BfdSession& session, bool was_up, Emit& emit) {
    const bool up = session.state() == net::BfdState::up;
    if (up == was_up) return;
    const HostState now = up ? HostState::up : HostState::down;
    if (emit.health->set_host(peer.host_id, now, emit.now_ns))
        report(emit, up ? "tunnel-up" : "tunnel-down", peer, session);
}

void work(const Tables& tables, const Bfd::Peer& peer, Slot& slot, Emit& emit) {
    BfdSession& session = slot.session;
    const bool was_up = session.state() == net::BfdState::up;
    net::Bfd bfd;
    if (slot.mailbox.load(std::memory_order_acquire) == full) {
        if (net::decode(slot.received, bfd) == net::BfdError::none)
            session.receive(bfd, slot.received_ns);
        slot.mailbox.store(empty, std::memory_order_release);
        slot.heard.fetch_add(1, std::memory_order_relaxed);
    }
    session.expire(emit.now_ns);
    tell(peer, session, was_up, emit);
    if (session.due(emit.now_ns) && send(tables, peer, session.next_packet(emit.now_ns), emit))
        slot.sent.fetch_add(1, std::memory_order_relaxed);
}

bool runs_here(const Emit& emit) {
    const dataplane::PortEntry* under = emit.ports->at(emit.ports->underlay_port);
    return under && !under->foreign && under->polling_worker == emit.worker;
}

// RFC 5880 §6.8.6 as far as it needs a session; count_: it waits for the session's worker.
Exit accept(const Packet& p, std::span<const std::uint8_t> payload, const Tables& tables,
            State& state, std::uint64_t now_ns) {
    net::Bfd bfd;
    if (net::decode(payload, bfd) != net::BfdError::none) return Exit::bad_packet;
    if (!state.memory || !tables.peer(p.tunnel_peer)) return Exit::unknown_session;
    for (Slot& slot : state.memory->slots) {
        if (slot.host_id.load(std::memory_order_acquire) != p.tunnel_peer) continue;
        if (bfd.your_discriminator != 0 &&
            bfd.your_discriminator != slot.discriminator.load(std::memory_order_relaxed))
            return Exit::unknown_session;
        std::uint32_t was = empty;
        // One that waits already is as good; the next is not far.
        if (slot.mailbox.compare_exchange_strong(was, writing, std::memory_order_acq_rel)) {
            net::encode(bfd, slot.received);
            slot.received_ns = now_ns;
            slot.mailbox.store(full, std::memory_order_release);
        }
        return Exit::count_;
    }
    return Exit::unknown_session;
}

}  // namespace

const Bfd::Peer* Tables::peer(std::uint32_t host) const {
    const auto at = std::ranges::lower_bound(peers, host, {}, &Peer::host_id);
    return at != peers.end() && at->host_id == host ? &*at : nullptr;
}

void State::open(const dataplane::OpenInput& input) {
    bool fresh = false;
    memory = static_cast<Memory*>(
        input.pool(Memory::pool_name, sizeof(Memory), Memory::layout_version, fresh));
    slots.reserve(max_sessions);
    if (!memory) return;
    std::uint32_t none = 0;
    memory->seed.compare_exchange_strong(none, std::random_device{}() | 1,
                                         std::memory_order_acq_rel);
}

void Bfd::run(dataplane::Burst& burst, const Tables& tables, State& state,
              dataplane::Exits<Exit>& exits, Emit& emit) {
    for (Packet* p : burst.packets()) {
        if (!p->smd.oam || !p->smd.returning || p->ctrl_count != 0 ||
            p->smd.anchor_host != tables.host_id)
            continue;
        const auto payload = net::bfd_payload(*p);
        if (!payload) continue;
        const Exit why = accept(*p, *payload, tables, state, emit.now_ns);
        if (why != Exit::count_) {
            exits.take(*p, why);
        } else {
            emit.release(*p);
        }
    }
}

void Bfd::tick(const Tables& tables, State& state, dataplane::Exits<Exit>&, Emit& emit) {
    if (!state.memory) return;
    if (!runs_here(emit)) {
        state.digest = 0;  // they are another engine's, which counts them
        return;
    }
    Memory& memory = *state.memory;
    const bool slept = memory.ticked_ns != 0 && emit.now_ns - memory.ticked_ns > slept_ns;
    memory.ticked_ns = emit.now_ns;
    if (state.digest != tables.digest || state.slots.size() != tables.peers.size())
        bind(tables, state, emit);
    for (std::size_t i = 0; i < tables.peers.size(); ++i) {
        if (state.slots[i] == nowhere) continue;
        Slot& slot = memory.slots[state.slots[i]];
        if (slot.host_id.load(std::memory_order_relaxed) != tables.peers[i].host_id) {
            state.digest = 0;  // another engine has bound them anew
            continue;
        }
        if (slept) {
            start(memory, state.slots[i], emit.now_ns);
            emit.health->set_host(tables.peers[i].host_id, HostState::unknown, emit.now_ns);
        }
        work(tables, tables.peers[i], slot, emit);
    }
}

}  // namespace weir::chain
