#include "features/chain/liveness/bfd.hpp"
#include "model/value.hpp"

// What the sessions show of themselves (spec service-plane TM-4, TM-5).
namespace weir::chain {
namespace {

using dataplane::BfdSession;

// Only the worker that runs the sessions has looked up where they are.
bool runs(const Bfd::Tables& tables, const Bfd::State& state) {
    return state.memory && state.digest == tables.digest &&
           state.slots.size() == tables.peers.size();
}

const Bfd::Slot* slot_of(const Bfd::State& state, std::size_t peer) {
    const std::uint16_t at = state.slots[peer];
    return at < state.memory->slots.size() ? &state.memory->slots[at] : nullptr;
}

std::uint64_t ms_since(std::uint64_t then_ns, std::uint64_t now_ns) {
    return then_ns == 0 || now_ns < then_ns ? 0 : (now_ns - then_ns) / 1'000'000;
}

model::Value row_of(const Bfd::Peer& peer, const Bfd::Slot& slot, const dataplane::Emit& emit) {
    const BfdSession& session = slot.session;
    model::Value row = model::Value::object();
    row.set("peer", peer.name);
    row.set("host_id", std::uint64_t{peer.host_id});
    row.set("svni", std::uint64_t{peer.svni});
    row.set("state", net::name(session.state()));
    row.set("counts_as", emit.health->host_is_up(peer.host_id) ? "up" : "down");
    row.set("diagnostic", std::uint64_t{static_cast<std::uint8_t>(session.diagnostic())});
    row.set("since_ms", ms_since(session.changed_ns(), emit.now_ns));
    row.set("heard_ms", ms_since(session.heard_ns(), emit.now_ns));
    row.set("interval_ms", session.interval_ns() / 1'000'000);
    row.set("detection_ms", session.detection_ns() / 1'000'000);
    row.set("discriminator", std::uint64_t{session.discriminator()});
    row.set("sent", slot.sent.load(std::memory_order_relaxed));
    row.set("received", slot.heard.load(std::memory_order_relaxed));
    row.set("downs", std::uint64_t{session.downs()});
    return row;
}

}  // namespace

void Bfd::counters(const Tables& tables, const State& state, dataplane::CounterSink& sink) {
    if (!state.memory) sink.add("weir_tunnel_memory_missing", {}, 1);
    if (!runs(tables, state)) return;
    for (std::size_t i = 0; i < tables.peers.size(); ++i) {
        const Slot* slot = slot_of(state, i);
        if (!slot) continue;
        const std::string& peer = tables.peers[i].name;
        sink.add("weir_tunnel_up", {{"peer", peer}},
                 slot->session.state() == net::BfdState::up ? 1 : 0);
        sink.add("weir_tunnel_downs_total", {{"peer", peer}}, slot->session.downs());
        sink.add("weir_tunnel_checks_total", {{"peer", peer}, {"way", "sent"}},
                 slot->sent.load(std::memory_order_relaxed));
        sink.add("weir_tunnel_checks_total", {{"peer", peer}, {"way", "received"}},
                 slot->heard.load(std::memory_order_relaxed));
    }
}

bool Bfd::query(std::string_view what, const Tables& tables, State& state, dataplane::Emit& emit,
                model::Value& rows) {
    if (what != "sessions") return false;
    if (!runs(tables, state)) return true;
    for (std::size_t i = 0; i < tables.peers.size(); ++i)
        if (const Slot* slot = slot_of(state, i)) rows.push(row_of(tables.peers[i], *slot, emit));
    return true;
}

}  // namespace weir::chain
