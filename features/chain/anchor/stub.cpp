#include "features/chain/anchor/stub.hpp"

#include <utility>

#include "net/bytes.hpp"
#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

using dataplane::Context;
using dataplane::Emit;
using dataplane::MovedPort;
using dataplane::Packet;
using Exit = Stub::Exit;

constexpr Exit goes_on = Exit::count_;
constexpr std::size_t ctrl_handle_at = 4;  // w1 of a CTRL option

// The port that this packet comes back to, if it has left; null for everybody else's packets.
const MovedPort* moved_anchor(const Packet& p, const Emit& emit) {
    if (!p.smd.returning || p.smd.anchor_host != emit.ports->host_id) return nullptr;
    if (net::destination_mac(p) != net::service_plane_mac(emit.ports->host_id)) return nullptr;
    return emit.ports->moved_anchor(p.smd.anchor_port, emit.now_ns);
}

// To the new anchor; the tunnel is the last stage of this context.
Exit send_on(Packet& p, const MovedPort& to, Stub::State& state, const Emit& emit) {
    if (p.smd.moved) return Exit::moved_twice;
    if (p.smd.ttl <= 1) return Exit::ttl_expired;
    p.smd.moved = true;
    p.smd.ttl = static_cast<std::uint8_t>(p.smd.ttl - 1);
    p.smd.anchor_host = to.to_host;
    p.smd.anchor_port = to.to_anchor;
    p.smd.flow_handle = to.handle(p.smd.flow_handle);
    for (std::size_t i = 0; i < p.ctrl_count; ++i)
        net::store32(p.ctrl[i].data() + ctrl_handle_at, p.smd.flow_handle);
    net::set_macs(p, net::service_plane_mac(to.to_host),
                  net::service_plane_mac(emit.ports->host_id));
    p.tunnel_peer = to.to_host;
    ++state.forwarded;
    state.orders += p.ctrl_count != 0;
    state.no_handle += p.smd.flow_handle == 0;
    return goes_on;
}

}  // namespace

void Stub::run(dataplane::Burst& burst, const Tables&, State& state, dataplane::Exits<Exit>& exits,
               Emit& emit) {
    if (emit.ports->moved.empty()) [[likely]]
        return;
    for (Packet* p : burst.packets()) {
        const MovedPort* moved = moved_anchor(*p, emit);
        if (!moved) continue;
        emit.note(*p, "moved", moved->name);
        if (moved->to_host != net::no_port) {
            if (const Exit why = send_on(*p, *moved, state, emit); why != goes_on)
                exits.take(*p, why);
        } else if (state.count == State::capacity) {
            exits.take(*p, Exit::hold_full);
        } else {
            state.held[state.count++] = p;
            ++state.kept;
            emit.keep(*p);
        }
    }
}

// What waits goes on as soon as it is known where to: there, or to its port here after all.
void Stub::tick(const Tables&, State& state, dataplane::Exits<Exit>&, Emit& emit) {
    std::size_t left = 0;
    for (std::size_t i = 0; i < state.count; ++i) {
        Packet* const p = state.held[i];
        const MovedPort* moved = moved_anchor(*p, emit);
        if (moved && moved->to_host == net::no_port) {
            state.held[left++] = p;
        } else {
            emit.enter(*p, Context::service, emit.stages->service_from_anchor);
        }
    }
    state.count = left;
}

void Stub::leave(State& state, dataplane::Exits<Exit>& exits, Emit& emit) {
    for (std::size_t i = 0; i < state.count; ++i) {
        exits.note(Exit::hold_gone);
        emit.release(*state.held[i]);
    }
    state.count = 0;
}

void Stub::counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_stub_packets_total", {{"what", "kept"}}, state.kept);
    sink.add("weir_stub_packets_total", {{"what", "forwarded"}}, state.forwarded);
    sink.add("weir_stub_packets_total", {{"what", "with_orders"}}, state.orders);
    sink.add("weir_stub_packets_total", {{"what", "unknown_flow"}}, state.no_handle);
}

}  // namespace weir::chain
