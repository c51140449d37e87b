#pragma once
#include <array>
#include <cstdint>

#include "base/limits.hpp"
#include "net/packet.hpp"
#include "net/smd.hpp"

// What an L2 node's proxy remembers of the packets inside the node (spec service-plane DP-16).
//
// A node that knows nothing of service metadata returns frames without it; the VLAN tag they carry
// names the context. The memory is plain data for a vault pool: no pointers, indices are VLAN ids,
// and zeroed bytes are a valid empty slab. Workers share nothing: each owns a range of the VLAN
// ids, so a returning frame names its worker as well.
namespace weir::chain {

inline constexpr std::uint16_t max_contexts = 4094;  // VLAN ids 1 … 4094
inline constexpr std::uint16_t no_vlan = 0;

// How long an unused context is kept: max(2 × idle timeout of the flow, 120 s).
enum class ContextAge : std::uint8_t {
    finished = 0,  // FIN or RST seen: 120 s, and given away after `finished_grace_ns` when full
    brief,         // anything but established TCP: 120 s
    established,   // TCP with data: 4 h
    fragment,      // one datagram that the node sees in pieces: 2 s
    count_
};
inline constexpr std::size_t context_ages = static_cast<std::size_t>(ContextAge::count_);
inline constexpr std::uint64_t finished_grace_ns = 10'000'000'000;
std::uint64_t context_lifetime_ns(ContextAge);
// The age that a packet alone speaks for.
ContextAge context_age(std::uint8_t proto, std::uint8_t tcp_flags);
// What becomes of `now` with it: the last ACKs of a closed connection do not open it again, a new
// SYN does.
ContextAge next_context_age(ContextAge now, ContextAge seen);

// One flow-direction inside a node.
struct Context {
    net::Smd smd;  // of its last packet, as delivered: SI not yet decremented
    net::Tuple tuple;  // of its first packet with ports, as delivered; proto 0: none yet
    std::uint32_t hash = 0;
    std::uint64_t used_ns = 0;     // last delivery
    std::uint64_t sampled_ns = 0;  // delivery whose return is timed; 0: none
    std::uint32_t trace_id = 0;    // of the last packet; 0: not traced
    std::uint32_t trace_collector = 0;
    std::uint16_t inside = 0;                        // packets believed to be in the node
    std::uint16_t next_in_bucket = no_vlan;          // or next free one
    std::uint16_t older = no_vlan, newer = no_vlan;  // in the list of its age
    ContextAge age = ContextAge::finished;
    std::uint8_t live = 0;  // written last on insert, first on removal
    std::uint16_t sample_mark = 0;  // of the delivery that is timed; 0: nothing else was inside
};

struct ContextSlab {
    struct List {
        std::uint16_t oldest = no_vlan, newest = no_vlan;
    };
    // One worker's share of the node.
    struct alignas(64) Part {
        std::uint32_t epoch = 0;    // of the slab's owner when the part was last cleared; 0: never
        std::uint16_t workers = 0;  // number of workers the ids were divided by
        std::uint16_t used = 0;
        std::uint16_t free = no_vlan;
        std::array<List, context_ages> lists{};
    };
    std::array<Part, limits::max_workers> parts{};
    std::array<std::uint16_t, max_contexts + 2> buckets{};  // sliced like the ids
    std::array<Context, max_contexts + 2> contexts{};       // by VLAN id
};

// Which worker owns a VLAN id; `workers` itself for ids that nobody owns.
std::uint32_t context_owner(std::uint16_t vlan, std::uint32_t workers);

// One worker's view of one node's contexts.
class Contexts {
public:
    Contexts() = default;
    Contexts(ContextSlab& slab, std::uint32_t worker, std::uint32_t workers);

    // Empties the worker's share if it belongs to another epoch (another node) or was divided
    // differently.
    void claim(std::uint32_t epoch);
    // Links anew what stands there, e.g. after a kill: contexts that were being written are gone.
    // Changes nothing that a packet could tell, so every engine may do it once, on its worker.
    void recover(std::uint32_t epoch);

    // The context of the packet's flow-direction, made if need be and overwritten with this
    // packet's metadata. Null: all ids are taken.
    Context* refresh(const net::Smd& smd, std::uint8_t proto, std::uint8_t tcp_flags,
                     std::uint64_t now_ns);
    // Whether refresh() finds one for sure.
    bool has_room(const net::Smd& smd) const { return part_->free != no_vlan || is_known(smd); }
    // The live context of a returning frame's tag; null: none, aged, or another worker's.
    Context* find(std::uint16_t vlan, std::uint64_t now_ns);
    // Writes a context of another host under its id, to be linked by recover(). False: the id is
    // another worker's, or taken.
    bool put(std::uint16_t vlan, const Context& context);
    // Calls visit(id, context) for live ones among so many ids from this one on; returns where
    // there may be more behind these, 0: nowhere. All workers can be asked with the same id: go on
    // with the smallest that is not 0.
    template <class Visit>
    std::uint32_t each_from(std::uint32_t from, std::uint32_t ids, Visit&& visit) {
        const std::uint32_t end = from + ids;
        if (end <= first_) return size() != 0 ? first_ : 0;
        for (std::uint32_t id = from < first_ ? first_ : from; id < first_ + std::uint32_t{count_};
             ++id) {
            const Context& context = at(static_cast<std::uint16_t>(id));
            if (!context.live) continue;
            if (id >= end) return id;
            visit(static_cast<std::uint16_t>(id), context);
        }
        return 0;
    }
    // Removes up to `most` contexts whose time has passed.
    void expire(std::uint64_t now_ns, unsigned most = 64);

    std::uint16_t vlan_of(const Context& context) const {
        return static_cast<std::uint16_t>(&context - slab_->contexts.data());
    }
    // The newest context of an age that fits. Null: none.
    template <class Fits>
    Context* find_if(std::uint64_t now_ns, Fits&& fits) {
        for (const ContextSlab::List& list : part_->lists)
            for (std::uint16_t vlan = list.newest; vlan != no_vlan; vlan = at(vlan).older)
                if (!expired(at(vlan), now_ns) && fits(at(vlan))) return &at(vlan);
        return nullptr;
    }
    std::uint16_t size() const { return part_->used; }
    std::uint16_t capacity() const { return count_; }

private:
    Context& at(std::uint16_t vlan) { return slab_->contexts[vlan]; }
    std::uint16_t look_up(const net::Smd& smd, std::uint32_t hash) const;
    bool is_known(const net::Smd& smd) const;
    std::uint16_t& bucket_of(std::uint32_t hash) { return slab_->buckets[first_ + hash % count_]; }
    void clear(std::uint32_t epoch);
    void append(std::uint16_t vlan);
    void unlink(std::uint16_t vlan);
    void remove(std::uint16_t vlan);
    std::uint16_t take(std::uint64_t now_ns);
    bool expired(const Context& context, std::uint64_t now_ns) const;

    ContextSlab* slab_ = nullptr;
    ContextSlab::Part* part_ = nullptr;
    std::uint16_t first_ = 1, count_ = 0;
    std::uint16_t workers_ = 1;
};

}  // namespace weir::chain
