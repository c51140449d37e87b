#pragma once
#include <array>
#include <memory>
#include <string_view>

#include "dataplane/port_state.hpp"
#include "features/chain/anchor/draws.hpp"
#include "features/chain/anchor/path_wanted.hpp"
#include "features/chain/node/counter_map.hpp"
#include "features/chain/orders/order_book.hpp"
#include "features/chain/plane.hpp"

namespace weir::model {
class Value;
}

namespace weir::chain {

// Takes orders of service nodes at the anchor of their flow, on packets that come back (R3) and as
// messages of their own, and carries out those that may be believed (spec service-plane §6.4;
// orders.md). Stands before Return; what a packet brought governs later packets only.
struct Orders {
    static constexpr std::string_view name = "orders";

    enum class Exit : std::uint8_t {
        bad_ctrl,        // malformed, or of node scope with a flow's metadata
        unsupported_op,  // nothing that can be ordered for a flow
        no_flow,         // the record is gone
        wrong_nonce,     // its place has another flow now
        wrong_segment,   // not the service segment of the flow's chain
        wrong_flow,      // the digest is not of the flow's tuple
        not_on_path,     // the issuer is not at that place of the flow's path or of the one before
        wrong_host,      // a message of its own that is not from the issuer's host
        not_privileged,  // the issuer's service may not order this
        forgeable,       // such orders need a segment on which nobody can forge them (SEC-14)
        replay,
        rate_limit,     // more than its issuer may send
        no_such_way,    // no such path for the flow, or none that can be used
        no_such_chain,  // no chain of this number on the flow's service segment
        book_full,      // more than can be remembered (CT-9)
        count_
    };
    static constexpr std::array<std::string_view, 15> exit_names = {
        "ctrl.bad_ctrl",       "ctrl.unsupported_op", "ctrl.no_flow",     "ctrl.wrong_nonce",
        "ctrl.wrong_segment",  "ctrl.wrong_flow",     "ctrl.not_on_path", "ctrl.wrong_host",
        "ctrl.not_privileged", "ctrl.forgeable",      "REPLAY",           "RATE_LIMIT",
        "ctrl.no_such_way",    "ctrl.no_such_chain",  "ctrl.book_full"};

    using Tables = Plane;
    struct State {
        OrderBook book;
        Draws draws;                                 // numbers of flows that change their path
        std::array<std::uint64_t, 16> applied{};     // by operation
        std::uint64_t embedded = 0, standalone = 0;  // as they came
        std::uint64_t handed_on = 0;                 // to the worker of the flow
        std::uint64_t expired = 0;                   // their time was over
        CounterMap<PathAsked> asked{64};             // by chain that flows were to change to
        void open(const dataplane::OpenInput& input) {
            draws.begin(input.worker);
            book.open(input);
        }
    };

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    static void shared_counters(const Tables&, const State&, dataplane::CounterSink&);
    static bool save(dataplane::PortSave&, const Tables&, State&, dataplane::Emit&);
    static Status restore(const dataplane::PortRestore&, const Tables&, State&, dataplane::Emit&);
    // "flow-prog": what stands, order by order; "flow-prog.ID" for the flow of this id,
    // "flow-prog.NAME" orders of this name. `more`: that is not all.
    static bool query(std::string_view what, const Tables&, State&, dataplane::Emit&,
                      model::Value& rows, bool& more);
};
static_assert(dataplane::Stage<Orders>);

}  // namespace weir::chain
