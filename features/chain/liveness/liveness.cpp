#include "features/chain/liveness/liveness.hpp"

#include <algorithm>
#include <cstdio>

#include "features/chain/hop/stale.hpp"
#include "features/chain/liveness/health_check.hpp"
#include "features/chain/liveness/heartbeat.hpp"
#include "features/chain/node/moves.hpp"
#include "features/chain/node/node_watch.hpp"
#include "features/chain/orders/ctrl.hpp"
#include "net/ethernet.hpp"
#include "net/nsh.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::HealthBoard;
using dataplane::Overloads;
using dataplane::Packet;
using Judge = dataplane::Liveness;
using Exit = Liveness::Exit;
using Tables = Liveness::Tables;
using State = Liveness::State;

constexpr dataplane::LivenessTimes usual_times{};
constexpr dataplane::LivenessTimes router_times{.interval_ns = 300'000'000};  // LV-5
constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t tell_again_ns = 30 * second_ns;
constexpr std::uint8_t reason_liveness = 1;
constexpr unsigned messages_per_tick = 64;  // 4096 hosts within 64 ms (LV-7)
constexpr std::uint64_t message_rate = 10'000, message_burst = 2'000;  // a second; an issuer
constexpr std::uint64_t replay_memory_ns = 60 * second_ns;  // an issuer's host may have rebooted

// `again`: nothing changed; for a controller that lost what it knew.
void report(Emit& emit, const char* event, std::string_view node, std::uint32_t node_id,
            bool again = false) {
    char text[256];
    const int n = std::snprintf(
        text, sizeof text, R"({"event":"%s","node":"%.*s","node_id":%u,"at_ms":%llu%s})", event,
        static_cast<int>(std::min<std::size_t>(node.size(), limits::max_name_bytes)), node.data(),
        node_id, static_cast<unsigned long long>(emit.now_ns / 1'000'000),
        again ? R"(,"again":true)" : "");
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

// --- asking
// ---------------------------------------------------------------------------------------

const dataplane::LivenessTimes& times_of(const LocalNode& node) {
    return node.mode == NodeMode::l3 ? router_times : usual_times;
}

// Through the router in both directions, for each family it routes.
bool send_router_heartbeats(const LocalNode& node, std::uint32_t sequence, Emit& emit) {
    const auto now_ms = static_cast<std::uint32_t>(emit.now_ns / 1'000'000);
    bool all = true;
    for (const net::Family family : {net::Family::ip4, net::Family::ip6}) {
        if (node.proxy[0][family == net::Family::ip4 ? 0 : 1].is_zero()) continue;
        for (const Side side : {Side::left, Side::right}) {
            Packet* p = emit.allocate();
            if (p && build_router_heartbeat(*p, node, side, family, {node.id, sequence, now_ms})) {
                emit.transmit(*p, node.vnics[static_cast<std::size_t>(side)].port);
                continue;
            }
            if (p) emit.release(*p);
            all = false;
        }
    }
    return all;
}

bool send_health_question(const LocalNode& node, std::uint32_t sequence, Emit& emit) {
    Packet* p = emit.allocate();
    if (p && build_health_question(*p, node, sequence)) {
        emit.transmit(*p, node.vnics[0].port);
        return true;
    }
    if (p) emit.release(*p);
    return false;
}

bool send_heartbeats(const LocalNode& node, std::uint32_t sequence, Emit& emit) {
    const auto now_ms = static_cast<std::uint32_t>(emit.now_ns / 1'000'000);
    std::array<Packet*, 2> beats = {emit.allocate(), emit.allocate()};
    bool built = true;
    for (const Side side : {Side::left, Side::right}) {
        Packet* p = beats[static_cast<std::size_t>(side)];
        built = built && p && build_heartbeat(*p, {{node.id, sequence, now_ms}, side});
    }
    for (std::size_t side = 0; side < 2; ++side) {
        if (!beats[side]) continue;
        if (built) {
            emit.transmit(*beats[side], node.vnics[side].port);
        } else {
            emit.release(*beats[side]);
        }
    }
    return built;
}

// A query of its own, as a header-only O packet (LV-2).
bool send_query(const LocalNode& node, const NodeTable& table, std::uint32_t sequence, Emit& emit) {
    Packet* p = emit.allocate();
    if (!p) return false;
    net::Nsh nsh;
    if (node.metadata == NshMetadata::type1) nsh.md_type = net::MdType::fixed;
    nsh.smd.oam = nsh.smd.live_query = true;
    nsh.smd.si = nsh.smd.initial_si = 1;  // 0 would be dropped by any forwarder (RFC 8300 §2.3)
    nsh.smd.anchor_host = table.host_id;
    nsh.smd.flow_tag = sequence;
    if (!net::push_nsh(*p, nsh) ||
        !net::push_ethernet(*p, node.vnics[0].mac, table.proxy_mac, net::ethertype_nsh)) {
        emit.release(*p);
        return false;
    }
    emit.transmit(*p, node.vnics[0].port);
    return true;
}

void note_question(NodeSlot& slot, std::uint64_t now_ns) {
    slot.asked_ns.store(now_ns, std::memory_order_release);
    slot.questions.fetch_add(1, std::memory_order_relaxed);
}

// A new interval: heartbeats at once, a query to an aware node on the next data packet.
void begin_interval(const LocalNode& node, NodeSlot& slot, Emit& emit) {
    for (std::size_t i = 0; i < slot.heard.size(); ++i)
        slot.heard_before[i] = slot.heard[i].load(std::memory_order_acquire);
    if (node.mode == NodeMode::aware) {
        const std::uint64_t rode = slot.rode_ns.load(std::memory_order_relaxed);
        slot.ask_from_ns.store(
            std::max(slot.judge.interval_start_ns(), rode + usual_times.interval_ns),
            std::memory_order_release);
        return;
    }
    const std::uint32_t sequence = slot.sequence.load(std::memory_order_relaxed) + 1;
    slot.sequence.store(sequence, std::memory_order_release);
    const bool sent = node.mode == NodeMode::l3     ? send_router_heartbeats(node, sequence, emit)
                      : node.mode == NodeMode::gwlb ? send_health_question(node, sequence, emit)
                                                    : send_heartbeats(node, sequence, emit);
    if (sent) note_question(slot, emit.now_ns);
}

// No data packet took the query within the grace: it travels alone.
void ask_alone(const LocalNode& node, const NodeTable& table, NodeSlot& slot, Emit& emit) {
    if (emit.now_ns < slot.judge.interval_start_ns() + usual_times.grace_ns) return;
    std::uint64_t from = slot.ask_from_ns.load(std::memory_order_acquire);
    if (from == never_ns ||
        !slot.ask_from_ns.compare_exchange_strong(from, never_ns, std::memory_order_acq_rel))
        return;
    const std::uint32_t sequence = slot.sequence.load(std::memory_order_relaxed) + 1;
    slot.sequence.store(sequence, std::memory_order_release);
    if (send_query(node, table, sequence, emit)) {
        note_question(slot, emit.now_ns);
    } else {
        slot.ask_from_ns.store(from, std::memory_order_release);
    }
}

Judge::Outcome outcome(const LocalNode& node, const NodeSlot& slot) {
    const std::uint64_t asked = slot.asked_ns.load(std::memory_order_acquire);
    if (asked == 0 || asked < slot.judge.interval_start_ns()) return Judge::Outcome::unasked;
    const auto heard = [&](std::size_t i) {
        return slot.heard[i].load(std::memory_order_acquire) != slot.heard_before[i];
    };
    bool answered = false;
    switch (node.mode) {
        case NodeMode::aware:
        case NodeMode::gwlb:
            answered = heard(0);
            break;
        case NodeMode::l2:
            answered = heard(0) && heard(1);
            break;
        case NodeMode::l3:  // every family that it routes
            answered = true;
            for (const std::size_t family : {0u, 1u})
                if (!node.proxy[0][family].is_zero())
                    answered = answered && heard(2 * family) && heard(2 * family + 1);
            break;
    }
    return answered ? Judge::Outcome::answered : Judge::Outcome::missed;
}

// MB-9: who is being moved may be silent for a while.
bool may_be_silent(const LocalNode& node, NodeSlot& slot, std::uint64_t now_ns) {
    const std::uint64_t until = slot.silent_until_ns.load(std::memory_order_acquire);
    if (node.frozen_for != 0 && until == 0) {
        slot.silent_until_ns.store(now_ns + frozen_ns, std::memory_order_release);
        return true;
    }
    if (node.frozen_for == 0 && until != 0 && now_ns >= until)
        slot.silent_until_ns.store(0, std::memory_order_release);
    return now_ns < until;
}

// --- telling
// --------------------------------------------------------------------------------------

const char* event_of(Judge::Verdict verdict) {
    return verdict == Judge::Verdict::up ? "node-up" : "node-down";
}

void publish(const LocalNode& node, const NodeSlot& slot, State& state, Emit& emit) {
    const bool up = slot.judge.verdict() == Judge::Verdict::up;
    report(emit, event_of(slot.judge.verdict()), node.name, node.id);
    State::Publication* place = place_for(node, CtrlOp::node_down, state);
    // Up is the controller's to say (LV-7).
    if (!up && place) *place = {node.id, sequence_at(emit.now_ns)};
}

bool send_message(const LocalNode& node, const State::Publication& message, std::uint32_t host,
                  Emit& emit) {
    Packet* p = emit.allocate();
    if (!p) return false;
    if (!net::start_frame(*p, 60)) {
        emit.release(*p);
        return false;
    }
    net::set_macs(*p, net::service_plane_mac(host), net::service_plane_mac(emit.ports->host_id));
    net::store16(p->data + 12, net::ethertype_heartbeat);
    p->smd = {};
    p->smd.oam = p->smd.returning = true;
    p->smd.anchor_host = p->tunnel_peer = host;
    --p->smd.ttl;  // one leg; nothing to resolve
    p->oam = true;
    Ctrl ctrl;
    ctrl.op = static_cast<std::uint8_t>(message.op);
    ctrl.scope = ctrl_node_scope;
    ctrl.reason = message.op == CtrlOp::node_down ? reason_liveness : std::uint8_t{0};
    ctrl.issuer = node.id;
    ctrl.sequence = message.sequence;
    ctrl.valid_s = message.valid_s;
    ctrl.parameter = message.parameter;
    encode(ctrl, p->ctrl[0]);
    p->ctrl_count = 1;
    p->vni = p->hand.vni = node.svni;
    emit.enter(*p, dataplane::Context::service, emit.stages->service_from_anchor);
    return true;
}

void send_publications(const Tables& tables, State& state, Emit& emit) {
    unsigned left = messages_per_tick;
    for (State::Publication& message : state.publications) {
        if (message.node_id == 0) continue;
        const auto& nodes = tables.nodes.nodes;
        const auto node = std::ranges::lower_bound(nodes, message.node_id, {}, &LocalNode::id);
        if (node == nodes.end() || node->id != message.node_id) {
            message = {};
            continue;
        }
        const auto& hosts = tables.hosts[static_cast<std::size_t>(node - nodes.begin())];
        while (left > 0 && message.next < hosts.size()) {
            if (!send_message(*node, message, hosts[message.next], emit)) return;
            ++message.next;
            ++(message.op == CtrlOp::overload ? state.overloads_sent : state.messages_sent);
            --left;
        }
        if (message.next < hosts.size()) continue;
        if (message.op == CtrlOp::overload)
            state.binding.slot(static_cast<std::size_t>(node - nodes.begin()))
                .overload_told.store(message.serial, std::memory_order_release);
        message = {};
    }
}

// --- judging
// --------------------------------------------------------------------------------------

// A full board says nothing; its readers take the node for one that is up.
bool set_health(std::uint32_t node_id, bool up, State& state, Emit& emit) {
    const auto wanted = up ? HealthBoard::State::up : HealthBoard::State::down;
    const bool changed = emit.health->set(node_id, wanted, emit.now_ns);
    state.unlisted += !changed && emit.health->get(node_id) == HealthBoard::State::unknown;
    return changed;
}

// The board may be younger than the verdict, and the controller may have been away.
void keep_telling(const LocalNode& node, std::size_t n, bool changed, State& state, Emit& emit) {
    const Judge::Verdict verdict = state.binding.slot(n).judge.verdict();
    std::uint64_t& told_ns = state.watches[n].verdict_told_ns;
    set_health(node.id, verdict == Judge::Verdict::up, state, emit);
    if (changed || told_ns == 0) {
        told_ns = emit.now_ns;
    } else if (emit.now_ns - told_ns >= tell_again_ns) {
        report(emit, event_of(verdict), node.name, node.id, true);
        told_ns = emit.now_ns;
    }
}

void judge(const LocalNode& node, std::size_t n, const Tables& tables, State& state, Emit& emit) {
    NodeSlot& slot = state.binding.slot(n);
    if (slot.judge.due(emit.now_ns)) {
        Judge::Outcome what = outcome(node, slot);
        if (may_be_silent(node, slot, emit.now_ns) && what == Judge::Outcome::missed)
            what = Judge::Outcome::unasked;
        const bool changed = slot.judge.advance(emit.now_ns, what, times_of(node));
        if (changed) publish(node, slot, state, emit);
        if (slot.judge.verdict() != Judge::Verdict::unknown)
            keep_telling(node, n, changed, state, emit);
        begin_interval(node, slot, emit);
    }
    if (node.mode == NodeMode::aware) ask_alone(node, tables.nodes, slot, emit);
}

// Liveness was switched off: what was known then says nothing now, and nothing when it is on again.
void forget_verdict(const LocalNode& node, NodeSlot& slot, State& state, Emit& emit) {
    if (slot.judge.verdict() == Judge::Verdict::unknown) return;
    slot.judge = {};
    slot.asked_ns.store(0, std::memory_order_release);
    set_health(node.id, true, state, emit);
}

bool judged_here(const LocalNode& node, std::uint32_t worker) {
    return node.realised() && !node.vnics[0].foreign && node.vnics[0].polling_worker == worker;
}

// Known already; unless the board, which is another memory, has forgotten it.
bool is_old(const Tables::Status& status, const HeardNode& heard, const Emit& emit) {
    const std::uint64_t last = heard.status_generation.load(std::memory_order_relaxed);
    return last > status.generation ||
           (last == status.generation &&
            emit.health->get(status.node_id) != HealthBoard::State::unknown);
}

void apply_statuses(const Tables& tables, State& state, Emit& emit) {
    if (emit.worker != 0 || state.status_digest == tables.status_digest) return;
    for (const Tables::Status& status : tables.statuses) {
        HeardNode* heard = state.binding.memory()->heard_of(status.node_id);
        state.unheard += !heard;
        if (!heard || is_old(status, *heard, emit)) continue;
        heard->status_generation.store(status.generation, std::memory_order_relaxed);
        set_health(status.node_id, status.up, state, emit);
    }
    state.status_digest = tables.status_digest;
}

// --- hearing
// --------------------------------------------------------------------------------------

bool take_token(State::Bucket& bucket, std::uint64_t now_ns) {
    constexpr std::uint64_t full = message_burst * second_ns;  // a token is a second of nanoseconds
    if (bucket.filled_ns == 0) {
        bucket.tokens = full;
    } else {
        const std::uint64_t elapsed = std::min(now_ns - bucket.filled_ns, second_ns);
        bucket.tokens = std::min(full, bucket.tokens + elapsed * message_rate);
    }
    bucket.filled_ns = now_ns;
    if (bucket.tokens < second_ns) return false;
    bucket.tokens -= second_ns;
    return true;
}

// Messages of one issuer and kind come in order; what is not newer was heard already.
bool is_replay(const Ctrl& ctrl, AtomicU32& sequence, AtomicU64& heard_ns, std::uint64_t now_ns) {
    const std::uint64_t last = heard_ns.load(std::memory_order_acquire);
    if (last != 0 && now_ns - last < replay_memory_ns &&
        !is_newer(ctrl.sequence, sequence.load(std::memory_order_relaxed)))
        return true;
    sequence.store(ctrl.sequence, std::memory_order_relaxed);
    heard_ns.store(now_ns, std::memory_order_release);
    return false;
}

Exit node_is_down(const Ctrl& ctrl, HeardNode& heard, State& state, Emit& emit) {
    if (is_replay(ctrl, heard.sequence, heard.message_ns, emit.now_ns)) return Exit::replay;
    if (set_health(ctrl.issuer, false, state, emit))
        report(emit, "node-down-heard", "", ctrl.issuer);
    ++state.messages_applied;
    return Exit::count_;
}

// Fewer new flows for the issuer, for a while; those that are there stay (PS-7).
Exit node_is_overloaded(const Ctrl& ctrl, HeardNode& heard, State& state, Emit& emit) {
    if (ctrl.parameter > Overloads::whole || ctrl.valid_s == 0) return Exit::bad_ctrl;
    if (is_replay(ctrl, heard.overload_sequence, heard.overload_ns, emit.now_ns))
        return Exit::replay;
    emit.health->overloads().set(ctrl.issuer, ctrl.parameter,
                                 emit.now_ns + ctrl.valid_s * second_ns, emit.now_ns);
    ++state.overloads_applied;
    return Exit::count_;
}

void tell_stale(const Tables::KnownPath& path, const Ctrl& ctrl, Emit& emit) {
    char text[200];
    const int n = std::snprintf(
        text, sizeof text,
        R"({"event":"path-stale","svni":%u,"spi":%u,"issuer":%u,"reason":"%s","node_id":%u})",
        path.svni, path.spi, ctrl.issuer, name(static_cast<StaleReason>(ctrl.reason)), ctrl.digest);
    if (n > 0) emit.event({text, std::min(static_cast<std::size_t>(n), sizeof text - 1)});
}

// The path, and where a node is dead every other that it is on (PS-12), count as failed for a
// while.
Exit path_is_stale(const Ctrl& ctrl, HeardNode& heard, const Tables& tables, State& state,
                   Emit& emit, std::uint32_t svni) {
    const Tables::KnownPath* stale = tables.path(svni, ctrl.parameter);
    if (!stale || !std::ranges::binary_search(stale->nodes, ctrl.issuer))
        return Exit::unknown_issuer;
    if (is_replay(ctrl, heard.stale_sequence, heard.stale_ns, emit.now_ns)) return Exit::replay;
    const bool hop_down = ctrl.reason == static_cast<std::uint8_t>(StaleReason::hop_down);
    if (!hop_down && ctrl.digest != stale->epoch) {  // another version of the path than ours
        ++state.stale_outdated;
        return Exit::count_;
    }
    const auto fail = [&](std::uint32_t spi) {
        const bool is_new =
            emit.health->fail_path(svni, spi, emit.now_ns + stale_path_ns, ctrl.reason);
        state.unfailed += !is_new && !emit.health->failed_paths().contains(svni, spi);
        return is_new;
    };
    if (fail(stale->spi)) tell_stale(*stale, ctrl, emit);
    const bool dead = hop_down && std::ranges::binary_search(stale->nodes, ctrl.digest);
    for (const Tables::KnownPath& path : tables.paths)
        if (dead && path.svni == svni && std::ranges::binary_search(path.nodes, ctrl.digest))
            fail(path.spi);
    ++state.stale_applied;
    return Exit::count_;
}

// CT-6 for messages of node scope; count_: applied.
Exit accept(const Packet& p, const Tables& tables, State& state, Emit& emit) {
    Ctrl ctrl;
    if (decode(p.ctrl[0], ctrl) != CtrlError::none) return Exit::bad_ctrl;
    const auto op = static_cast<CtrlOp>(ctrl.op);
    if (ctrl.scope != ctrl_node_scope || op < CtrlOp::overload || op > CtrlOp::stale_path)
        return Exit::unsupported_op;
    if (p.smd.spi != 0 || p.smd.initial_si != 0 || p.smd.flow_handle != 0) return Exit::bad_ctrl;
    const Tables::Issuer* issuer = tables.issuer(ctrl.issuer);
    if (!issuer || issuer->svni != p.vni) return Exit::unknown_issuer;
    if (issuer->host_id != p.tunnel_peer && issuer->moving_to != p.tunnel_peer)
        return Exit::wrong_host;
    HeardNode* heard = state.binding.memory()->heard_of(ctrl.issuer);
    if (!heard) {
        ++state.unheard;
        return Exit::unknown_issuer;
    }
    if (heard->host.exchange(p.tunnel_peer, std::memory_order_acq_rel) != p.tunnel_peer) {
        heard->message_ns.store(0, std::memory_order_release);
        heard->stale_ns.store(0, std::memory_order_release);
        heard->overload_ns.store(0, std::memory_order_release);
    }
    if (!take_token(
            state.buckets[static_cast<std::size_t>(heard - state.binding.memory()->heard.data())],
            emit.now_ns))
        return Exit::rate_limit;
    if (op == CtrlOp::overload) return node_is_overloaded(ctrl, *heard, state, emit);
    return op == CtrlOp::node_down ? node_is_down(ctrl, *heard, state, emit)
                                   : path_is_stale(ctrl, *heard, tables, state, emit, p.vni);
}

}  // namespace

void Liveness::run(dataplane::Burst& burst, const Tables& tables, State& state,
                   dataplane::Exits<Exit>& exits, Emit& emit) {
    for (Packet* p : burst.packets()) {
        // Messages about flows are for Orders. What is not for this host is left to Return, which
        // says NOT_ANCHOR.
        if (!p->smd.oam || !p->smd.returning || p->ctrl_count == 0 || p->smd.flow_handle != 0 ||
            p->smd.anchor_host != tables.nodes.host_id)
            continue;
        const Exit why = state.binding.follow(tables.nodes, false) ? accept(*p, tables, state, emit)
                                                                   : Exit::unknown_issuer;
        if (why != Exit::count_) {
            exits.take(*p, why);
        } else {
            emit.release(*p);
        }
    }
}

void Liveness::tick(const Tables& tables, State& state, dataplane::Exits<Exit>&, Emit& emit) {
    if (!state.binding.follow(tables.nodes, false)) return;
    arrange_watches(tables.nodes, state);
    apply_statuses(tables, state, emit);
    if (emit.worker == 0) state.forget_gone(tables, emit);
    for (std::size_t n = 0; n < tables.nodes.nodes.size(); ++n) {
        const LocalNode& node = tables.nodes.nodes[n];
        if (!judged_here(node, emit.worker)) {
            if (state.watches[n].node_id != 0) state.watches[n] = {};
            continue;
        }
        begin_watch(node, n, state, emit.now_ns);
        if (node.liveness_support) judge(node, n, tables, state, emit);
        else forget_verdict(node, state.binding.slot(n), state, emit);
        watch_node(node, n, state, emit);
    }
    send_publications(tables, state, emit);
}

}  // namespace weir::chain
