// How a scope comes by a record: slabs, their lists, and what goes when there are none left.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "base/prefetch.hpp"
#include "flow/table.hpp"

namespace weir::flow {

namespace {

constexpr std::size_t nth(Kind kind) {
    return static_cast<std::size_t>(kind);
}

// How far a full table is searched for a victim, per insert.
constexpr unsigned victim_tries = 32;
constexpr unsigned reclaim_tries = 16;
// Of a scope's records, one in so many may be half-open before they give way to each other.
constexpr std::uint32_t half_open_share = 8;

}  // namespace

// Records that are free are not neighbours, or are in the next slab.
void Table::fetch_free(std::uint32_t slab, std::uint64_t free, Lines lines) const {
    constexpr int later = 4;
    for (int i = 0; i < later; ++i) free &= free - 1;
    if (free == 0) {
        slab = slabs_[slab].open_next != no_index ? slabs_[slab].open_next : header_->free_slabs;
        if (slab == no_index) return;
        free = slabs_[slab].free;
    }
    fetch_lines(slab * slab_records + static_cast<std::uint32_t>(std::countr_zero(free)), lines);
}

FlowPair* Table::take_record(std::uint32_t scope_index, InsertOutcome& outcome) {
    if (FlowPair* pair = first_free(scope_index)) return pair;
    if (!may_take_slab(scopes_[scope_index])) outcome = InsertOutcome::evicted;
    if (make_room_in(scope_index)) return first_free(scope_index);
    if (!reclaim_slab() || !may_take_slab(scopes_[scope_index])) return nullptr;
    take_slab(scope_index);
    return first_free(scope_index);
}

// A slab for a scope that has no free record, or one that something has to go for.
bool Table::make_room_in(std::uint32_t scope_index) {
    if (may_take_slab(scopes_[scope_index])) {
        take_slab(scope_index);
        return true;
    }
    if (!evict_in(scope_index)) return false;
    // The eviction may have emptied and returned the scope's only open slab.
    if (first_free(scope_index) == nullptr) take_slab(scope_index);
    return true;
}

bool Table::make_room_for_both(std::uint32_t scope_index, std::uint32_t other_index) {
    const std::array<std::uint32_t, 2> indices{scope_index, other_index};
    std::array<std::uint32_t, 2> taken{no_index, no_index};
    for (const std::size_t i : {0u, 1u})
        if (first_free(indices[i]) == nullptr && make_room_in(indices[i]))
            taken[i] = scopes_[indices[i]].open_slabs;
    // What went for one may have been in the other's open slab, or have opened one in front of it.
    const bool both =
        scopes_[scope_index].open_slabs != no_index && scopes_[other_index].open_slabs != no_index;
    for (const std::size_t i : {0u, 1u}) {
        if (taken[i] == no_index || slabs_[taken[i]].scope != indices[i]) continue;
        const bool next = both && scopes_[indices[i]].open_slabs == taken[i];
        if (!next) give_back_if_empty(taken[i]);
    }
    return both;
}

// While several scopes are open, the last eighth of the slabs is kept for those that hold few: one
// port that floods the table must not leave the others without records.
bool Table::may_take_slab(const Scope& scope) const {
    if (header_->free_slab_count == 0) return false;
    const std::uint32_t scopes =
        std::atomic_ref<std::uint32_t>(header_->open_scopes).load(std::memory_order_relaxed);
    if (scopes <= 1) return true;
    const std::uint32_t reserve = geometry().slabs / 8;
    if (header_->free_slab_count > reserve) return true;
    return scope.slab_count < std::max(reserve / scopes, 1u);
}

void Table::take_slab(std::uint32_t scope_index) {
    if (header_->free_slabs == no_index) make_slab();
    const std::uint32_t slab = header_->free_slabs;
    header_->free_slabs = slabs_[slab].open_next;
    --header_->free_slab_count;
    slabs_[slab].free = whole_slab_free;
    slabs_[slab].scope = scope_index;  // before any record of it is live
    ordered();
    slab_link(slab);
    open_link(slab);
}

// The first use of a slab: its memory, and that of its records, is touched here and not before.
void Table::make_slab() {
    const std::uint32_t slab = header_->made_slabs;
    for (std::uint32_t i = 0; i < slab_records; ++i) records_[slab * slab_records + i] = FlowPair{};
    slabs_[slab] = Slab{};
    slabs_[slab].free = whole_slab_free;
    slabs_[slab].open_next = header_->free_slabs;
    ordered();
    header_->made_slabs = slab + 1;
    ordered();
    header_->free_slabs = slab;
}

void Table::give_back_slab(std::uint32_t slab) {
    open_unlink(slab);
    slab_unlink(slab);
    ordered();
    slabs_[slab].scope = no_index;  // after every record of it has died
    slabs_[slab].open_next = header_->free_slabs;
    header_->free_slabs = slab;
    ++header_->free_slab_count;
}

void Table::slab_link(std::uint32_t slab) {
    Scope& scope = scopes_[slabs_[slab].scope];
    slabs_[slab].previous = no_index;
    slabs_[slab].next = scope.slabs;
    if (scope.slabs != no_index) slabs_[scope.slabs].previous = slab;
    scope.slabs = slab;
    ++scope.slab_count;
}

void Table::slab_unlink(std::uint32_t slab) {
    Scope& scope = scopes_[slabs_[slab].scope];
    const Slab& gone = slabs_[slab];
    if (gone.previous != no_index) slabs_[gone.previous].next = gone.next;
    else scope.slabs = gone.next;
    if (gone.next != no_index) slabs_[gone.next].previous = gone.previous;
    --scope.slab_count;
}

void Table::open_link(std::uint32_t slab) {
    Scope& scope = scopes_[slabs_[slab].scope];
    slabs_[slab].open_previous = no_index;
    slabs_[slab].open_next = scope.open_slabs;
    if (scope.open_slabs != no_index) slabs_[scope.open_slabs].open_previous = slab;
    scope.open_slabs = slab;
}

void Table::open_unlink(std::uint32_t slab) {
    Scope& scope = scopes_[slabs_[slab].scope];
    const Slab& gone = slabs_[slab];
    if (gone.open_previous != no_index) slabs_[gone.open_previous].open_next = gone.open_next;
    else scope.open_slabs = gone.open_next;
    if (gone.open_next != no_index) slabs_[gone.open_next].open_previous = gone.open_previous;
}

// Eviction.

// A packet of this burst has found it, or the record that it is fused with.
bool Table::protected_now(const FlowPair& pair) const {
    const std::uint16_t burst = header_->burst;
    const FlowPair& truth = truth_of(pair);
    return burst != 0 && (truth.hot[0].burst == burst || truth.hot[1].burst == burst);
}

// Handshakes that nobody will finish pay for themselves: once half-open records hold more than
// their share, the oldest of them goes first. Below it they are handshakes under way, worth more
// than what has ended or was not heard of for longest (docs/decisions/eviction-order.md).
bool Table::evict_in(std::uint32_t scope_index) {
    using Order = std::array<Kind, 3>;
    static constexpr Order flooded = {Kind::half_open, Kind::closing, Kind::other};
    static constexpr Order calm = {Kind::closing, Kind::other, Kind::half_open};
    Scope& scope = scopes_[scope_index];
    const bool flood = scope.half_open > scope.records / half_open_share;
    for (Kind kind : flood ? flooded : calm) {
        FlowPair* victim = victim_of(scope, kind);
        if (victim == nullptr) continue;
        fetch_further_victims(slot(*victim));
        header_->stats.evicted[nth(kind)] += evict(*victim);
        return true;
    }
    return false;
}

// What is fused with it goes, too: both have seen the same, and what needs room needs it twice as
// a rule. The number of records.
std::size_t Table::evict(FlowPair& pair) {
    if (pair.partner == 0 || hook_ != nullptr) {
        remove(pair, Removal::evicted);
        return 1;
    }
    remove_fused(leads(pair) ? pair : partner_of(pair));
    return 2;
}

// Records that became old together are neighbours more often than not.
void Table::fetch_further_victims(std::uint32_t slot_index) const {
    constexpr std::uint32_t near = 4, far = 8;
    if (slot_index + far >= header_->made_slabs * slab_records) return;
    fetch_lines(slot_index + far, all_lines);
    if (records_[slot_index + near].live == record_live)
        fetch_index_of(records_[slot_index + near]);
}

// The oldest record of a kind. Records whose state moved on since they were filed are filed anew;
// of those other than TCP, one seen since it was filed goes to the end once more.
FlowPair* Table::victim_of(Scope& scope, Kind kind) {
    FlowPair* fallback = nullptr;
    std::uint32_t next = scope.oldest[queue_of(kind)];
    for (unsigned tries = 0; tries < victim_tries && next != no_index; ++tries) {
        FlowPair& pair = records_[next];
        next = pair.kind_next;
        if (protected_now(pair)) continue;
        const FlowPair& truth = truth_of(pair);
        if (kind_of(truth) != kind) {
            cut(pair);
            file_kind(pair, kind_of(pair), seen_mark(pair));
            continue;
        }
        const std::uint16_t seen = seen_mark(truth);
        if (kind != Kind::other || seen == pair.queued) return &pair;
        if (fallback == nullptr) fallback = &pair;
        file_kind(pair, kind, seen);
    }
    return fallback;
}

bool Table::slab_may_go(std::uint32_t slab, bool others_too) const {
    const Slab& candidate = slabs_[slab];
    if (candidate.scope == no_index || candidate.established != 0) return false;
    if (!others_too && candidate.other != 0) return false;
    for (std::uint64_t taken = ~candidate.free; taken != 0; taken &= taken - 1) {
        const auto bit = static_cast<std::uint32_t>(std::countr_zero(taken));
        const FlowPair& pair = records_[slab * slab_records + bit];
        if (kind_of(truth_of(pair)) == Kind::established || protected_now(pair)) return false;
    }
    return true;
}

// Takes a slab away from any scope, if all its records may go.
bool Table::reclaim_slab() {
    for (bool others_too : {false, true}) {
        for (unsigned tries = 0; tries < reclaim_tries; ++tries) {
            const std::uint32_t slab = header_->reclaim_hand;
            header_->reclaim_hand = (slab + 1) % header_->made_slabs;
            if (!slab_may_go(slab, others_too)) continue;
            for (std::uint64_t taken = ~slabs_[slab].free; taken != 0; taken &= taken - 1) {
                const auto bit = static_cast<std::uint32_t>(std::countr_zero(taken));
                FlowPair& pair = records_[slab * slab_records + bit];
                ++header_->stats.evicted[nth(kind_of(truth_of(pair)))];
                remove(pair, Removal::evicted);
            }
            return true;
        }
    }
    return false;
}

}  // namespace weir::flow
