#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "features/chain/node/node_table.hpp"
#include "features/chain/orders/carried_orders.hpp"
#include "features/chain/orders/ctrl.hpp"
#include "features/chain/orders/order_words.hpp"
#include "net/nsh.hpp"

namespace weir::chain {

// What becomes of a node's order at its proxy.
enum class OrderFate : std::uint8_t {
    sent = 0,
    repeated,        // the same for this flow less than 100 ms ago: dropped (CT-8)
    unknown,         // no operation, or not one of nodes
    bad_scope,       // neither direction of the flow
    not_privileged,  // its service may not, and there is nothing milder (§6.2)
    forgeable,       // needs a service segment on which nobody can forge it (SEC-14)
    no_flow,         // the packet cannot be digested: a later fragment
    no_buffer,
    count_
};
inline constexpr std::array<std::string_view, 8> order_fates = {
    "sent",           "repeated",  "unknown", "bad_scope",
    "not_privileged", "forgeable", "no_flow", "no_buffer"};

// A node's words as an order to the anchor, with what its service may not turned into what it may
// (§6.2). Issuer, sequence, hop and digest are not filled in. `fate`: why there is none.
std::optional<Ctrl> translate(const net::NodeControl& control, const LocalNode& node,
                              OrderFate& fate);

// FA of NSH metadata type 1 (CT-3); nothing: no order.
std::optional<net::NodeControl> flow_action(std::uint8_t nibble);

// The part of the proxies of one worker that sends orders on (CT-3, CT-4, CT-8).
class NodeOrders {
public:
    // `p` is the node's packet as it will leave: on the service plane, parsed, its index already
    // counted down; `hop`: ordinal of the node. With `stays` the packet ends here.
    struct Place {
        const LocalNode& node;
        std::size_t index = 0;  // of the node on this host
        std::uint8_t hop = 0;
        bool stays = false;
    };
    void open(const dataplane::OpenInput& input) { proxies.open(input); }
    ProxyOrders proxies;
    OrderFate take(net::Packet& p, const net::NodeControl& control, const Place& place,
                   dataplane::Emit& emit);
    // OVERLOAD, which is about the node itself: the low half of its parameter is a share of new
    // flows in thousandths, the high half for how many seconds (0: ten). Kept in `said`
    // (NodeSlot::overload) for whoever tells the anchors.
    void take_overload(const net::NodeControl& control, std::size_t index,
                       std::atomic<std::uint64_t>& said);
    void counters(const NodeTable& table, dataplane::CounterSink& sink) const;
    void clear_counters() { counts_ = {}; }

private:
    // What was sent a moment ago, to be found by what it says; a collision forgets the older.
    struct Recent {
        std::uint64_t what = 0;
        std::uint64_t sent_ns = 0;
    };
    OrderFate send(net::Packet& p, Ctrl& ctrl, const Place& place, dataplane::Emit& emit);
    bool repeats(const Ctrl& ctrl, std::uint64_t now_ns);

    std::array<Recent, 1024> recent_{};
    std::array<std::array<std::array<std::uint64_t, order_fates.size()>, order_names.size()>,
               max_local_nodes>
        counts_{};
    std::uint64_t embedded_ = 0, standalone_ = 0;
};

// Makes the lengths in the IP and UDP headers of a frame that was cut say so; frames that are whole
// stay as they are. Transport checksums are nobody's business here.
void mend_cut_frame(net::Packet& p);

// A copy of the packet's first bytes (≤ 128) as a message of its own, addressed to the anchor of
// its metadata and given to the service context. False: no buffer.
bool send_standalone(const net::Packet& of, std::uint32_t this_host, const Ctrl& ctrl,
                     dataplane::Emit& emit);

}  // namespace weir::chain
