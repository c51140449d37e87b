#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "features/chain/node/moves.hpp"
#include "features/chain/node/node_memory.hpp"
#include "features/chain/node/node_table.hpp"
#include "features/chain/orders/carried_orders.hpp"

namespace weir::model {
class Value;
}

namespace weir::chain {

// Gives packets to the service nodes of this host: restores the guest's MACs and puts the packet
// into the form the node understands (spec service-plane DP-15, DP-16).
//
// Takes packets whose destination port is a node's and whose SMD is that node's turn; leaves the
// rest.
struct ToNode {
    static constexpr std::string_view name = "to_node";

    struct Tables {
        NodeTable nodes;
        // Failure policy of the chains that have hops here, by SCI; ordered.
        struct Policy {
            std::uint32_t sci = 0;
            FailurePolicy policy = FailurePolicy::block;
            friend bool operator==(const Policy&, const Policy&) = default;
        };
        std::vector<Policy> policies;
        std::vector<Move> moves;  // away from here, by number of the node

        // Nodes on their way here that are not here yet, with the numbers of their moves; ordered.
        std::vector<std::pair<std::uint32_t, std::uint32_t>> expected;

        const Move* move(std::uint32_t node_id) const;

        FailurePolicy policy_of(std::uint32_t sci) const;
        friend bool operator==(const Tables&, const Tables&) = default;
    };
    struct State {
        NodeBinding binding;
        Cookies cookies;
        std::array<std::uint64_t, max_local_nodes> time_from_ns{};  // when to time another packet
        std::uint64_t skipped = 0;  // hops left out because the proxy had no context (ALLOW)
        std::uint64_t segmented = 0;
        std::uint64_t conflicts = 0;  // packets of another flow with the same addresses were inside
        // Packets for nodes that are on their way to another host (MB-9).
        struct Waiting {
            dataplane::Packet* packet = nullptr;
            std::uint32_t port = 0, node_id = 0;
            std::uint32_t to_host = 0;
            std::uint64_t until_ns = 0;
        };
        static constexpr std::size_t most_waiting = 256;
        std::array<Waiting, most_waiting> waiting{};
        std::size_t waits = 0;      // in front
        std::uint64_t followed = 0;  // … that went after their node
        MoveBoard moves;
        ProxyOrders proxies;
        void open(const dataplane::OpenInput& input) {
            binding.open(input);
            proxies.open(input);
            moves.open(input);
        }
    };
    enum class Exit : std::uint8_t {
        mtu,        // larger than the node's port takes
        ctx_full,   // the packet cannot be told from others, and the chain's policy is BLOCK
        bad_frame,  // cannot be given the form that the node needs (DP-25), or no room in front
        queue_full,  // more wait for a node that moves than there is room for, or for too long
        ttl_expired,  // after the node, to the host it went to
        hold_gone,    // they waited for a node that moves, and the engine went
        count_
    };
    static constexpr std::array<std::string_view, 6> exit_names = {
        "MTU",        "CTX_FULL",    "to_node.bad_frame",
        "QUEUE_FULL", "TTL_EXPIRED", "to_node.hold_gone"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void leave(State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    // "contexts": what is inside the nodes without metadata, some of each; "contexts.NODE": of this
    // one, more of them. `more`: that is not all.
    static bool query(std::string_view what, const Tables&, State&, dataplane::Emit&,
                      model::Value& rows, bool& more);
};
static_assert(dataplane::Stage<ToNode>);

}  // namespace weir::chain
