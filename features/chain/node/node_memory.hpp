#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/limits.hpp"
#include "dataplane/health.hpp"
#include "dataplane/liveness.hpp"
#include "dataplane/stage.hpp"
#include "features/chain/node/contexts.hpp"
#include "features/chain/node/cookie.hpp"
#include "features/chain/node/flow_contexts.hpp"
#include "features/chain/node/node_table.hpp"

// What has to be remembered of service nodes beyond one engine and one worker: a pool of the host's
// vault, opened by the stages that deal with nodes. Zeroed memory is a valid start; no pointers.
namespace weir::chain {

using AtomicU32 = std::atomic<std::uint32_t>;
using AtomicU64 = std::atomic<std::uint64_t>;

inline constexpr std::uint64_t never_ns = ~0ull;

// For counters that one thread writes and others read.
inline void add_one(AtomicU64& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

inline void add(AtomicU64& counter, std::uint64_t more) {
    counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

// What one worker moved to and from a node. Written by that worker alone, read by all.
struct alignas(64) Tally {
    std::array<AtomicU64, 2> delivered{};  // packets given to the node: [0] forward, [1] reverse
    std::array<AtomicU64, 2> returned{};   // packets that came back and were accepted
    AtomicU64 delivered_bytes{0};          // of both directions
    AtomicU32 contexts{0};                 // in use, where the node has any
    AtomicU32 p99_us{0};  // of latency, where the node has a limit and packets were timed lately
};

// One node of this host.
struct alignas(64) NodeSlot {
    AtomicU32 node_id{0};  // 0: free
    AtomicU32 epoch{0};    // grows whenever the slot is given to a node
    // Of a node that came from another host: its secret, which packets inside it were marked with,
    // and the move that brought it. 0: it has the secret that follows from `seed`.
    std::array<AtomicU64, 2> secret{};
    AtomicU32 moved_by{0};
    AtomicU64 silent_until_ns{0};  // until then nobody is blamed for not answering (MB-9)

    // Liveness. `judge` belongs to the polling worker of the node's first port.
    dataplane::Liveness judge;
    AtomicU64 ask_from_ns{0};  // from then on a data packet may carry the query; never_ns: asked
    AtomicU64 asked_ns{0};     // last query, of whatever kind
    AtomicU64 rode_ns{0};      // last query on a data packet
    AtomicU64 questions{0};
    AtomicU32 sequence{0};  // of the last heartbeats or synthetic query
    // Answers: aware [0]; L2: on the left, on the right; L3: these two for IPv4, then for IPv6.
    std::array<AtomicU64, 4> heard{};
    std::array<std::uint64_t, 4> heard_before{};  // as `judge` found them when the interval began

    // Aware nodes: the packet whose way through the node is timed, and the last traced one.
    AtomicU64 timed_ns{0};     // 0: none
    AtomicU64 trace{0};        // trace id << 32 | collector
    AtomicU32 traced_flow{0};  // flow handle

    // What the node said of itself last (OVERLOAD): serial number 32 bits, seconds 16, share of new
    // flows in thousandths 16.
    AtomicU64 overload{0};
    AtomicU32 overload_told{0};  // serial number of the last word that all hosts were told

    AtomicU64 unreturned{0};  // packets that did not come back within a second (TM-3)
    std::array<Tally, limits::max_workers> tallies;

    // Of all workers.
    std::uint64_t delivered_bytes() const {
        std::uint64_t total = 0;
        for (const Tally& t : tallies) total += t.delivered_bytes.load(std::memory_order_relaxed);
        return total;
    }
    std::uint64_t contexts() const {
        std::uint64_t total = 0;
        for (const Tally& t : tallies) total += t.contexts.load(std::memory_order_relaxed);
        return total;
    }
    std::uint32_t p99_us() const {  // of the worker that sees it slowest
        std::uint32_t most = 0;
        for (const Tally& t : tallies)
            most = std::max(most, t.p99_us.load(std::memory_order_relaxed));
        return most;
    }
    std::uint64_t delivered(Side direction) const { return sum(&Tally::delivered, direction); }
    std::uint64_t returned(Side direction) const { return sum(&Tally::returned, direction); }

private:
    std::uint64_t sum(std::array<AtomicU64, 2> Tally::*counters, Side direction) const {
        std::uint64_t total = 0;
        for (const Tally& t : tallies)
            total +=
                (t.*counters)[static_cast<std::size_t>(direction)].load(std::memory_order_relaxed);
        return total;
    }
};

// What others said of a node: the controller (service-node-status) and its own host (NODE_DOWN).
struct HeardNode {
    AtomicU32 node_id{0};     // 0: free
    AtomicU32 sequence{0};    // of the last message applied
    AtomicU64 message_ns{0};  // when it came; 0: none yet
    AtomicU64 status_generation{0};
    AtomicU32 stale_sequence{0};  // of the last STALE_PATH in the node's name
    AtomicU32 unknown_since{0};   // UnknownSince; in what was no field's before
    AtomicU64 stale_ns{0};
    AtomicU32 host{0};               // that spoke for the node; another one counts anew
    AtomicU32 overload_sequence{0};  // of the last OVERLOAD
    AtomicU64 overload_ns{0};

    void forget();  // all but the number
};
static_assert(sizeof(HeardNode) == 56);

struct NodeMemory {
    static constexpr std::string_view pool_name = "service-nodes";
    static constexpr std::uint32_t layout_version = 4;

    AtomicU64 seed{0};  // of the nodes' secrets; drawn once per host
    std::array<NodeSlot, max_local_nodes> slots;
    std::array<ContextSlab, max_local_nodes> slabs;
    std::array<HeardNode, dataplane::HealthBoard::capacity> heard;

    NodeSecret secret_of(const NodeSlot& slot, std::uint32_t id) const {
        const NodeSecret own = {slot.secret[0].load(std::memory_order_acquire),
                                slot.secret[1].load(std::memory_order_acquire)};
        return own[0] != 0 || own[1] != 0 ? own
                                          : node_secret(seed.load(std::memory_order_acquire), id);
    }

    // Null when 1024 nodes are known already.
    HeardNode* heard_of(std::uint32_t id) {
        const std::size_t place = id < resting ? heard_places().take(id) : HeardPlaces::nowhere;
        return place != HeardPlaces::nowhere ? &heard[place] : nullptr;
    }
    // Gives up the places of nodes that nobody has known for UnknownSince::keep_s; `known` is in
    // order. One worker of each engine, some seconds after the last time: whoever still writes to a
    // place that is given up has finished by then.
    void sweep_heard(std::uint64_t now_ns, const std::vector<std::uint32_t>& known);

private:
    static constexpr std::uint32_t resting = ~0u - 1;  // given up, not to be taken yet
    struct HeardAt {
        NodeMemory* memory;
        AtomicU32& operator()(std::size_t place) const { return memory->heard[place].node_id; }
    };
    using HeardPlaces =
        dataplane::IdPlaces<dataplane::HealthBoard::capacity, std::uint32_t, HeardAt>;
    HeardPlaces heard_places() { return HeardPlaces(HeardAt{this}); }
};

// One stage's view of the memory on one worker: which slot each node of the table has.
class NodeBinding {
public:
    void open(const dataplane::OpenInput& input);
    // Whether slot() and the like are by the table's order of nodes.
    bool follows(const NodeTable& table) const { return memory_ && table.digest == digest_; }
    // Looks up or claims slots when the table is another than last time. With `contexts`, this
    // worker's share of the nodes' contexts is made ready as well. False: there is no memory.
    bool follow(const NodeTable& table, bool contexts);

    NodeMemory* memory() const { return memory_; }
    // Of the table's n-th node.
    NodeSlot& slot(std::size_t n) const { return memory_->slots[slots_[n]]; }
    Contexts& contexts(std::size_t n) { return contexts_[n]; }
    const Contexts& contexts(std::size_t n) const { return contexts_[n]; }
    // Of nodes with has_flow_contexts(); the slot number names the node.
    FlowContexts& flow_contexts() { return flow_contexts_; }
    const FlowContexts& flow_contexts() const { return flow_contexts_; }
    std::uint8_t slot_number(std::size_t n) const { return slots_[n]; }
    const NodeSecret& secret(std::size_t n) const { return secrets_[n]; }
    std::size_t size() const { return size_; }
    std::uint32_t worker() const { return worker_; }
    std::uint32_t workers() const { return workers_; }
    Tally& tally(std::size_t n) const { return slot(n).tallies[worker_]; }

    // A node that comes from another host and is not in the table yet: its slot, emptied once for
    // each move; null: there is none.
    NodeSlot* take_in(std::uint32_t node_id, std::uint32_t move, const NodeTable& table);
    // That slot once more; null: it was not taken in by this move.
    NodeSlot* taken_in(std::uint32_t node_id, std::uint32_t move);
    // What this worker remembers of the node in that slot, as of now.
    Contexts contexts_of(const NodeSlot& slot);
    std::uint8_t number_of(const NodeSlot& slot) const {
        return static_cast<std::uint8_t>(&slot - memory_->slots.data());
    }

private:
    std::size_t claim(std::uint32_t node_id, const NodeTable& table);

    NodeMemory* memory_ = nullptr;
    std::uint32_t worker_ = 0, workers_ = 1;
    std::uint64_t digest_ = 0;
    bool recovered_ = false;
    std::size_t size_ = 0;
    std::array<std::uint8_t, max_local_nodes> slots_{};
    std::array<NodeSecret, max_local_nodes> secrets_{};
    std::array<Contexts, max_local_nodes> contexts_{};
    FlowContextMemory* flow_memory_ = nullptr;
    RenumberedMemory* renumbered_ = nullptr;
    FlowContexts flow_contexts_;
};

}  // namespace weir::chain
