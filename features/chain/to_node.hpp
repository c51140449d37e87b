#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "features/chain/carried_orders.hpp"
#include "features/chain/node_memory.hpp"
#include "features/chain/node_table.hpp"

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

        FailurePolicy policy_of(std::uint32_t sci) const;
        friend bool operator==(const Tables&, const Tables&) = default;
    };
    struct State {
        NodeBinding binding;
        std::array<std::uint64_t, max_local_nodes> time_from_ns{};  // when to time another packet
        std::uint64_t skipped = 0;  // hops left out because the proxy had no context (ALLOW)
        std::uint64_t segmented = 0;
        std::uint64_t conflicts = 0;  // packets of another flow with the same addresses were inside
        ProxyOrders proxies;
        void open(const dataplane::OpenInput& input) {
            binding.open(input);
            proxies.open(input);
        }
    };
    enum class Exit : std::uint8_t {
        mtu,        // larger than the node's port takes
        ctx_full,   // the packet cannot be told from others, and the chain's policy is BLOCK
        bad_frame,  // cannot be given the form that the node needs (DP-25), or no room in front
        count_
    };
    static constexpr std::array<std::string_view, 3> exit_names = {"MTU", "CTX_FULL",
                                                                   "to_node.bad_frame"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    // "contexts": what is inside the nodes without metadata, at most about 256 rows a worker.
    static bool query(std::string_view what, const Tables&, State&, dataplane::Emit&,
                      model::Value& rows);
};
static_assert(dataplane::Stage<ToNode>);

}  // namespace weir::chain
