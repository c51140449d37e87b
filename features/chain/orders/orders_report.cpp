#include <algorithm>
#include <charconv>

#include "features/chain/orders/order_effects.hpp"
#include "features/chain/orders/order_words.hpp"
#include "features/chain/orders/orders.hpp"
#include "model/value.hpp"

// What the stage for orders shows of itself (spec TM-5, 12.2 flow-prog).
namespace weir::chain {
namespace {

constexpr std::size_t most_rows = 4096;

// A place may be kept for an order that counts in no direction any more.
bool stands(const Order& o) {
    return (o.scope & (ctrl_forward | ctrl_reverse)) != 0;
}

std::string_view name_of(const Order& o) {
    return order_names[o.op % order_names.size()];
}

// Orders for one flow, of one name, or all.
class Wanted {
public:
    explicit Wanted(std::string_view narrowed) : name_(narrowed) {
        const char* end = narrowed.data() + narrowed.size();
        const auto [at, error] = std::from_chars(narrowed.data(), end, flow_id_);
        is_of_flow_ = error == std::errc() && at == end;
    }
    bool has(const Order& o) const {
        return name_.empty() || (is_of_flow_ ? o.flow_id == flow_id_ : name_of(o) == name_);
    }

private:
    std::string_view name_;
    std::uint64_t flow_id_ = 0;
    bool is_of_flow_ = false;
};

// For the whole life of the flow: nothing is left, as nothing ends.
void add_order(const Order& o, std::uint64_t now_ns, model::Value& rows) {
    model::Value& row = rows.push(model::Value::object());
    row.set("flow_handle", std::uint64_t{o.handle});
    row.set("flow", o.flow_id);
    row.set("issuer", o.issuer);
    row.set("order", name_of(o));
    row.set("forward", (o.scope & ctrl_forward) != 0);
    row.set("reverse", (o.scope & ctrl_reverse) != 0);
    row.set("parameter", o.parameter);
    row.set("sequence", o.sequence);
    row.set("whole_life", o.until_ns == 0);
    if (o.until_ns != 0)
        row.set("left_s", o.until_ns > now_ns ? (o.until_ns - now_ns) / 1'000'000'000
                                              : std::uint64_t{0});
}

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
}

void Orders::shared_counters(const Tables&, const State& state, dataplane::CounterSink& sink) {
    sink.add("weir_orders_standing", {}, state.book.size());
    sink.add("weir_orders_generation", {}, state.book.generation());
}

bool Orders::query(std::string_view what, const Tables&, State& state, dataplane::Emit& emit,
                   model::Value& rows, bool& more) {
    constexpr std::string_view of_one = "flow-prog.";
    const bool is_of_one = what.starts_with(of_one);
    if (what != "flow-prog" && !is_of_one) return false;
    const Wanted wanted(is_of_one ? what.substr(of_one.size()) : std::string_view());
    std::size_t left = most_rows;
    state.book.go_round(state.book.capacity(), [&](const Order& o) {
        if (!stands(o) || !wanted.has(o)) return;
        if (left == 0) return void(more = true);
        --left;
        add_order(o, emit.now_ns, rows);
    });
    return true;
}

}  // namespace weir::chain
