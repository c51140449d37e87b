#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "base/limits.hpp"
#include "features/chain/node/contexts.hpp"
#include "features/chain/node/cookie.hpp"
#include "features/chain/node/node_table.hpp"
#include "net/packet.hpp"

// What the proxies of this host remember of packets inside nodes whose frames are not told apart by
// one VLAN tag (spec service-plane DP-16): by two tags, by the packet's own addresses, or by a
// number that the node carries through.
//
// One memory for all such nodes, plain data for a vault pool: no pointers, zeroed bytes are a valid
// empty start. Workers share nothing: each owns a range of the numbers.
namespace weir::chain {

inline constexpr std::uint32_t max_flow_contexts = 131'072;         // on a host
inline constexpr std::uint32_t max_flow_contexts_of_node = 65'536;  // spec DP-16
inline constexpr std::uint32_t no_context_id = 0;

// What makes packets given to a node one context.
enum class ContextOf : std::uint8_t {
    direction,  // flow, path and direction
    flow,       // flow and path: both directions in one
    tuple,      // addresses, ports and direction as the packet shows them
};

struct FlowContext {
    std::array<net::Smd, 2> smd;   // by direction: of its last packet, as delivered
    net::Tuple tuple;              // of its first packet, as delivered, turned forward
    std::uint64_t used_ns = 0;     // last delivery
    std::uint64_t sampled_ns = 0;  // delivery whose return is timed; 0: none
    std::uint32_t hash = 0;
    std::uint32_t cookie = 0;  // what a node carries through that is told apart by it
    std::uint32_t next_in_bucket = no_context_id;                // or next free one
    // In the list of its node and age. Of free ones `older` is the one in front in theirs.
    std::uint32_t older = no_context_id, newer = no_context_id;
    std::uint32_t trace_id = 0;  // of the last packet; 0: not traced
    std::uint32_t trace_collector = 0;
    std::uint16_t inside = 0;  // packets believed to be in the node
    // The guest's own tags, kept here while the packet is inside: tag protocol << 16 | TCI, outer
    // first.
    std::array<std::uint32_t, 2> tags{};
    std::uint8_t tag_count = 0;
    std::uint32_t before_mark = 0;  // what the mark stands in the place of, see HeaderMark
    std::uint8_t node = 0;          // slot in NodeMemory
    std::uint8_t known = 0;  // bit 0: a forward packet was delivered, bit 1: a reverse one
    ContextAge age = ContextAge::finished;
    std::uint8_t answered = 0;  // a node that opens connections has opened one for this
    std::uint8_t live = 0;      // written last on insert, first on removal
    std::uint16_t sample_mark = 0;  // of the delivery that is timed; 0: nothing else was inside

    bool knows(bool reverse) const { return (known >> (reverse ? 1 : 0) & 1) != 0; }
    net::Smd& of(bool reverse) { return smd[reverse ? 1 : 0]; }
};

struct FlowContextMemory {
    static constexpr std::string_view pool_name = "service-contexts";
    static constexpr std::uint32_t layout_version = 2;

    struct List {
        std::uint32_t oldest = no_context_id, newest = no_context_id;
    };
    // One worker's contexts of one node.
    struct Share {
        std::uint32_t epoch = 0;  // of the slot's owner they belong to
        std::uint32_t used = 0;
        std::array<List, context_ages> lists{};
    };
    struct alignas(64) Part {
        std::uint32_t workers = 0;  // number of workers the numbers were divided by; 0: never
        std::uint32_t touched = 0;  // numbers that were ever in use, from the first one
        std::uint32_t free = no_context_id;
        std::array<Share, max_local_nodes> shares{};
    };
    std::array<Part, limits::max_workers> parts{};
    std::array<std::uint32_t, max_flow_contexts + 1> buckets{};  // sliced like the numbers
    std::array<FlowContext, max_flow_contexts + 1> contexts{};
};

// Contexts that came from another host (spec service-plane MB-8) under numbers that other nodes
// have here. Packets that were inside then carry the former number: for a while, both name the
// context.
struct RenumberedMemory {
    static constexpr std::string_view pool_name = "service-renumbered";
    static constexpr std::uint32_t layout_version = 1;
    static constexpr std::size_t most = 1024;  // of a worker; what is beyond loses such packets

    struct One {
        std::uint32_t was = no_context_id, is = no_context_id;
        std::uint32_t cookie = 0;  // then
        std::uint32_t epoch = 0;   // of the node's slot
        std::uint64_t until_ns = 0;
        std::uint8_t node = 0;
    };
    struct alignas(64) Part {
        std::uint32_t count = 0;
        std::array<One, most> ones{};
    };
    std::array<Part, limits::max_workers> parts{};
};
// As long as late packets are relayed.
inline constexpr std::uint64_t renumbered_ns = 10'000'000'000;

// Which worker owns a number; `workers` itself for numbers that nobody owns.
std::uint32_t flow_context_owner(std::uint32_t id, std::uint32_t workers);

// One worker's view.
class FlowContexts {
public:
    // A packet about to be delivered.
    struct Delivery {
        std::uint8_t node = 0;  // slot
        ContextOf of = ContextOf::direction;
        const net::Smd& smd;
        const net::Headers& headers;
        const net::Tuple& tuple;  // see tuple_key()
    };
    struct Refreshed {
        FlowContext* context = nullptr;
        bool taken = false;  // another flow's packets of the same addresses are in the node
    };

    FlowContexts() = default;
    FlowContexts(FlowContextMemory& memory, RenumberedMemory& renumbered, std::uint32_t worker,
                 std::uint32_t workers);

    // Links anew what stands there, e.g. after a kill; empties what was divided differently.
    // Changes nothing that a packet could tell, so every engine may do it once, on its worker.
    void recover();
    // Forgets what belongs to another epoch (another node) of the slot.
    void claim(std::uint8_t node, std::uint32_t epoch);

    // The context of the packet, made if need be and overwritten with its metadata. No context: the
    // node's or the worker's share is full, or `taken`.
    Refreshed refresh(const Delivery&, std::uint64_t now_ns);
    // By the number it has, or had where it came from. Null: none of this node, aged, or another
    // worker's.
    FlowContext* find(std::uint32_t id, std::uint8_t node, std::uint64_t now_ns);
    // Whether the context is given out with this cookie, or was where it came from.
    bool is_named(const FlowContext& context, std::uint32_t cookie, std::uint64_t now_ns);
    FlowContext* find(const net::Tuple& tuple, bool reverse, std::uint8_t node,
                      std::uint64_t now_ns);
    // A context of another host under its number, as the newest of its age. One of the same node
    // that has this number for want of its own gets another. False: the number is another
    // worker's, or another node's, or the node has its share.
    bool put(std::uint32_t id, const FlowContext& context, ContextOf of, std::uint64_t now_ns);
    // Whether it is there already, under whatever number.
    bool holds(const FlowContext& context, ContextOf of) const;
    // As put(), under any number; null: no room. `was`: the number it is known by as well.
    FlowContext* add(const FlowContext& context, ContextOf of, std::uint64_t now_ns,
                     std::uint32_t was = no_context_id);
    // Calls visit(number, context) for live ones of the node among so many numbers from this one
    // on; returns where there may be more behind these, 0: nowhere. All workers can be asked with
    // the same number: go on with the smallest that is not 0.
    template <class Visit>
    std::uint32_t each_from(std::uint8_t node, std::uint32_t from, std::uint32_t numbers,
                            Visit&& visit) {
        const std::uint32_t last = first_ + part_->touched, end = from + numbers;
        if (end <= first_) return size(node) != 0 ? first_ : 0;
        for (std::uint32_t id = std::max(from, first_); id < last; ++id) {
            const FlowContext& context = at(id);
            if (!context.live || context.node != node) continue;
            if (id >= end) return id;
            visit(id, context);
        }
        return 0;
    }
    // Removes up to `most` contexts of the node whose time has passed.
    void expire(std::uint8_t node, std::uint64_t now_ns, unsigned most = 64);

    std::uint32_t id_of(const FlowContext& context) const {
        return static_cast<std::uint32_t>(&context - memory_->contexts.data());
    }
    std::uint32_t size(std::uint8_t node) const { return part_->shares[node].used; }
    // Calls `visit` for every live context of the node.
    template <class Visit>
    void for_each(std::uint8_t node, Visit&& visit) {
        for (const auto& list : part_->shares[node].lists)
            for (std::uint32_t id = list.oldest; id != no_context_id; id = at(id).newer)
                if (!visit(at(id))) return;
    }

    // The newest of an age that fits, among the `most` newest of each age. Null: none.
    template <class Fits>
    FlowContext* find_if(std::uint8_t node, std::uint64_t now_ns, unsigned most, Fits&& fits) {
        for (const auto& list : part_->shares[node].lists) {
            unsigned left = most;
            for (std::uint32_t id = list.newest; id != no_context_id && left > 0;
                 id = at(id).older, --left)
                if (!is_over(at(id), now_ns) && fits(at(id))) return &at(id);
        }
        return nullptr;
    }

private:
    static bool is_over(const FlowContext& context, std::uint64_t now_ns) {
        return now_ns - context.used_ns >= context_lifetime_ns(context.age) &&
               now_ns > context.used_ns;
    }
    FlowContext& at(std::uint32_t id) { return memory_->contexts[id]; }
    std::uint32_t& bucket_of(std::uint32_t hash) {
        return memory_->buckets[first_ + hash % count_];
    }
    FlowContext* make(const Delivery&, std::uint32_t hash, std::uint64_t now_ns);
    std::uint32_t take(std::uint8_t node, std::uint64_t now_ns);
    void clear();
    FlowContext& link(std::uint32_t id, const FlowContext& context, ContextOf of);
    void push_free(std::uint32_t id);
    bool unlink_free(std::uint32_t id);
    void append(std::uint32_t id);
    void unlink(std::uint32_t id);
    void remove(std::uint32_t id);
    bool is_current(const RenumberedMemory::One& one, std::uint64_t now_ns) const {
        return now_ns < one.until_ns && one.node < max_local_nodes &&
               one.is - first_ < count_ && one.epoch == part_->shares[one.node].epoch;
    }
    const RenumberedMemory::One* renumbered(std::uint32_t was, std::uint8_t node,
                                            std::uint64_t now_ns);
    void note_renumbered(std::uint32_t was, std::uint32_t is, std::uint64_t now_ns);
    bool move_aside(std::uint32_t id, std::uint8_t node, ContextOf of, std::uint64_t now_ns);

    FlowContextMemory* memory_ = nullptr;
    FlowContextMemory::Part* part_ = nullptr;
    RenumberedMemory::Part* renumbered_ = nullptr;
    std::uint32_t first_ = 1, count_ = 0, of_node_ = 0;
    std::uint32_t workers_ = 1;
};

// The number that a node carries through for a context: who would name another one must guess 15
// bits of the node's secret.
std::uint32_t context_cookie(const NodeSecret& secret, std::uint32_t id, std::uint64_t salt);
std::uint32_t id_of_cookie(std::uint32_t cookie);

// The tags of a node whose contexts have two, by the context's number, and back.
struct TwoTags {
    std::uint16_t outer = 0, inner = 0;
};
TwoTags tags_of(std::uint32_t id);
std::uint32_t id_of(const TwoTags&);  // no_context_id for tags of no context

// What a packet's context is found by where addresses tell flows apart. Later fragments carry no
// ports: there it is the datagram's number.
net::Tuple tuple_key(const net::Headers& headers, const net::Tuple& tuple);

}  // namespace weir::chain
