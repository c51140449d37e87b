#include <charconv>

#include "features/chain/orders/order_effects.hpp"
#include "features/chain/orders/order_words.hpp"
#include "features/chain/orders/orders.hpp"
#include "model/value.hpp"

// What the stage for orders shows of itself (spec TM-5, 12.2 flow-prog).
namespace weir::chain {
namespace {

constexpr std::size_t most_rows = 4096;

}  // namespace

void Orders::counters(const Tables& plane, const State& state, dataplane::CounterSink& sink) {
    for (const Chain& chain : plane.chains)
        if (const std::uint64_t asked = state.asked.at(chain.sci).count; asked != 0)
            sink.add("weir_service_chain_asked_total", {{"chain", chain.name}}, asked);
    for (std::size_t op = 1; op < order_names.size(); ++op)
        if (state.applied[op] != 0)
            sink.add("weir_orders_applied_total", {{"order", order_names[op]}}, state.applied[op]);
    sink.add("weir_orders_received_total", {{"way", "embedded"}}, state.embedded);
    sink.add("weir_orders_received_total", {{"way", "standalone"}}, state.standalone);
    sink.add("weir_orders_handed_on_total", {}, state.handed_on);
    sink.add("weir_orders_expired_total", {}, state.expired);
    sink.add("weir_orders_standing", {}, state.book.size());
    sink.add("weir_orders_generation", {}, state.book.generation());
}

bool Orders::query(std::string_view what, const Tables&, State& state, dataplane::Emit& emit,
                   model::Value& rows) {
    constexpr std::string_view one_flow = "flow-prog.";
    const bool of_one = what.starts_with(one_flow);
    std::uint64_t flow_id = 0;
    if (of_one) {
        const char* end = what.data() + what.size();
        const auto [at, error] = std::from_chars(what.data() + one_flow.size(), end, flow_id);
        if (error != std::errc() || at != end) return false;
    } else if (what != "flow-prog") {
        return false;
    }
    std::size_t left = most_rows;
    state.book.go_round(state.book.capacity(), [&](const Order& o) {
        if (left == 0 || (of_one && o.flow_id != flow_id)) return;
        --left;
        model::Value& row = rows.push(model::Value::object());
        row.set("flow_handle", std::uint64_t{o.handle});
        row.set("flow", o.flow_id);
        row.set("issuer", o.issuer);
        row.set("order", order_names[o.op % order_names.size()]);
        row.set("forward", (o.scope & ctrl_forward) != 0);
        row.set("reverse", (o.scope & ctrl_reverse) != 0);
        row.set("parameter", o.parameter);
        row.set("sequence", o.sequence);
        row.set("whole_life", o.until_ns == 0);
        row.set("left_s", o.until_ns > emit.now_ns ? (o.until_ns - emit.now_ns) / 1'000'000'000
                                                   : std::uint64_t{0});
    });
    return true;
}

}  // namespace weir::chain
