// Orders of nodes that stand for the flows of a port, on their way to another host with it (spec
// service-plane MB-1 iv, v): what they do to a flow is in its record, here is who gave them, with
// which sequence number, and how long they hold.
#include <algorithm>

#include "features/chain/orders/orders.hpp"
#include "flow/save_codec.hpp"
#include "flow/table.hpp"
#include "net/hash.hpp"

namespace weir::chain {
namespace {

constexpr std::string_view section = "flows";
constexpr std::uint32_t places_per_step = 4096;
constexpr std::size_t order_bytes = 4 + 37 + 4 * 5 + 2;

struct MovingOrder {
    std::uint32_t vni = 0;
    net::Tuple tuple;
    Order order;
    std::uint32_t left_ms = 0;  // 0: as long as the flow
};

void write(flow::ByteWriter& out, const MovingOrder& m) {
    out.u32(m.vni);
    out.tuple(m.tuple);
    for (const std::uint32_t value :
         {m.order.issuer, m.order.sequence, m.order.parameter, m.order.sci, m.left_ms})
        out.u32(value);
    out.u8(m.order.op);
    out.u8(m.order.scope);
}

MovingOrder read(flow::ByteReader& in) {
    MovingOrder m;
    m.vni = in.u32();
    m.tuple = in.tuple();
    for (std::uint32_t* value :
         {&m.order.issuer, &m.order.sequence, &m.order.parameter, &m.order.sci, &m.left_ms})
        *value = in.u32();
    m.order.op = in.u8();
    m.order.scope = in.u8();
    return m;
}

// Milliseconds that are left of an order, at least one; 0 for one without an end.
std::uint32_t left_of(const Order& order, std::uint64_t now_ns) {
    if (order.until_ns == 0) return 0;
    const std::uint64_t ms = order.until_ns > now_ns ? (order.until_ns - now_ns) / 1'000'000 : 0;
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(ms, 1, 0xffffffff));
}

}  // namespace

bool Orders::save(dataplane::PortSave& to, const Tables&, State& state, dataplane::Emit& emit) {
    std::vector<std::uint8_t> bytes;
    flow::ByteWriter out(bytes);
    const bool last = state.book.visit(
        to.step * places_per_step, places_per_step, [&](const Order& order) {
            const flow::FlowPair* pair = emit.flows->at_handle(order.handle);
            if (!pair || pair->id != order.flow_id || pair->key.scope != to.port.scope) return;
            write(out, {pair->key.vni, pair->key.tuple, order, left_of(order, emit.now_ns)});
        });
    if (!bytes.empty()) to.add(section, std::move(bytes));
    return last;
}

// The flows are in already: they come first in every pass.
Status Orders::restore(const dataplane::PortRestore& from, const Tables&, State& state,
                       dataplane::Emit& emit) {
    if (from.what != section) return {};
    if (from.bytes.size() % order_bytes != 0)
        return invalid("port blob: orders.flows", "wrong length");
    for (flow::ByteReader in(from.bytes); in.left() > 0;) {
        MovingOrder m = read(in);
        if (m.order.issuer == 0 || m.order.op == 0 ||
            m.order.op > static_cast<std::uint8_t>(CtrlOp::restore) || m.order.scope > 3)
            return invalid("port blob: orders.flows", "no order");
        const std::uint32_t hash = net::symmetric_hash(m.tuple);
        const auto hit = emit.flows->find(from.port.scope, m.vni, m.tuple, hash);
        if (!hit || !state.book) continue;  // another worker's, or gone
        m.order.handle = emit.flows->make_handle(*hit.pair);
        m.order.flow_id = hit.pair->id;
        m.order.until_ns =
            m.left_ms == 0 ? 0 : emit.now_ns + std::uint64_t{m.left_ms} * 1'000'000;
        Order* at = state.book.find(m.order.handle, m.order.flow_id, m.order.issuer,
                                    static_cast<CtrlOp>(m.order.op));
        if (at) {
            *at = m.order;
        } else if ((at = state.book.free_place(m.order.handle)) != nullptr) {
            state.book.place(*at, m.order);
        }
    }
    return {};
}

}  // namespace weir::chain
