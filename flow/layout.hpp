#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/limits.hpp"
#include "flow/record.hpp"

// What one worker's shard looks like in memory. README.md draws it; table.hpp is how it is used.
namespace weir::flow {

inline constexpr std::uint64_t shard_magic = 0x31574f4c46524957;  // "WIRFLOW1"
inline constexpr std::uint32_t shard_layout_version = 4;          // 4: owners by RSS bucket
// What a pool that holds a shard is called in the vault.
inline constexpr std::uint32_t pool_layout_version =
    shard_layout_version << 16 | record_layout_version;

inline constexpr std::uint32_t slab_records = 64;
inline constexpr std::uint64_t whole_slab_free = ~std::uint64_t{0};

// A FlowHandle is a nonce of 8 bits, then worker and slot. They share 24 bits: the fewer workers a
// host has, the more records each may hold.
inline constexpr std::uint32_t handle_bits = 24;
constexpr std::uint32_t slot_bits_of(std::uint32_t workers) {
    return handle_bits - static_cast<std::uint32_t>(std::bit_width(workers - 1));
}
constexpr std::uint32_t max_records_of(std::uint32_t workers) {
    return 1u << slot_bits_of(workers);
}
static_assert(slot_bits_of(1) == 24 && slot_bits_of(2) == 23 && slot_bits_of(3) == 22);
static_assert(slot_bits_of(limits::max_workers) == 20);

// 64 records of one scope. Which records are taken is `live` of each; the rest is rebuilt from
// that.
struct Slab {
    std::uint64_t free = 0;          // bit = record of the slab
    std::uint32_t scope = no_index;  // owner; no_index: in the list of free slabs
    std::uint32_t next = no_index, previous = no_index;  // slabs of the scope
    std::uint32_t open_next = no_index,
                  open_previous = no_index;  // … with a free record; or free slabs
    std::uint32_t established = 0;           // records of Kind::established
    std::uint32_t other = 0;                 // records of Kind::other
};
static_assert(sizeof(Slab) == 40);

// The eviction list of a kind that may be evicted.
constexpr std::size_t queue_of(Kind kind) {
    return static_cast<std::size_t>(kind) - static_cast<std::size_t>(Kind::half_open);
}
static_assert(queue_of(Kind::half_open) == 0 && queue_of(Kind::other) == 2);

enum class ScopeState : std::uint32_t { free = 0, writing, open };

// One named owner of records, normally a port.
struct alignas(64) Scope {
    ScopeState state = ScopeState::free;  // written last when opened, first when closed
    std::uint32_t incarnation = 0;        // grows when the index gets another name
    std::uint32_t owner = 0;              // instance of the engine that works on it; 0: none
    std::uint32_t slabs = no_index;       // first
    std::uint32_t open_slabs = no_index;  // first with a free record
    std::uint32_t slab_count = 0;
    std::uint32_t records = 0;
    std::uint32_t name_hash = 0;
    std::uint32_t half_open = 0;  // records of Kind::half_open
    std::uint32_t reserved = 0;
    // Oldest and youngest record of each kind that may be evicted; index = queue_of().
    std::array<std::uint32_t, 3> oldest{no_index, no_index, no_index};
    std::array<std::uint32_t, 3> youngest{no_index, no_index, no_index};
    char name[limits::max_name_bytes + 1] = {};
};
static_assert(sizeof(Scope) == 128);

// A cache line of the index: where the record or alias of a hash stands. All zero is empty. Entries
// are packed: the first tag of 0 ends them.
struct alignas(64) Bucket {
    static constexpr std::uint32_t entries = 10;
    std::array<std::uint16_t, entries> tag{};  // 0: empty
    std::array<std::uint32_t, entries> ref{};  // slot of a record or alias, with the bits below
    std::uint32_t next = 0;                    // overflow bucket; 0: none, it is a main bucket
};
static_assert(sizeof(Bucket) == 64);
inline constexpr std::uint32_t alias_bit = 0x80000000u;
inline constexpr std::uint32_t upward_bit = 0x40000000u;  // see net::runs_upward(), of the tuple
// The key is that of the record which follows the one in the slot, see Table::fuse().
inline constexpr std::uint32_t follower_bit = 0x20000000u;
inline constexpr std::uint32_t ref_slot = (1u << handle_bits) - 1;

// A further key of a flow: the tuple as a service or NAT rewrote it. Same scope and VNI.
struct alignas(64) Alias {
    net::Tuple tuple;                  // as seen in `direction`
    std::uint64_t owner_id = 0;        // FlowPair::id; 0: free. Written last, cleared first
    std::uint32_t slot_direction = 0;  // slot | direction << 31
    std::uint32_t hash = 0;            // symmetric hash of `tuple`
    std::uint32_t next = no_index;     // of the same flow, or of the free list
    std::uint32_t checksum = 0;        // over everything but `next`

    std::uint32_t slot() const { return slot_direction & ref_slot; }
    std::uint8_t direction() const { return static_cast<std::uint8_t>(slot_direction >> 31); }
};
static_assert(sizeof(Alias) == 64);

// A piece of the TLVs that this build does not know (they travel with the flow).
struct alignas(64) Chunk {
    static constexpr std::uint32_t capacity = 104;
    std::uint64_t owner_id = 0;     // FlowPair::id; 0: free. Written last, cleared first
    std::uint32_t next = no_index;  // of the same flow, or of the free list
    std::uint32_t checksum = 0;     // over owner_id, next, length and bytes
    std::uint32_t length = 0;
    std::uint32_t reserved = 0;
    std::array<std::uint8_t, capacity> bytes{};
};
static_assert(sizeof(Chunk) == 128);

// What the service plane decided for one flow, unless it is nothing (see Table::insertion()).
struct alignas(64) Insertion {
    InsertionDecision decision;
    std::uint64_t owner_id = 0;     // FlowPair::id; 0: free. Written last, cleared first
    std::uint32_t next = no_index;  // of the free list
    std::uint32_t reserved = 0;
};
static_assert(sizeof(Insertion) == 64);

// Timers by 2^24 ns ticks in four levels of 64 slots; see wheel.hpp.
struct WheelState {
    static constexpr unsigned levels = 4, slots = 64, tick_shift = 24;
    std::uint64_t tick = 0;  // everything up to and with this tick has fired
    std::array<std::uint64_t, levels> occupied{};
    std::array<std::array<std::uint32_t, slots>, levels> head{};
};

// What happened in this shard since it was created.
struct Stats {
    std::uint64_t inserted = 0;
    std::uint64_t erased = 0;   // by erase() and close_scope()
    std::uint64_t expired = 0;  // by age()
    std::array<std::uint64_t, static_cast<std::size_t>(Kind::count_)> evicted{};
    std::uint64_t refused_full = 0;       // inserts: nothing could be evicted
    std::uint64_t refused_crowded = 0;    // inserts: too many keys of one hash
    std::uint64_t refused_alias = 0;      // aliases: no room, or the key is another flow's
    std::uint64_t lost_extensions = 0;    // unknown TLVs that found no room
    std::uint64_t refused_insertion = 0;  // decisions of the service plane that found no room
    std::array<std::uint64_t, static_cast<std::size_t>(Kind::count_)> records{};  // live now
};

// Sizes that follow from TableLimits; they never change.
struct Geometry {
    std::uint32_t layout = shard_layout_version;
    std::uint32_t record_layout = record_layout_version;
    std::uint32_t worker = 0, workers = 0;
    std::uint32_t records = 0, slabs = 0, scopes = 0, aliases = 0, chunks = 0, insertions = 0;
    std::uint32_t buckets = 0, overflow_buckets = 0;
    std::uint64_t slab_at = 0, scope_at = 0, bucket_at = 0, alias_at = 0, chunk_at = 0,
                  insertion_at = 0, record_at = 0;
    std::uint64_t bytes = 0;
    friend bool operator==(const Geometry&, const Geometry&) = default;
};

struct alignas(64) ShardHeader {
    std::uint64_t magic = 0;     // written last by create()
    std::uint32_t checksum = 0;  // over geometry
    std::uint32_t clean = 0;     // 1: closed in order, nothing needs a rebuild
    Geometry geometry;
    std::uint32_t views = 0;  // that create(), adopt() and attach() gave and close() has not ended
    std::uint64_t seed = 0;   // secret of the index, see place_of()
    std::uint64_t next_id = 1;  // counter part of the next FlowPair::id
    std::uint32_t free_slabs = no_index, free_slab_count = 0;
    std::uint32_t free_aliases = no_index, free_chunks = no_index, free_insertions = no_index;
    std::uint32_t free_buckets = 0;  // overflow buckets; 0: none
    // How many of each have ever been used. What lies behind is no memory yet: it is written when
    // it is first taken, so that a large table costs what it holds and opens at once.
    std::uint32_t made_slabs = 0, made_aliases = 0, made_chunks = 0, made_insertions = 0;
    std::uint32_t made_buckets = 0;  // overflow buckets
    std::uint32_t live = 0, alias_count = 0;
    std::uint32_t open_scopes = 0;
    std::uint32_t reclaim_hand = 0;  // where the search for a slab to take away goes on
    std::uint16_t burst = 0;         // 0: no protection, see Table::begin_burst
    Stats stats;
    WheelState wheel;
};

}  // namespace weir::flow
