#include "flow/table.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.hpp"
#include "base/prefetch.hpp"
#include "flow/table_look.hpp"

namespace weir::flow {

namespace {

// The register of net::crc32c() after another word, as the machine reads it.
std::uint32_t crc_of(std::uint32_t state, std::uint64_t word) {
#if defined(__SSE4_2__)
    return static_cast<std::uint32_t>(__builtin_ia32_crc32di(state, word));
#else
    std::array<std::uint8_t, sizeof word> bytes;
    std::memcpy(bytes.data(), &word, sizeof word);
    return ~net::crc32c(bytes, ~state);
#endif
}

constexpr std::size_t nth(Kind kind) {
    return static_cast<std::size_t>(kind);
}

}  // namespace

std::uint32_t identity_of(const FlowPair& pair) {
    std::uint32_t state = 0x57454952;  // an all-zero record has no valid checksum
    state = crc_of(state, std::uint64_t{pair.key.vni} << 32 | pair.key.scope);
    std::array<std::uint64_t, 5> tuple;
    static_assert(sizeof(tuple) == sizeof(net::Tuple));
    std::memcpy(&tuple, &pair.key.tuple, sizeof(tuple));
    for (const std::uint64_t word : tuple) state = crc_of(state, word);
    state = crc_of(state, pair.id);
    state = crc_of(state, pair.created_ns);
    return crc_of(state, std::uint64_t{pair.hash()} << 8 | pair.nonce);
}

Table::Table(std::byte* base, const Geometry& geometry)
    : header_(reinterpret_cast<ShardHeader*>(base)),
      slabs_(reinterpret_cast<Slab*>(base + geometry.slab_at)),
      scopes_(reinterpret_cast<Scope*>(base + geometry.scope_at)),
      aliases_(reinterpret_cast<Alias*>(base + geometry.alias_at)),
      chunks_(reinterpret_cast<Chunk*>(base + geometry.chunk_at)),
      insertions_(reinterpret_cast<Insertion*>(base + geometry.insertion_at)),
      records_(reinterpret_cast<FlowPair*>(base + geometry.record_at)),
      index_(reinterpret_cast<Bucket*>(base + geometry.bucket_at), header_),
      wheel_(&header_->wheel, records_) {}

// Lookup.

Table::Hit Table::look(const Query& query) const {
    return look(query, place_of(header_->seed, query.scope, query.vni, query.hash),
                net::runs_upward(*query.tuple));
}

Table::Hit Table::find(std::uint32_t scope, std::uint32_t vni, const net::Tuple& tuple,
                       std::uint32_t hash) {
    const Hit hit = look({scope, vni, &tuple, hash});
    if (hit) cut(*hit.pair);
    mark(hit);
    return hit;
}

void Table::find_bulk(std::span<const Query> queries, std::span<Hit> hits) {
    WEIR_CHECK(queries.size() <= limits::max_burst && hits.size() >= queries.size(),
               "a burst and room for its answers");
    std::array<Probe, limits::max_burst> probes;
    for (std::size_t i = 0; i < queries.size(); ++i)
        begin(probes[i], scope_seed(queries[i].scope, queries[i].vni), queries[i].hash);
    for (std::size_t i = 0; i < queries.size(); ++i) {
        const net::Tuple& tuple = *queries[i].tuple;
        fetch(probes[i], net::runs_upward(tuple), tuple.proto == net::proto_tcp, hits[i]);
    }
    for (std::size_t i = 0; i < queries.size(); ++i) {
        const Query& query = queries[i];
        if (!confirm(hits[i], query.scope, query.vni, *query.tuple))
            hits[i] = answer(hits[i], query);
    }
}

// Nobody has the tag, or another one had it first, or an alias.
Table::Hit Table::answer(Hit found, const Query& query) {
    if (found.pair == nullptr && found.direction != unsure) return {};
    Hit hit = look(query);
    if (hit && hit.pair->partner != 0) [[unlikely]] {
        FlowPair& leader = leads(*hit.pair) ? *hit.pair : partner_of(*hit.pair);
        const bool sent = leader.hot[hit.direction].scope == query.scope &&
                          detail::same(leader.key.tuple, *query.tuple, hit.direction);
        if (sent) hit.pair = &leader;
        else cut(*hit.pair);  // it receives, or has another key than the leader's
    }
    mark(hit);
    return hit;
}

void Table::begin_burst() {
    if (++header_->burst == 0) header_->burst = 1;
}

FlowPair* Table::at_handle(std::uint32_t handle) {
    if (worker_of(handle) != geometry().worker) return nullptr;
    FlowPair* pair = at(handle & ((1u << slot_bits()) - 1));
    if (pair == nullptr || pair->live != record_live || pair->nonce != handle >> handle_bits)
        return nullptr;
    cut(*pair);
    mark({pair, 0});
    return pair;
}

// Eviction lists.

// `seen`: seen_mark() of the record.
inline void Table::link_kind(FlowPair& pair, Kind kind, std::uint16_t seen) {
    const std::uint32_t slot_index = slot(pair);
    pair.queued = seen;
    ++header_->stats.records[nth(kind)];
    Slab& slab = slabs_[slot_index / slab_records];
    if (kind == Kind::established) {
        ++slab.established;
        return;  // in no list: it is never evicted
    }
    slab.other += kind == Kind::other;
    Scope& scope = scopes_[pair.key.scope];
    scope.half_open += kind == Kind::half_open;
    const std::size_t queue = queue_of(kind);
    const std::uint32_t before = scope.youngest[queue];
    scope.youngest[queue] = slot_index;
    pair.kind_previous = before;
    pair.kind_next = no_index;
    if (before != no_index) records_[before].kind_next = slot_index;
    else scope.oldest[queue] = slot_index;
}

inline void Table::unlink_kind(FlowPair& pair, Kind kind) {
    --header_->stats.records[nth(kind)];
    Slab& slab = slabs_[slot(pair) / slab_records];
    if (kind == Kind::established) {
        --slab.established;
        return;
    }
    slab.other -= kind == Kind::other;
    Scope& scope = scopes_[pair.key.scope];
    scope.half_open -= kind == Kind::half_open;
    const std::uint32_t previous = pair.kind_previous, next = pair.kind_next;
    pair.kind_next = pair.kind_previous = no_index;
    if (previous != no_index) records_[previous].kind_next = next;
    else scope.oldest[queue_of(kind)] = next;
    if (next != no_index) records_[next].kind_previous = previous;
    else scope.youngest[queue_of(kind)] = previous;
}

void Table::file_kind(FlowPair& pair, Kind kind, std::uint16_t seen) {
    unlink_kind(pair, truth_of(pair).hot[0].kind);
    if (pair.partner == 0) set_kind(pair, kind);
    link_kind(pair, kind, seen);
}

// Insertion and removal.

FlowPair* Table::insert(const Key& key, std::uint32_t hash, std::uint64_t now_ns,
                        InsertOutcome* outcome, const Timeouts& timeouts) {
    InsertOutcome result;
    FlowPair* pair = try_insert({key.scope, key.vni, &key.tuple, hash}, now_ns, timeouts, result);
    header_->stats.refused_crowded += result == InsertOutcome::crowded;
    header_->stats.refused_full += result == InsertOutcome::full;
    if (outcome != nullptr) *outcome = result;
    return pair;
}

// In place, field by field: what is put together elsewhere and copied waits for its own stores.
inline void Table::write_record(FlowPair& pair, const Query& query, std::uint64_t now_ns,
                                const Timeouts& timeouts) {
    static constexpr FlowPair fresh;
    constexpr std::size_t cold = offsetof(FlowPair, created_ns);
    const auto nonce = static_cast<std::uint8_t>(pair.nonce + 1);
    pair.live = record_writing;
    ordered();
    const std::uint16_t burst = header_->burst;
    for (Hot& hot : pair.hot) {
        hot = fresh.hot[0];
        hot.burst = burst;
        hot.scope = static_cast<std::uint16_t>(query.scope);
    }
    pair.hot[0].of_pair = query.hash != 0 ? query.hash : 1;
    pair.hot[0].last_seen_ns = now_ns;
    pair.key.scope = query.scope;
    pair.key.vni = query.vni;
    pair.key.tuple = *query.tuple;
    pair.id = std::uint64_t{geometry().worker} << 56 | header_->next_id;
    ++header_->next_id;  // before the record is live: an id is never given twice
    pair.partner = fresh.partner;
    pair.nonce = nonce != 0 ? nonce : 1;
    pair.initiator_outside = fresh.initiator_outside;
    pair.tcp = fresh.tcp;
    std::memcpy(reinterpret_cast<std::byte*>(&pair) + cold,
                reinterpret_cast<const std::byte*>(&fresh) + cold, sizeof(FlowPair) - cold);
    pair.created_ns = now_ns;
    pair.hot[1].of_pair = identity_of(pair);
    const std::uint32_t idle_ms = timeouts.idle_ms(pair);
    pair.hot[0].idle_ms = pair.hot[1].idle_ms = idle_ms;
    ordered();
    pair.live = record_live;
    ordered();
}

// What fuse() leaves of a record.
inline void Table::write_follower(FlowPair& pair, const Query& query, const FlowPair& leader) {
    static constexpr FlowPair fresh;
    constexpr std::size_t cold = offsetof(FlowPair, created_ns);
    const auto nonce = static_cast<std::uint8_t>(pair.nonce + 1);
    pair.live = record_writing;
    ordered();
    pair.key.scope = query.scope;
    pair.key.vni = query.vni;
    pair.key.tuple = *query.tuple;
    pair.id = std::uint64_t{geometry().worker} << 56 | header_->next_id;
    ++header_->next_id;
    pair.partner = slot(leader) | partner_follows | partner_bare;
    pair.nonce = nonce != 0 ? nonce : 1;
    pair.initiator_outside = 1;
    pair.tcp = fresh.tcp;
    std::memcpy(reinterpret_cast<std::byte*>(&pair) + cold,
                reinterpret_cast<const std::byte*>(&fresh) + cold, sizeof(FlowPair) - cold);
    pair.created_ns = leader.created_ns;
    ordered();
    pair.live = record_live;
    ordered();
}

inline void Table::link_untimed(FlowPair& pair, Kind kind, std::uint64_t seen_ns) {
    const std::uint32_t slot_index = slot(pair);
    const std::uint32_t at = slot_index / slab_records;
    Slab& slab = slabs_[at];
    const std::uint64_t free = slab.free & ~(std::uint64_t{1} << slot_index % slab_records);
    slab.free = free;
    if (free == 0) open_unlink(at);
    ++scopes_[pair.key.scope].records;
    ++header_->live;
    link_kind(pair, kind, seen_mark(seen_ns));
}

inline void Table::link_record(FlowPair& pair, Kind kind, std::uint64_t seen_ns) {
    set_kind(pair, kind);
    link_untimed(pair, kind, seen_ns);
    wheel_.arm(slot(pair), seen_ns + std::uint64_t{pair.hot[0].idle_ms} * 1'000'000);
}

void Table::link_record(FlowPair& pair) {
    link_record(pair, kind_of(pair), last_seen_ns(pair));
}

inline FlowPair* Table::insert_new(const Query& query, Place where, std::uint32_t seat, bool upward,
                                   std::uint64_t now_ns, const Timeouts& timeouts,
                                   InsertOutcome& outcome) {
    outcome = InsertOutcome::inserted;
    FlowPair* pair = first_free(query.scope);
    if (pair == nullptr) [[unlikely]] {
        pair = take_record(query.scope, outcome);
        seat = Index::unclear;  // what was evicted may have stood in the same bucket
    }
    if (pair == nullptr) {
        outcome = InsertOutcome::full;
        return nullptr;
    }
    if (header_->live == 0) wheel_.set_time(now_ns);  // the wheel is empty
    write_record(*pair, query, now_ns, timeouts);
    const bool tcp = query.tuple->proto == net::proto_tcp;
    link_record(*pair, tcp ? Kind::half_open : Kind::other, now_ns);
    const std::uint32_t ref = slot(*pair) | (upward ? upward_bit : 0);
    if (seat != Index::unclear) index_.put(where, seat, ref);
    else WEIR_CHECK(index_.insert(where, ref), "there was room");
    ++header_->stats.inserted;
    return pair;
}

FlowPair* Table::try_insert(const Query& query, std::uint64_t now_ns, const Timeouts& timeouts,
                            InsertOutcome& outcome) {
    if (scope(query.scope) == nullptr) {
        outcome = InsertOutcome::no_scope;
        return nullptr;
    }
    const Place where = place_of(header_->seed, query.scope, query.vni, query.hash);
    const bool upward = net::runs_upward(*query.tuple);
    const std::uint32_t seat = index_.seat(where);
    if (seat == Index::unclear) [[unlikely]] {
        if (const Hit hit = look(query, where, upward)) {
            cut(*hit.pair);
            mark(hit);
            outcome = InsertOutcome::existing;
            return hit.pair;
        }
        if (!index_.has_room(where)) {
            outcome = InsertOutcome::crowded;
            return nullptr;
        }
    }
    return insert_new(query, where, seat, upward, now_ns, timeouts, outcome);
}

FlowPair* Table::insert_fused(const Query& first, const Query& second, std::uint64_t now_ns,
                              const Timeouts& timeouts) {
    if (first.scope == second.scope || scope(first.scope) == nullptr ||
        scope(second.scope) == nullptr)
        return nullptr;
    const Place place = place_of(header_->seed, first.scope, first.vni, first.hash);
    const Place other_place = place_of(header_->seed, second.scope, second.vni, second.hash);
    std::uint32_t seat = index_.seat(place), other_seat = index_.seat(other_place);
    const auto unclear = [&] {
        return seat == Index::unclear || other_seat == Index::unclear ||
               index_.share_bucket(place, other_place);
    };
    if (unclear()) [[unlikely]]
        return nullptr;
    FlowPair* leader = first_free(first.scope, all_lines);
    FlowPair* follower = first_free(second.scope, cold_lines);
    if (leader == nullptr || follower == nullptr) [[unlikely]] {
        if (!make_room_for_both(first.scope, second.scope)) return nullptr;
        leader = first_free(first.scope, all_lines);
        follower = first_free(second.scope, cold_lines);
        seat = index_.seat(place);  // what went may have stood there
        other_seat = index_.seat(other_place);
        if (unclear()) {
            for (const FlowPair* pair : {leader, follower})
                give_back_if_empty(slot(*pair) / slab_records);
            return nullptr;
        }
    }
    if (header_->live == 0) wheel_.set_time(now_ns);  // the wheel is empty
    const bool tcp = first.tuple->proto == net::proto_tcp;
    const Kind kind = tcp ? Kind::half_open : Kind::other;
    write_record(*leader, first, now_ns, timeouts);
    link_record(*leader, kind, now_ns);
    write_follower(*follower, second, *leader);
    link_untimed(*follower, kind, now_ns);
    leader->hot[1].scope = static_cast<std::uint16_t>(second.scope);
    leader->partner = slot(*follower) | partner_leads | (tcp ? partner_moving : 0);
    const std::uint32_t ref = ref_of(slot(*leader), *first.tuple);
    index_.put(place, seat, ref);
    index_.put(other_place, other_seat, ref | follower_bit);
    header_->stats.inserted += 2;
    return leader;
}

void Table::erase(FlowPair& pair) {
    ++header_->stats.erased;
    remove(pair, Removal::erased);
}

void Table::remove(FlowPair& pair, Removal why) {
    WEIR_CHECK(pair.live == record_live, "only a live record is removed, and once");
    cut(pair);
    if (hook_ != nullptr) hook_(hook_context_, pair, why);
    pair.live = record_free;
    ordered();
    const std::uint32_t slot_index = slot(pair);
    const bool indexed =
        index_.erase(place(pair.key, pair.hash()), ref_of(slot_index, pair.key.tuple));
    WEIR_CHECK(indexed, "a live record is in the index");
    const Kind kind = pair.hot[0].kind;
    pair.hot[0].of_pair = 0;
    unlink_record(pair, kind);
}

// Two that are idle, and nobody wants to see either.
void Table::remove_fused(FlowPair& leader) {
    FlowPair& follower = partner_of(leader);
    const std::uint32_t hash = leader.hash();
    const std::uint32_t ref = ref_of(slot(leader), leader.key.tuple);
    const Kind kind = leader.hot[0].kind;
    follower.live = record_free;
    leader.live = record_free;
    ordered();
    const bool indexed = index_.erase(place(leader.key, hash), ref) &&
                         index_.erase(place(follower.key, hash), ref | follower_bit);
    WEIR_CHECK(indexed, "live records are in the index");
    if ((follower.partner & partner_bare) == 0) follower.hot[0].of_pair = 0;
    leader.partner = follower.partner = 0;
    leader.hot[0].of_pair = 0;
    unlink_record(leader, kind);
    unlink_record(follower, kind);
}

// Out of everything but the index.
inline void Table::unlink_record(FlowPair& pair, Kind kind) {
    const std::uint32_t slot_index = slot(pair);
    if ((pair.aliases & pair.extension & pair.insertion) != no_index) forget_further(pair);
    unlink_kind(pair, kind);
    if (wheel_.armed(slot_index)) wheel_.disarm(slot_index);
    const std::uint32_t at = slot_index / slab_records;
    Slab& slab = slabs_[at];
    if (slab.free == 0) open_link(at);
    slab.free |= std::uint64_t{1} << slot_index % slab_records;
    --scopes_[pair.key.scope].records;
    --header_->live;
    give_back_if_empty(at);
}

// Further keys, TLVs that this build does not know, a decision of the service plane.
void Table::forget_further(FlowPair& pair) {
    while (pair.aliases != no_index) {
        const std::uint32_t alias = pair.aliases;
        pair.aliases = aliases_[alias].next;
        free_alias(alias);
    }
    free_extension(pair);
    free_insertion(pair);
}

// Time.

void Table::refile(FlowPair& pair, const Timeouts& timeouts) {
    reclassify(pair, timeouts.idle_ms(pair), last_seen_ns(pair));
}

// `seen_ns`: when the record's last packet passed.
void Table::reclassify(FlowPair& pair, std::uint32_t idle_ms, std::uint64_t seen_ns) {
    pair.hot[0].idle_ms = pair.hot[1].idle_ms = idle_ms;
    const Kind before = pair.hot[0].kind, kind = kind_of(pair);
    if (before != kind) {
        unlink_kind(pair, before);
        set_kind(pair, kind);
        link_kind(pair, kind, seen_mark(seen_ns));
    }
    file_timer(slot(pair), seen_ns + std::uint64_t{idle_ms} * 1'000'000);
}

void Table::file_timer(std::uint32_t slot_index, std::uint64_t expires_ns) {
    if (wheel_.due_before(slot_index, expires_ns)) return;  // it looks earlier and arms anew
    wheel_.disarm(slot_index);
    wheel_.arm(slot_index, expires_ns);
}

// What move_fused() leaves to be done: lists and timers of both, as they stand now.
void Table::file_fused(FlowPair& leader, const Passing& packet) {
    FlowPair& follower = partner_of(leader);
    const Kind before = leader.hot[0].kind, kind = kind_of(leader);
    if (before != kind) {
        const std::uint16_t seen = seen_mark(packet.now_ns);
        unlink_kind(leader, before);
        unlink_kind(follower, before);
        set_kind(leader, kind);
        link_kind(leader, kind, seen);
        link_kind(follower, kind, seen);
    }
    const std::uint32_t idle_ms = packet.leader.idle_ms(leader);
    const std::uint32_t other_idle_ms = packet.follower.idle_ms(leader);
    if (leader.hot[0].idle_ms == idle_ms && leader.hot[1].idle_ms == other_idle_ms) return;
    leader.hot[0].idle_ms = idle_ms;
    leader.hot[1].idle_ms = other_idle_ms;
    file_timer(slot(leader), packet.now_ns + std::uint64_t{idle_ms} * 1'000'000);
    const std::uint64_t other_ns = packet.now_ns + std::uint64_t{other_idle_ms} * 1'000'000;
    if (wheel_.armed(slot(follower))) file_timer(slot(follower), other_ns);
    else if (other_idle_ms != idle_ms) wheel_.arm(slot(follower), other_ns);
}

std::size_t Table::age(std::uint64_t now_ns, std::size_t budget) {
    std::size_t expired = 0;
    const auto fetch = [&](std::uint32_t slot_index) {
        if (!wheel_.due_before(slot_index, now_ns)) return;  // it is only armed anew
        fetch_index_of(records_[slot_index]);
    };
    wheel_.advance(now_ns, budget, fetch, [&](std::uint32_t slot_index) {
        // Before its time, a step down the wheel on the way there; what is long overdue would
        // not be told from it by `now_ns` alone.
        if (!wheel_.due_before(slot_index, now_ns) && wheel_.is_to_come(slot_index))
            return wheel_.arm_again(slot_index);
        FlowPair& pair = records_[slot_index];
        const FlowPair& truth = truth_of(pair);
        const std::uint32_t idle_ms = truth.hot[&truth == &pair ? 0 : 1].idle_ms;
        const std::uint64_t expires_ns = last_seen_ns(truth) + std::uint64_t{idle_ms} * 1'000'000;
        if (expires_ns > now_ns) {
            wheel_.arm(slot_index, expires_ns);
            return;
        }
        expired += let_go(pair);
    });
    return expired;
}

// What removing a record will touch besides its own lines.
void Table::fetch_index_of(const FlowPair& pair) const {
    index_.fetch(place(pair.key, pair.hash()));
    if (!leads(pair)) return;
    fetch_lines(pair.partner & partner_slot, cold_lines);
    // Nearly always of the same segment.
    index_.fetch(place_of(header_->seed, pair.hot[1].scope, pair.key.vni, pair.hash()));
}

}  // namespace weir::flow
