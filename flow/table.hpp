#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/prefetch.hpp"
#include "base/result.hpp"
#include "flow/index.hpp"
#include "flow/layout.hpp"
#include "flow/record.hpp"
#include "flow/timeouts.hpp"
#include "flow/wheel.hpp"
#include "net/hash.hpp"
#include "net/packet.hpp"

namespace weir::flow {

// How large a shard is. Aliases, chunks and insertions follow from the records unless given.
struct TableLimits {
    std::uint32_t records = limits::default_flows_per_worker;  // rounded up; ≤ max_records_of()
    std::uint32_t scopes = limits::max_ports;
    std::uint32_t aliases = 0;  // 0: an eighth of the records
    std::uint32_t chunks = 0;   // of unknown TLVs; 0: a sixteenth of the records
    // Flows with services, 0: as many as records up to a million, an eighth of those beyond.
    std::uint32_t insertions = 0;
    std::uint32_t workers = limits::max_workers;  // of the host, see slot_bits_of()
    // Counter part of the first FlowPair::id, below 2^55. 0: microseconds of the wall clock, so
    // that a shard made anew gives no id a second time.
    std::uint64_t first_id = 0;
    std::uint64_t seed = 0;  // secret of the index; 0: a random one
};

// What adopt() found.
struct AdoptReport {
    bool created = false;             // by open(): there was nothing to adopt
    bool rebuilt = false;             // not closed in order: index, lists and timers made anew
    std::uint32_t adopted = 0;        // live records
    std::uint32_t torn = 0;           // records caught in the middle of insert or removal
    std::uint32_t corrupt = 0;        // live, but the identity checksum or the owner does not fit
    std::uint32_t duplicate = 0;      // a second record of one key
    std::uint32_t closed_scopes = 0;  // caught in the middle of opening or closing
    std::uint32_t aliases = 0, lost_aliases = 0, lost_extensions = 0, lost_insertions = 0;
};

// What memory for a new shard holds. Zero spares clearing the index: the memory of a large table
// is then touched only as it fills.
enum class Contents : std::uint8_t { unknown = 0, zero };

enum class InsertOutcome : std::uint8_t {
    none = 0,
    inserted,
    evicted,   // inserted; another record had to go
    existing,  // nothing inserted: the key, in either direction, is there; it is returned
    full,      // nothing inserted: nothing may be evicted
    crowded,   // nothing inserted: too many keys share this one's hash
    no_scope,  // nothing inserted: the scope is not open
};

// Why a record left, for the removal hook.
enum class Removal : std::uint8_t { none = 0, erased, expired, evicted, scope_closed };

// One worker's shard of the flow table: records, index, timers and scopes in one span of memory.
//
// A Table is a view: copies and attach() see the same shard. All calls come from the worker that
// owns the shard, except open_scope() and set_owner(), which a control thread may call meanwhile.
// Nothing allocates after create(). The memory survives a kill at any instruction: see adopt().
class Table {
public:
    Table() = default;

    static std::size_t bytes_needed(const TableLimits&);
    // `memory` must be 64-byte aligned and at least bytes_needed() long; its contents do not
    // matter.
    static Result<Table> create(std::span<std::byte> memory, const TableLimits&,
                                std::uint32_t worker, Contents contents = Contents::unknown);
    // The shard another process left there: after close() as it stands, after a crash at any
    // instruction rebuilt from its records. Fails if there is no shard of this layout.
    static Result<Table> adopt(std::span<std::byte> memory, AdoptReport* report = nullptr);
    // A second view of a shard that is in use in this process.
    static Result<Table> attach(std::span<std::byte> memory);
    // adopt() if there is a shard with these limits, else create().
    static Result<Table> open(std::span<std::byte> memory, const TableLimits&, std::uint32_t worker,
                              AdoptReport* report = nullptr, Contents contents = Contents::unknown);
    // Ends a view. With the last one the shard is complete and the next adopt() need not rebuild
    // it. Called once for each of create(), adopt(), open() and attach(), by the shard's owner.
    void close();

    explicit operator bool() const { return header_ != nullptr; }

    struct Hit {
        FlowPair* pair = nullptr;
        std::uint8_t direction = 0;  // 0: the tuple runs from initiator to responder
        explicit operator bool() const { return pair != nullptr; }
    };
    struct Query {
        std::uint32_t scope = 0;
        std::uint32_t vni = 0;
        const net::Tuple* tuple = nullptr;
        std::uint32_t hash = 0;
    };
    // A record or alias of the tuple in either direction. `hash` is the symmetric hash of the
    // tuple.
    Hit find(std::uint32_t scope, std::uint32_t vni, const net::Tuple& tuple, std::uint32_t hash);
    // The same for up to max_burst tuples, memory fetched ahead. hits[i] answers queries[i]. Other
    // than find() it leaves fused records fused for the guest that sends: the leader answers.
    void find_bulk(std::span<const Query> queries, std::span<Hit> hits);

    // One look-up in three steps, with time for memory between them (inline: table_look.hpp). What
    // is inserted in between is not found, what was removed neither. Fused records as find_bulk().
    struct Probe {
        const Bucket* bucket = nullptr;
        std::uint16_t tag = 0;
    };
    std::uint64_t scope_seed(std::uint32_t scope, std::uint32_t vni) const {
        return seed_of(header_->seed, scope, vni);
    }
    // Fetches the bucket. `seed`: scope_seed() of whose tuple it is. Fills a Probe that is there:
    // g++ copies a returned one by words that overlap, and the processor waits for the first.
    void begin(Probe& probe, std::uint64_t seed, std::uint32_t hash) const;
    // … the record: one hot line of it, or both. `upward`: net::runs_upward() of the tuple.
    // What the tag says of the answer; to be confirmed.
    void fetch(const Probe& probe, bool upward, bool both, Hit& hit) const;
    // Whether what fetch() found is the answer. If not, answer() has it.
    bool confirm(Hit found, std::uint32_t scope, std::uint32_t vni, const net::Tuple& tuple);
    Hit answer(Hit found, const Query& query);

    // Records found from here to the next call are not evicted, so that a packet of this burst
    // never holds a record that another packet of it had replaced.
    void begin_burst();

    // Inserts both directions at once. On a full table the oldest closing record goes, then other
    // than TCP, then the oldest half-open one, which goes first where those are many; an
    // established one never (docs/decisions/eviction-order.md). Null: see `outcome`.
    FlowPair* insert(const Key& key, std::uint32_t hash, std::uint64_t now_ns,
                     InsertOutcome* outcome = nullptr, const Timeouts& timeouts = default_timeouts);
    // Removes one record of the scope in that order. False: none may go.
    bool make_room(std::uint32_t scope) { return evict_in(scope); }
    // The same as insert() without counting a refusal: for callers that ask insert() next.
    FlowPair* try_insert(const Query& query, std::uint64_t now_ns, const Timeouts& timeouts,
                         InsertOutcome& outcome);
    // A further key: `tuple` as seen in `direction`, and its reverse in the other. False: no room,
    // or another flow has that key.
    bool add_alias(FlowPair& pair, const net::Tuple& tuple, std::uint8_t direction,
                   std::uint32_t hash);
    void erase(FlowPair& pair);

    // Record `slot`, live or not, fused or not; null when there never was one.
    FlowPair* at(std::uint32_t slot) {
        return slot < header_->made_slabs * slab_records ? &records_[slot] : nullptr;
    }
    std::uint32_t slot(const FlowPair& pair) const {
        return static_cast<std::uint32_t>(&pair - records_);
    }
    // FlowHandle: nonce 8 | worker and slot 24, see slot_bits_of(). Never 0. at_handle() is null
    // when the record is gone.
    std::uint32_t make_handle(const FlowPair& pair) const {
        return std::uint32_t{pair.nonce} << handle_bits | geometry().worker << slot_bits() |
               slot(pair);
    }
    FlowPair* at_handle(std::uint32_t handle);
    std::uint32_t worker_of(std::uint32_t handle) const {
        return (handle & ref_slot) >> slot_bits();
    }
    std::uint32_t slot_bits() const { return slot_bits_of(geometry().workers); }

    // A packet of `direction` passed at `now_ns`, after its TCP state was tracked. Costs a store;
    // the timer moves only when the idle time or the eviction class changed.
    void touch(FlowPair& pair, std::uint8_t direction, const Timeouts& timeouts,
               std::uint64_t now_ns) {
        Hot& hot = pair.hot[direction & 1];
        hot.last_seen_ns = now_ns;
        const std::uint32_t idle_ms = timeouts.idle_ms(pair);
        if (hot.idle_ms != idle_ms || hot.kind != kind_of(pair)) [[unlikely]]
            reclassify(pair, idle_ms, std::max(now_ns, pair.hot[~direction & 1].last_seen_ns));
    }
    // The same bookkeeping for a record that was filled in rather than touched by a packet.
    void refile(FlowPair& pair, const Timeouts& timeouts);
    // Fuses the records of two guests of one host that see the same packets. From then on the
    // leader's lines are true of both, and whoever of the two guests sends is led to it: the
    // leader's sends direction 0, the follower's direction 1 (Hot::scope says so of each line).
    // The follower keeps its room, key and decisions; its lines wait, and its timer, if both have
    // one idle time. Whoever gets a record from this table by any other way than fetch() and
    // find_bulk() gets it cut from its partner and whole. False, and nothing done, unless
    // may_fuse(): both agree about the connection and neither is fused.
    bool fuse(FlowPair& leader, FlowPair& follower);
    static bool may_fuse(const FlowPair& leader, const FlowPair& follower);
    // Inserts two records of one new flow, fused: the leader. Null, and nothing inserted, if one of
    // them is there, or must ask twice for its place, or finds no room; insert them one by one.
    FlowPair* insert_fused(const Query& leader, const Query& follower, std::uint64_t now_ns,
                           const Timeouts& timeouts);
    // A packet of fused records that changes what they are: what track() and touch() do, for both.
    // It is counted by the caller. False, and nothing done: it does not pass; cut them.
    struct Passing {
        const std::uint8_t* header;  // as track_packet() takes it
        std::uint32_t bytes;
        const Timeouts& leader;
        const Timeouts& follower;
        std::uint64_t now_ns;
    };
    bool move_fused(FlowPair& leader, std::uint8_t direction, const Passing& packet);
    void cut(FlowPair& pair) {
        if (pair.partner != 0) [[unlikely]]
            cut_fused(pair);
    }
    // The record of the guest that sent the packet of `hit`, cut.
    FlowPair& cut_sender(Hit hit);
    static bool leads(const FlowPair& pair) { return (pair.partner & partner_leads) != 0; }
    // … and nothing can happen but that numbers grow: follow_steady() may follow it, if it is TCP.
    static bool leads_steadily(const FlowPair& pair) {
        return pair.partner >> 24 == partner_leads >> 24;
    }
    // The other one of two fused records.
    FlowPair& partner_of(const FlowPair& pair) const {
        return records_[pair.partner & partner_slot];
    }

    // Removes what has been idle for its time. Looks at no more than `budget` timers.
    std::size_t age(std::uint64_t now_ns, std::size_t budget);

    // Calls the hook for each record just before it is removed, except when adopt() drops it.
    using RemovalHook = void (*)(void* context, const FlowPair& pair, Removal why);
    void on_removal(RemovalHook hook, void* context) {
        hook_ = hook;
        hook_context_ = context;
    }

    // Calls the hook for fused records that have just been cut. Nobody has told what to do with the
    // follower's direction 0 and the leader's direction 1 (Hot::epoch is 0).
    using CutHook = void (*)(void* context, FlowPair& leader, FlowPair& follower);
    void on_cut(CutHook hook, void* context) {
        cut_hook_ = hook;
        cut_context_ = context;
    }

    // Scopes. The index of a name is stable until it is closed. `wanted`: exactly this index, so
    // that the shards of all workers agree.
    Result<std::uint32_t> open_scope(std::string_view name, std::uint32_t wanted = no_index);
    std::uint32_t find_scope(std::string_view name) const;  // no_index: none
    void close_scope(std::uint32_t scope);                  // with all its records
    const Scope* scope(std::uint32_t index) const {         // null: not open
        if (index >= geometry().scopes) return nullptr;
        std::atomic_ref<ScopeState> state(scopes_[index].state);
        const bool open = state.load(std::memory_order_acquire) == ScopeState::open;
        return open ? &scopes_[index] : nullptr;
    }
    std::uint32_t owner(std::uint32_t scope) const;
    void set_owner(std::uint32_t scope, std::uint32_t engine);  // constant time
    // Every live record of a scope; `visit(FlowPair&)` may erase the record it is given.
    template <class F>
    void for_each(std::uint32_t scope, F&& visit);
    // The live records of one slab, if it is the scope's: for who goes through a scope in steps and
    // lets packets pass in between. Slabs are numbered 0 … slabs() - 1; their number only grows.
    template <class F>
    void for_each_in_slab(std::uint32_t scope, std::uint32_t slab, F&& visit);
    std::uint32_t slabs() const { return header_->made_slabs; }
    template <class F>
    void for_each_scope(F&& visit) const {  // visit(index, const Scope&)
        for (std::uint32_t i = 0; i < geometry().scopes; ++i)
            if (const Scope* one = scope(i)) visit(i, *one);
    }

    // What the service plane decided for the flow; undecided (revision 0) if nothing. A decision
    // for no services without a rule takes no memory of its own; of it only verdicts, call point
    // and revision come back.
    InsertionDecision insertion(const FlowPair& pair) const;
    // Those that take memory, of whatever scope; their records are left alone, fused ones too.
    // Costs 64 bytes to read for each.
    template <class F>
    void for_each_insertion(F&& visit) const {  // visit(const InsertionDecision&)
        for (std::uint32_t i = 0; i < header_->made_insertions; ++i)
            if (insertions_[i].owner_id != 0) visit(insertions_[i].decision);
    }
    // Replaces it so that a kill at any instruction leaves the old one, the new one or an
    // undecided one. False: no room; the record is as it was.
    bool set_insertion(FlowPair& pair, const InsertionDecision& value);
    // The decision for no services without a rule, as set_insertion() keeps it.
    void set_no_services(FlowPair& pair, std::uint32_t revision) {
        if (pair.insertion != no_index) free_insertion(pair);
        ordered();
        pair.no_service_revision = revision;
    }

    // Further keys and unknown TLVs of a record, for the save format.
    template <class F>
    void for_each_alias(const FlowPair& pair, F&& visit) const {  // visit(const Alias&)
        for (std::uint32_t i = pair.aliases; i != no_index; i = aliases_[i].next)
            visit(aliases_[i]);
    }
    std::vector<std::uint8_t> extension(const FlowPair& pair) const;
    bool set_extension(FlowPair& pair, std::span<const std::uint8_t> bytes);  // false: no room
    // Gives a record that insert() has just made the identity it had elsewhere.
    void set_identity(FlowPair& pair, std::uint64_t id, std::uint64_t created_ns);

    std::size_t size() const { return header_->live; }
    std::size_t capacity() const { return geometry().records; }
    std::uint32_t worker() const { return geometry().worker; }
    const Stats& stats() const { return header_->stats; }
    // Handshakes that nobody had finished and that had to go for others.
    std::uint64_t given_up() const {
        return header_->stats.evicted[static_cast<std::size_t>(Kind::half_open)];
    }
    // Every invariant of README.md, one by one (tests, `weir doctor`). Names the first that is
    // broken.
    Status check() const;

private:
    friend struct TableAdopter;
    friend struct TableChecker;

    static Result<Table> view(std::span<std::byte> memory);
    explicit Table(std::byte* base, const Geometry& geometry);
    const Geometry& geometry() const { return header_->geometry; }

    Place place(const Key& key, std::uint32_t hash) const {
        return place_of(header_->seed, key.scope, key.vni, hash);
    }
    Hit match(std::uint32_t ref, const Query& query, bool upward) const;
    Hit look(const Query& query) const;
    static constexpr std::uint8_t unsure = 2;  // a direction of fetch() that only look() can tell
    Hit look(const Query& query, Place place, bool upward) const;
    void mark(Hit hit);
    void cut_fused(FlowPair& pair);
    void file_fused(FlowPair& leader, const Passing& packet);
    void remove_fused(FlowPair& leader);
    static void take_truth(FlowPair& follower, const FlowPair& leader);
    static void stop_leading(FlowPair& leader);
    // The record whose lines are true of this one.
    const FlowPair& truth_of(const FlowPair& pair) const {
        return (pair.partner & partner_follows) != 0 ? partner_of(pair) : pair;
    }

    FlowPair* take_record(std::uint32_t scope, InsertOutcome& outcome);
    FlowPair* insert_new(const Query& query, Place where, std::uint32_t seat, bool upward,
                         std::uint64_t now_ns, const Timeouts& timeouts, InsertOutcome& outcome);
    // `lines`: of those that are taken next, the bytes that will be written.
    struct Lines {
        std::uint32_t at, bytes;
    };
    static constexpr Lines all_lines{0, sizeof(FlowPair)};
    static constexpr Lines cold_lines{offsetof(FlowPair, key),
                                      sizeof(FlowPair) - offsetof(FlowPair, key)};
    FlowPair* first_free(std::uint32_t scope, Lines lines = all_lines) {
        const std::uint32_t slab = scopes_[scope].open_slabs;
        if (slab == no_index) return nullptr;
        const std::uint64_t free = slabs_[slab].free;
        const auto first = static_cast<std::uint32_t>(std::countr_zero(free));
        fetch_free(slab, free, first, lines);
        return &records_[slab * slab_records + first];
    }
    // Fetches a record that will be taken a few inserts later, if they go on in this scope.
    void fetch_free(std::uint32_t slab, std::uint64_t free, std::uint32_t first,
                    Lines lines) const {
        constexpr std::uint32_t later = 4;
        const std::uint32_t at = first + later;
        if (at < slab_records && (free >> at & 1) != 0) [[likely]]
            fetch_lines(slab * slab_records + at, lines);
        else fetch_free(slab, free, lines);
    }
    void fetch_free(std::uint32_t slab, std::uint64_t free, Lines lines) const;
    void fetch_lines(std::uint32_t slot, Lines lines) const {
        prefetch(reinterpret_cast<const std::byte*>(&records_[slot]) + lines.at, lines.bytes);
    }
    bool make_room_in(std::uint32_t scope);
    bool make_room_for_both(std::uint32_t scope, std::uint32_t other_scope);
    bool may_take_slab(const Scope& scope) const;
    void take_slab(std::uint32_t scope);
    void make_slab();
    void give_back_slab(std::uint32_t slab);
    void give_back_if_empty(std::uint32_t slab) {
        if (slabs_[slab].free == whole_slab_free) give_back_slab(slab);
    }
    void write_record(FlowPair& pair, const Query& query, std::uint64_t now_ns,
                      const Timeouts& timeouts);
    void write_follower(FlowPair& pair, const Query& query, const FlowPair& leader);
    // Into everything but the index, and the wheel.
    void link_record(FlowPair& pair);
    void link_record(FlowPair& pair, Kind kind, std::uint64_t seen_ns);
    void link_untimed(FlowPair& pair, Kind kind, std::uint64_t seen_ns);
    void unlink_record(FlowPair& pair, Kind kind);
    void link_kind(FlowPair& pair, Kind kind, std::uint16_t seen);
    void unlink_kind(FlowPair& pair, Kind kind);
    static void set_kind(FlowPair& pair, Kind kind) { pair.hot[0].kind = pair.hot[1].kind = kind; }
    void file_timer(std::uint32_t slot, std::uint64_t expires_ns);
    std::size_t let_go(FlowPair& pair);
    void forget_further(FlowPair& pair);
    void remove(FlowPair& pair, Removal why);
    void reclassify(FlowPair& pair, std::uint32_t idle_ms, std::uint64_t seen_ns);

    bool evict_in(std::uint32_t scope);
    std::size_t evict(FlowPair& pair);
    void fetch_further_victims(std::uint32_t slot) const;
    void fetch_index_of(const FlowPair& pair) const;
    FlowPair* victim_of(Scope& scope, Kind kind);
    bool reclaim_slab();
    bool slab_may_go(std::uint32_t slab, bool others_too) const;
    bool protected_now(const FlowPair& pair) const;

    void file_kind(FlowPair& pair, Kind kind, std::uint16_t seen);
    void slab_link(std::uint32_t slab);
    void slab_unlink(std::uint32_t slab);
    void open_link(std::uint32_t slab);
    void open_unlink(std::uint32_t slab);
    void free_alias(std::uint32_t alias);
    void free_extension(FlowPair& pair);
    void free_insertion(FlowPair& pair);

    ShardHeader* header_ = nullptr;
    Slab* slabs_ = nullptr;
    Scope* scopes_ = nullptr;
    Alias* aliases_ = nullptr;
    Chunk* chunks_ = nullptr;
    Insertion* insertions_ = nullptr;
    FlowPair* records_ = nullptr;
    Index index_;
    Wheel wheel_;
    RemovalHook hook_ = nullptr;
    void* hook_context_ = nullptr;
    CutHook cut_hook_ = nullptr;
    void* cut_context_ = nullptr;
};

template <class F>
void Table::for_each(std::uint32_t scope_index, F&& visit) {
    if (scope(scope_index) == nullptr) return;
    for (std::uint32_t slab = scopes_[scope_index].slabs; slab != no_index;) {
        const std::uint32_t next = slabs_[slab].next;  // `visit` may empty the slab
        for_each_in_slab(scope_index, slab, visit);
        slab = next;
    }
}

template <class F>
void Table::for_each_in_slab(std::uint32_t scope_index, std::uint32_t slab, F&& visit) {
    if (slab >= header_->made_slabs || slabs_[slab].scope != scope_index) return;
    std::uint64_t taken = ~slabs_[slab].free;
    for (; taken != 0; taken &= taken - 1) {
        FlowPair& pair =
            records_[slab * slab_records + static_cast<std::uint32_t>(std::countr_zero(taken))];
        cut(pair);
        visit(pair);
    }
}

// The entry of the index for a record or alias that has the tuple.
inline std::uint32_t ref_of(std::uint32_t slot, const net::Tuple& tuple) {
    return slot | (net::runs_upward(tuple) ? upward_bit : 0);
}

// The checksum that tells a complete identity from a torn one.
std::uint32_t identity_of(const FlowPair& pair);

}  // namespace weir::flow
