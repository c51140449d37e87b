#include "features/chain/orders/order_effects.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint8_t both = ctrl_forward | ctrl_reverse;

constexpr std::uint8_t number(CtrlOp op) {
    return static_cast<std::uint8_t>(op);
}

// Of the issuer on one direction of a path; 0xff: it is not there.
std::uint8_t ordinal_of(const Path& path, std::size_t direction, std::uint32_t issuer) {
    const auto& hops = path.hops[direction];
    for (std::size_t i = 0; i < hops.size(); ++i)
        if (hops[i].node_id == issuer) return static_cast<std::uint8_t>(i);
    return 0xff;
}

// What is ordered for one direction, by whomever.
struct Standing {
    bool allow = false, drop = false, reset = false, move = false;
    std::uint8_t skip = 0;

    std::uint8_t bits() const {
        if (reset) return flow::order_reset;
        if (drop) return flow::order_drop;
        return allow && !move && skip == 0 ? flow::order_allow : 0;
    }
};

void add(Standing& standing, const Order& order, const Path* path, std::size_t direction) {
    switch (static_cast<CtrlOp>(order.op)) {
        case CtrlOp::flow_allow:
            standing.allow = true;
            break;
        case CtrlOp::flow_drop:
            standing.drop = true;
            break;
        case CtrlOp::flow_reset:
            standing.reset = true;
            break;
        case CtrlOp::path_change:
        case CtrlOp::chain_change:
            standing.move = true;
            break;
        case CtrlOp::node_skip:
            if (const auto at = path ? ordinal_of(*path, direction, order.issuer) : 0xff; at < 8)
                standing.skip = static_cast<std::uint8_t>(standing.skip | 1u << at);
            break;
        default:
            break;
    }
}

const Path* choose(const OrderedFlow& flow, const Chain& chain, std::uint32_t without_node) {
    const std::uint32_t seat =
        number_of(chain, flow.pair.key.vni, flow.pair.key.tuple, flow.chance);
    return select_path(chain, flow.plane.host_id, flow.health, seat, without_node);
}

void put_on(OrderedFlow& flow, const Chain& chain, const Path& path) {
    flow::InsertionDecision& r = flow.record;
    if (r.spi != path.spi || r.sci != chain.sci) {
        r.previous_spi = r.spi;
        r.previous_spi_valid = 1;
    }
    const std::uint32_t ruled = flow.ruled_sci();
    r.sci = chain.sci;
    r.ruled_sci = (ruled == chain.sci ? 0 : ruled) & 0xffffff;
    r.spi = path.spi;
    r.path_epoch = path.epoch;
    r.verdict = {flow::ServiceVerdict::redirect, flow::ServiceVerdict::redirect};
    r.failed_paths_generation = flow.health.generation.load(std::memory_order_acquire);
}

// PATH_CHANGE: to the path that is named, or to any without the issuer.
bool change_path(OrderedFlow& flow, const Ctrl& ctrl) {
    const Chain* chain = flow.plane.chain(flow.record.sci);
    if (!chain) return false;
    const Path* path = ctrl.parameter == 0 ? choose(flow, *chain, ctrl.issuer)
                                           : chain->path(ctrl.parameter & 0xffffff);
    if (!path || !is_usable(*path, flow.plane.host_id, flow.health)) return false;
    put_on(flow, *chain, *path);
    return true;
}

// To another chain of the same service segment; the plan sees to it that this host knows them all.
Carried change_chain(OrderedFlow& flow, std::uint32_t sci) {
    const Chain* from = flow.plane.chain(flow.record.sci);
    const Chain* to = flow.plane.chain(sci);
    if (!from || !to || to->svni != from->svni) return Carried::no_such_chain;
    const Path* path = choose(flow, *to, 0);
    if (!path) return Carried::no_such_way;
    put_on(flow, *to, *path);
    return Carried::out;
}

// The tag of another issuer that still stands, or none.
void drop_tag(OrderedFlow& flow, const Order& ended) {
    if (flow.record.flow_tag != ended.parameter) return;
    flow.record.flow_tag = 0;
    flow.book.for_each(flow.handle, flow.pair.id, [&](const Order& o) {
        if (&o != &ended && o.scope != 0 && o.op == number(CtrlOp::set_tag))
            flow.record.flow_tag = o.parameter;
    });
}

void end(OrderedFlow& flow, Order& order, std::uint8_t scope) {
    const bool whole = (order.scope & ~scope) == 0;
    const bool stood = order.scope != 0;
    order.scope = static_cast<std::uint8_t>(order.scope & ~scope);
    if (!stood || !whole) return;
    if (order.op == number(CtrlOp::set_tag)) drop_tag(flow, order);
    // Back to where the rules sent it; where that cannot be, it stays.
    if (order.op == number(CtrlOp::chain_change) && order.parameter == flow.record.sci &&
        flow.record.ruled_sci != 0)
        change_chain(flow, flow.record.ruled_sci);
}

void restore(OrderedFlow& flow, const Ctrl& ctrl) {
    flow.book.for_each(flow.handle, flow.pair.id, [&](Order& o) {
        if (o.issuer == ctrl.issuer) end(flow, o, ctrl.scope);
    });
}

Carried remember(OrderedFlow& flow, const Ctrl& ctrl, std::uint64_t now_ns) {
    const auto op = static_cast<CtrlOp>(ctrl.op);
    const std::uint64_t until = ctrl.valid_s == 0 ? 0 : now_ns + ctrl.valid_s * second_ns;
    const auto scope = static_cast<std::uint8_t>(op == CtrlOp::restore ? 0 : ctrl.scope);
    if (Order* known = flow.book.find(flow.handle, flow.pair.id, ctrl.issuer, op)) {
        known->scope = static_cast<std::uint8_t>(known->scope | scope);
        known->parameter = ctrl.parameter;
        known->sequence = ctrl.sequence;
        known->until_ns = until;
        known->sci = flow.ruled_sci();
        return Carried::out;
    }
    Order* place = flow.book.free_place(flow.handle);
    if (!place) return Carried::no_room;
    Order order;
    order.handle = flow.handle;
    order.issuer = ctrl.issuer;
    order.flow_id = flow.pair.id;
    order.until_ns = until;
    order.sequence = ctrl.sequence;
    order.parameter = ctrl.parameter;
    order.sci = flow.ruled_sci();
    order.op = ctrl.op;
    order.scope = scope;
    flow.book.place(*place, order);
    return Carried::out;
}

}  // namespace

const Path* OrderedFlow::path() const {
    const Chain* chain = plane.chain(record.sci);
    return chain ? chain->path(record.spi) : nullptr;
}

const Path* OrderedFlow::previous_path() const {
    if (!record.previous_spi_valid) return nullptr;
    for (const std::uint32_t sci : {record.sci, std::uint32_t{record.ruled_sci}}) {
        const Chain* chain = sci != 0 ? plane.chain(sci) : nullptr;
        if (const Path* found = chain ? chain->path(record.previous_spi) : nullptr) return found;
    }
    return nullptr;
}

void derive_effects(OrderedFlow& flow) {
    std::array<Standing, 2> standing{};
    const Path* path = flow.path();
    flow.book.for_each(flow.handle, flow.pair.id, [&](Order& o) {
        if (o.sci != flow.ruled_sci()) o.scope = 0;  // of a chain that the rules took away
        for (std::size_t d = 0; d < 2; ++d)
            if (o.scope & (d == 0 ? ctrl_forward : ctrl_reverse)) add(standing[d], o, path, d);
    });
    flow::InsertionDecision& r = flow.record;
    r.orders = static_cast<std::uint8_t>(standing[0].bits() | standing[1].bits() << 4);
    r.skip[0] = standing[0].skip;
    r.skip[1] = standing[1].skip;
}

Carried carry_out(OrderedFlow& flow, const Ctrl& ctrl, std::uint64_t now_ns) {
    // A place first: what is done without being remembered could not be undone.
    Ctrl message = ctrl;
    const auto op = static_cast<CtrlOp>(ctrl.op);
    if (op == CtrlOp::path_change || op == CtrlOp::chain_change || op == CtrlOp::set_tag)
        message.scope = both;
    const flow::InsertionDecision before = flow.record;
    if (op == CtrlOp::path_change && !change_path(flow, ctrl)) return Carried::no_such_way;
    if (op == CtrlOp::chain_change)
        if (const Carried why = change_chain(flow, ctrl.parameter & 0xffffff); why != Carried::out)
            return why;
    if (const Carried why = remember(flow, message, now_ns); why != Carried::out) {
        flow.record = before;
        return why;
    }
    if (op == CtrlOp::set_tag) flow.record.flow_tag = ctrl.parameter;
    if (op == CtrlOp::restore) restore(flow, ctrl);
    derive_effects(flow);
    return Carried::out;
}

void end_order(OrderedFlow& flow, Order& order) {
    end(flow, order, both);
    derive_effects(flow);
}

}  // namespace weir::chain
