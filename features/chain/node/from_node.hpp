#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "features/chain/node/node_memory.hpp"
#include "features/chain/node/node_table.hpp"
#include "features/chain/node/refusals.hpp"
#include "features/chain/node/slow_watch.hpp"
#include "features/chain/orders/node_orders.hpp"

namespace weir::model {
class Value;
}

namespace weir::chain {

// How long packets take through a node.
struct Latency {
    static constexpr std::size_t buckets = latency_buckets;
    std::array<std::uint64_t, buckets> count{};
    std::uint64_t total = 0, sum_ns = 0;

    void add(std::uint64_t ns) {
        ++count[latency_bucket(ns)];
        ++total;
        sum_ns += ns;
    }
};

// What a node may send (SEC-12): 1.2 times what it was given, averaged over a second, and 1000
// packets a second. Tokens are tenths of packets.
struct NodeRate {
    std::uint64_t given = 0;      // packets given to the node when last looked
    std::uint64_t looked_ns = 0;  // 0: never
    std::uint64_t window_ns = 0;  // start of the running second
    std::uint64_t window_given = 0, last_window_given = 0;
    std::uint64_t tokens = 0;

    void refill(std::uint64_t given_now, std::uint64_t now_ns);
    bool take() {
        if (tokens < 10) return false;
        tokens -= 10;
        return true;
    }
};

// Takes frames from the service nodes of this host back onto the service plane: finds out which
// packet it is, checks that the node changed nothing it must not, counts the service index down
// (DP-16 … DP-18, §10.4). Liveness answers end here.
struct FromNode {
    static constexpr std::string_view name = "from_node";
    struct Tables : NodeTable {
        // For each node whose first port is this engine's, what its manager is to know (OBJ-4).
        struct Told {
            std::string node, profiles;
            friend bool operator==(const Told&, const Told&) = default;
        };
        std::vector<Told> told;
        friend bool operator==(const Tables&, const Tables&) = default;
    };
    struct State {
        NodeBinding binding;
        std::array<std::array<NodeRate, 2>, max_local_nodes> rates{};  // by node and side
        std::array<Latency, max_local_nodes> latency{};  // of all packets that were timed,
        std::array<Latency, max_local_nodes> watched{};  // and of watched flows
        std::array<SlowWatch, max_local_nodes> slow{};
        std::array<std::uint64_t, max_local_nodes> slow_from_ns{};  // 0: said how it fares
        std::uint64_t slow_told_ns = 0;  // when operators heard of slow nodes last
        std::array<std::uint64_t, max_local_nodes> answers{};
        std::array<Refusals, max_local_nodes> refusals{};
        std::array<std::uint32_t, max_local_nodes> ids{};  // of the nodes of the arrays above,
        std::uint64_t digest = 0;                          // and of the table of these
        NodeOrders orders;
        void open(const dataplane::OpenInput& input) {
            binding.open(input);
            orders.open(input);
        }
        // Puts the arrays into the order of the table; nodes that stay keep what is theirs.
        void arrange(const NodeTable& table, std::uint64_t now_ns);
        void time(std::size_t node, std::uint64_t since_ns, std::uint64_t now_ns) {
            if (now_ns < since_ns) return;
            latency[node].add(now_ns - since_ns);
            if (is_watched(since_ns)) watched[node].add(now_ns - since_ns);
        }
    };
    enum class Exit : std::uint8_t {
        not_a_node,    // the port belongs to no service node
        no_context,    // nothing that was given to the node (DP-16, step 5)
        wrong_source,  // source MAC is not the node's (aware, L3, gwlb) or the guest's (L2)
                       // (SEC-10)
        link_talk,     // of an L3 or gwlb node to its own link: nobody here is meant
        wrong_side,    // came back where it went in
        bad_nsh,
        bad_geneve,  // of a gwlb node
        immutable_tamper,
        bad_si,
        copy_return,
        rate_limit,
        bad_heartbeat,  // of another node, an earlier question, or malformed
        bad_frame,      // the guest's frame is unreadable
        count_
    };
    static constexpr std::array<std::string_view, 13> exit_names = {
        "from_node.not_a_node", "NO_CONTEXT",       "from_node.wrong_source",
        "from_node.link_talk",  "WRONG_SIDE",       "from_node.bad_nsh",
        "from_node.bad_geneve", "IMMUTABLE_TAMPER", "BAD_SI",
        "COPY_RETURN",          "RATE_LIMIT",       "from_node.bad_heartbeat",
        "from_node.bad_frame"};

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous);
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
    // Tells of nodes that become slow, or are not any more: as this worker's packets see them.
    static void tick(const Tables&, State&, dataplane::Exits<Exit>&, dataplane::Emit&);
    static void counters(const Tables&, const State&, dataplane::CounterSink&);
    // "agents": the nodes whose agents may give orders here; "from_node.order": an order
    // of such an agent (dataplane/queries.md). False: another question.
    static bool ask(const model::Value& question, const Tables&, State&, dataplane::Emit&,
                    model::Value& rows);
    // What nodes' managers are to know, as rows of the question "files". Control thread.
    static void files(const Tables&, model::Value& rows);
};
static_assert(dataplane::Stage<FromNode>);
static_assert(FromNode::exit_names.size() <= Refusals::most_reasons);

}  // namespace weir::chain
