#include "features/chain/orders/orders.hpp"

#include <algorithm>

#include "features/chain/orders/order_effects.hpp"

namespace weir::chain {
namespace {

using dataplane::Emit;
using dataplane::Packet;
using Exit = Orders::Exit;

constexpr Exit accepted = Exit::count_;
constexpr std::uint32_t letters_per_tick = 64;

std::uint32_t slot_of(std::uint32_t handle, const flow::Table& flows) {
    return handle & ((1u << flows.slot_bits()) - 1);
}

bool is_far_reaching(CtrlOp op) {
    return op == CtrlOp::flow_reset || op == CtrlOp::path_change || op == CtrlOp::chain_change;
}

bool is_privileged(CtrlOp op, std::uint8_t privileges) {
    switch (op) {
        case CtrlOp::flow_allow:
            return privileges & bit(Privilege::exempt_chain);
        case CtrlOp::flow_reset:
            return privileges & bit(Privilege::reset_flow);
        case CtrlOp::path_change:
            return privileges & bit(Privilege::change_path);
        case CtrlOp::chain_change:
            return privileges & bit(Privilege::change_chain);
        default:
            return true;
    }
}

// The issuer at the place it says it has.
const Hop* hop_at(const Path* path, const OrderLetter& letter) {
    if (!path) return nullptr;
    const auto& hops = path->hops[letter.reverse ? 1 : 0];
    if (letter.ctrl.hop >= hops.size()) return nullptr;
    const Hop& hop = hops[letter.ctrl.hop];
    return hop.node_id == letter.ctrl.issuer ? &hop : nullptr;
}

struct Work {
    const Plane& plane;
    Orders::State& state;
    Emit& emit;

    Exit find_flow(const Ctrl& ctrl, flow::FlowPair*& pair) {
        flow::FlowPair* at = emit.flows->at(slot_of(ctrl.flow_handle, *emit.flows));
        if (!at || at->live != flow::record_live) return Exit::no_flow;
        pair = emit.flows->at_handle(ctrl.flow_handle);
        return pair ? accepted : Exit::wrong_nonce;
    }

    // The issuer digests the packet as it saw it: as the guest sent it, or translated (CT-6).
    bool fits(const OrderedFlow& flow, std::uint32_t digest) {
        const std::uint32_t vni = flow.pair.key.vni;
        if (flow_digest(flow.pair.key.tuple, vni) == digest) return true;
        bool aliased = false, found = false;
        emit.flows->for_each_alias(flow.pair, [&](const flow::Alias& alias) {
            aliased = true;
            found |= flow_digest(alias.tuple, vni) == digest;
        });
        const Path* path = flow.path();
        return found || (!aliased && path && may_rewrite(*path));
    }

    Exit check_issuer(const OrderedFlow& flow, const OrderLetter& letter) {
        const auto op = static_cast<CtrlOp>(letter.ctrl.op);
        const Hop* hop = hop_at(flow.path(), letter);
        if (!hop) hop = hop_at(flow.previous_path(), letter);
        if (!hop) return Exit::not_on_path;
        if (letter.standalone && hop->host_id != letter.from_host &&
            (hop->moving_to == 0 || hop->moving_to != letter.from_host))
            return Exit::wrong_host;
        if (!is_privileged(op, hop->privileges)) return Exit::not_privileged;
        if (is_far_reaching(op) && !plane.is_signed(letter.svni)) return Exit::forgeable;
        return accepted;
    }

    bool is_new(const OrderedFlow& flow, const Ctrl& ctrl) {
        bool newer = true;
        state.book.for_each(flow.handle, flow.pair.id, [&](const Order& o) {
            if (o.issuer == ctrl.issuer) newer &= is_newer(ctrl.sequence, o.sequence);
        });
        return newer;
    }

    // The chain that its flow was to change to makes paths on demand: the node's next order finds
    // one.
    void want_path(const Ctrl& ctrl) {
        if (static_cast<CtrlOp>(ctrl.op) != CtrlOp::chain_change) return;
        const Chain* chain = plane.chain(ctrl.parameter & 0xffffff);
        if (chain && chain->on_demand) ask_for_path(*chain, state.asked[chain->sci], emit);
    }

    // CT-6 at the worker that owns the flow.
    Exit take(const OrderLetter& letter) {
        const Ctrl& ctrl = letter.ctrl;
        flow::FlowPair* pair = nullptr;
        if (const Exit why = find_flow(ctrl, pair); why != accepted) return why;
        OrderedFlow flow{
            *pair, emit.flows->insertion(*pair), ctrl.flow_handle, plane, *emit.health, state.book,
            {&state.draws, emit.now_ns}};
        const Chain* chain = plane.chain(flow.record.sci);
        if (!chain) return Exit::not_on_path;
        if (chain->svni != letter.svni) return Exit::wrong_segment;
        if (!fits(flow, ctrl.digest)) return Exit::wrong_flow;
        if (const Exit why = check_issuer(flow, letter); why != accepted) return why;
        if (!state.book.take_token(ctrl.issuer, emit.now_ns)) return Exit::rate_limit;
        if (!is_new(flow, ctrl)) return Exit::replay;
        switch (carry_out(flow, ctrl, emit.now_ns)) {
            case Carried::no_room:
                return Exit::book_full;
            case Carried::no_such_way:
                want_path(ctrl);
                return Exit::no_such_way;
            case Carried::no_such_chain:
                return Exit::no_such_chain;
            case Carried::out:
                break;
        }
        if (!emit.flows->set_insertion(*pair, flow.record)) return Exit::rate_limit;
        state.book.count_message();
        ++state.applied[ctrl.op];
        return accepted;
    }

    // Sent on by the host that the flow's port has moved away from (MB-4): it, not the issuer's, is
    // the one that it comes from.
    bool by_stub(const Packet& p) const {
        if (!p.smd.moved) return false;
        const dataplane::PortEntry* port = emit.ports->at(p.smd.anchor_port & 0xffffff);
        return port && port->anchor_id() == p.smd.anchor_port &&
               port->from_host == p.tunnel_peer && p.tunnel_peer != net::no_port;
    }

    Exit read(const Packet& p, std::size_t i, bool standalone) {
        OrderLetter letter;
        if (decode(p.ctrl[i], letter.ctrl) != CtrlError::none) return Exit::bad_ctrl;
        if (letter.ctrl.flow_handle != p.smd.flow_handle) return Exit::bad_ctrl;
        if (letter.ctrl.op > static_cast<std::uint8_t>(CtrlOp::restore))
            return Exit::unsupported_op;
        letter.svni = p.vni;
        letter.standalone = standalone && !by_stub(p);
        letter.from_host = p.tunnel_peer == net::no_port ? plane.host_id : p.tunnel_peer;
        letter.reverse = p.smd.reverse;
        if (!state.book) return Exit::rate_limit;
        const std::uint32_t owner = emit.flows->worker_of(letter.ctrl.flow_handle);
        if (owner == emit.worker) return take(letter);
        if (owner >= emit.workers) return Exit::no_flow;
        ++state.handed_on;
        return state.book.send(owner, letter) ? accepted : Exit::rate_limit;
    }

    // A message of its own: it ends here.
    void run_standalone(Packet& p, dataplane::Exits<Exit>& exits) {
        Exit last = accepted;
        for (std::size_t i = 0; i < p.ctrl_count; ++i) {
            if (last != accepted) exits.note(last);
            last = read(p, i, true);
            ++state.standalone;
            emit.note(p, "order", p.ctrl[i][1]);
        }
        if (last != accepted) exits.take(p, last);
        else emit.release(p);
    }

    // A packet that comes back: it goes on whatever becomes of its orders (CT-5).
    void run_embedded(Packet& p, dataplane::Exits<Exit>& exits) {
        for (std::size_t i = 0; i < p.ctrl_count; ++i) {
            if (const Exit why = read(p, i, false); why != accepted) exits.note(why);
            ++state.embedded;
            emit.note(p, "order", p.ctrl[i][1]);
        }
        p.ctrl_count = 0;
    }

    // Orders whose time is over end, those of flows that are gone are forgotten (CT-9).
    void age(Order& order) {
        const flow::FlowPair* at = emit.flows->at(slot_of(order.handle, *emit.flows));
        if (!at || at->live != flow::record_live || at->id != order.flow_id)
            return state.book.erase(order);
        if (order.scope == 0 || order.until_ns == 0 || emit.now_ns < order.until_ns) return;
        flow::FlowPair* pair = emit.flows->at_handle(order.handle);
        if (!pair) return;
        OrderedFlow flow{
            *pair, emit.flows->insertion(*pair), order.handle, plane, *emit.health, state.book,
            {&state.draws, emit.now_ns}};
        end_order(flow, order);
        emit.flows->set_insertion(*pair, flow.record);
        ++state.expired;
    }
};

}  // namespace

Result<std::shared_ptr<const Plane>> Orders::compile(
    const dataplane::CompileInput& input, const std::shared_ptr<const Tables>& previous) {
    return compile_plane(input, previous);
}

void Orders::run(dataplane::Burst& burst, const Tables& plane, State& state,
                 dataplane::Exits<Exit>& exits, Emit& emit) {
    Work work{plane, state, emit};
    for (Packet* p : burst.packets()) {
        if (p->ctrl_count == 0 || !p->smd.returning || p->smd.anchor_host != plane.host_id)
            continue;
        if (p->smd.oam) work.run_standalone(*p, exits);
        else if (p->tunnel_peer == net::no_port) work.run_embedded(*p, exits);
    }
}

void Orders::tick(const Tables& plane, State& state, dataplane::Exits<Exit>& exits, Emit& emit) {
    Work work{plane, state, emit};
    OrderLetter letter;
    for (std::uint32_t i = 0; i < letters_per_tick && state.book.receive(letter); ++i)
        if (const Exit why = work.take(letter); why != accepted) exits.note(why);
    // Every place is looked at once a second.
    state.book.go_round(state.book.capacity() / 1000 + 1, [&](Order& o) { work.age(o); });
}

}  // namespace weir::chain
