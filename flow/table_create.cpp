// Laying a shard out in memory, and the scopes, aliases and extensions of it.
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <random>
#include <string>

#include "base/check.hpp"
#include "flow/table.hpp"

namespace weir::flow {

std::uint32_t checksum_of(const Alias& alias);
std::uint32_t checksum_of(const Chunk& chunk);
std::uint32_t checksum_of(const Geometry& geometry);

namespace {

std::uint32_t fold(const void* data, std::size_t bytes, std::uint64_t state) {
    const auto* at = static_cast<const std::uint8_t*>(data);
    for (; bytes >= 8; bytes -= 8, at += 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        state = (state ^ word) * 0x9e3779b97f4a7c15u;
        state ^= state >> 29;
    }
    for (; bytes > 0; --bytes, ++at) state = (state ^ *at) * 0x100000001b3u;
    return static_cast<std::uint32_t>(state ^ state >> 32);
}

std::uint32_t name_hash(std::string_view name) {
    return fold(name.data(), name.size(), 1);
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
    return (value + to - 1) / to * to;
}

// Grows faster than flows are made, and across restarts.
std::uint64_t id_by_clock() {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
    return static_cast<std::uint64_t>(us > 0 ? us : 1);
}

std::uint64_t random_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

Result<Geometry> geometry_for(const TableLimits& limits, std::uint32_t worker) {
    if (limits.workers == 0 || limits.workers > limits::max_workers)
        return invalid("workers", "must be 1 … " + std::to_string(limits::max_workers));
    const std::uint32_t most = max_records_of(limits.workers);
    if (limits.records == 0 || limits.records > most)
        return invalid("records", "must be 1 … " + std::to_string(most) + " on a host with " +
                                      std::to_string(limits.workers) + " workers");
    if (limits.scopes == 0 || limits.scopes > 65536) return invalid("scopes", "must be 1 … 65536");
    if (worker >= limits.workers)
        return invalid("worker", "must be below " + std::to_string(limits.workers));
    if (limits.first_id >> 55 != 0) return invalid("first_id", "must be below 2^55");

    Geometry g;
    g.worker = worker;
    g.workers = limits.workers;
    g.records = static_cast<std::uint32_t>(round_up(limits.records, slab_records));
    g.slabs = g.records / slab_records;
    g.scopes = limits.scopes;
    g.aliases = limits.aliases != 0 ? limits.aliases : g.records / 8;
    g.chunks = limits.chunks != 0 ? limits.chunks : g.records / 16;
    constexpr std::uint32_t all_with_services = 1u << 20;
    g.insertions = limits.insertions != 0 ? limits.insertions
                   : g.records <= all_with_services
                       ? g.records
                       : all_with_services + (g.records - all_with_services) / 8;
    for (const std::uint32_t further : {g.aliases, g.chunks, g.insertions})
        if (further > ref_slot)
            return invalid("aliases", "aliases, chunks and insertions must be at most " +
                                          std::to_string(ref_slot));
    // Six of ten entries used when all is: chance then fills one main bucket in 24 beyond its ten.
    constexpr std::uint32_t least_overflow = 64;
    g.buckets = (g.records + g.aliases) / 6 + 1;
    g.overflow_buckets = g.buckets / 8 + least_overflow;

    g.slab_at = sizeof(ShardHeader);
    g.scope_at = round_up(g.slab_at + std::uint64_t{g.slabs} * sizeof(Slab), 64);
    g.bucket_at = g.scope_at + std::uint64_t{g.scopes} * sizeof(Scope);
    g.alias_at = g.bucket_at + (std::uint64_t{g.buckets} + g.overflow_buckets) * sizeof(Bucket);
    g.chunk_at = g.alias_at + std::uint64_t{g.aliases} * sizeof(Alias);
    g.insertion_at = g.chunk_at + std::uint64_t{g.chunks} * sizeof(Chunk);
    g.record_at = g.insertion_at + std::uint64_t{g.insertions} * sizeof(Insertion);
    g.bytes = g.record_at + std::uint64_t{g.records} * sizeof(FlowPair);
    return g;
}

// An entry from a list of free ones, or else one that was never used; no_index: none.
template <class Entry>
std::uint32_t take(Entry* entries, std::uint32_t& free, std::uint32_t& made, std::uint32_t count) {
    if (free == no_index && made < count) {
        entries[made] = Entry{};
        ordered();
        free = made++;
    }
    const std::uint32_t at = free;
    if (at != no_index) free = entries[at].next;
    return at;
}

// What a record says that has no insertion of its own.
InsertionDecision no_services(const FlowPair& pair, std::uint32_t revision) {
    InsertionDecision out;
    out.verdict = {ServiceVerdict::no_service, ServiceVerdict::no_service};
    out.initiator_call_point = pair.initiator_outside;
    out.revision = revision;
    return out;
}

Status usable(std::span<std::byte> memory, std::uint64_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % 64 != 0)
        return invalid("memory", "must be 64-byte aligned");
    if (memory.size() < bytes)
        return invalid("memory", "has " + std::to_string(memory.size()) + " bytes, needs " +
                                     std::to_string(bytes));
    return {};
}

}  // namespace

std::uint32_t checksum_of(const Alias& alias) {
    Alias plain = alias;
    plain.next = plain.checksum = 0;
    return fold(&plain, sizeof(plain), 2);
}

std::uint32_t checksum_of(const Chunk& chunk) {
    Chunk plain = chunk;
    plain.checksum = 0;
    return fold(&plain, sizeof(plain), 3);
}

std::uint32_t checksum_of(const Geometry& geometry) {
    static_assert(std::has_unique_object_representations_v<Geometry>);
    return fold(&geometry, sizeof(geometry), 4);
}

std::size_t Table::bytes_needed(const TableLimits& limits) {
    const Result<Geometry> geometry = geometry_for(limits, 0);
    return geometry ? geometry->bytes : 0;
}

Result<Table> Table::create(std::span<std::byte> memory, const TableLimits& limits,
                            std::uint32_t worker, Contents contents) {
    const Result<Geometry> wanted = geometry_for(limits, worker);
    if (!wanted) return wanted.error();
    const Geometry geometry = *wanted;
    if (Status status = usable(memory, geometry.bytes); !status) return status.error();

    auto* header = new (memory.data()) ShardHeader;
    ordered();
    header->geometry = geometry;
    header->checksum = checksum_of(geometry);
    header->views = 1;
    header->next_id = limits.first_id != 0 ? limits.first_id : id_by_clock();
    header->seed = limits.seed != 0 ? limits.seed : random_seed();
    Table table(memory.data(), geometry);
    header->free_slab_count = geometry.slabs;
    for (std::uint32_t i = 0; i < geometry.scopes; ++i) table.scopes_[i] = Scope{};
    if (contents != Contents::zero) table.index_.clear();
    table.wheel_.clear();
    ordered();
    header->magic = shard_magic;
    return table;
}

Result<Table> Table::view(std::span<std::byte> memory) {
    if (Status status = usable(memory, sizeof(ShardHeader)); !status) return status.error();
    const auto* header = reinterpret_cast<const ShardHeader*>(memory.data());
    if (header->magic != shard_magic)
        return Error{Errc::not_found, "flow shard", "magic",
                     "there is no flow shard in this memory"};
    if (header->checksum != checksum_of(header->geometry))
        return Error{Errc::invalid, "flow shard", "checksum", "the header is damaged"};
    const Geometry& g = header->geometry;
    if (g.layout != shard_layout_version || g.record_layout != record_layout_version)
        return Error{Errc::conflict, "flow shard", "layout",
                     "written in layout " + std::to_string(g.layout) + "." +
                         std::to_string(g.record_layout) + ", this build has " +
                         std::to_string(shard_layout_version) + "." +
                         std::to_string(record_layout_version)};
    if (Status status = usable(memory, g.bytes); !status) return status.error();
    return Table(memory.data(), g);
}

Result<Table> Table::attach(std::span<std::byte> memory) {
    Result<Table> found = view(memory);
    if (found) ++found->header_->views;
    return found;
}

Result<Table> Table::open(std::span<std::byte> memory, const TableLimits& limits,
                          std::uint32_t worker, AdoptReport* report, Contents contents) {
    const Result<Geometry> wanted = geometry_for(limits, worker);
    if (!wanted) return wanted.error();
    if (const Result<Table> there = view(memory); there && there->geometry() == *wanted)
        return adopt(memory, report);
    Result<Table> fresh = create(memory, limits, worker, contents);
    if (fresh && report != nullptr) {
        *report = AdoptReport{};
        report->created = true;
    }
    return fresh;
}

void Table::close() {
    ordered();
    if (--header_->views == 0) header_->clean = 1;
    header_ = nullptr;
}

// Scopes.

std::uint32_t Table::find_scope(std::string_view name) const {
    const std::uint32_t hash = name_hash(name);
    for (std::uint32_t i = 0; i < geometry().scopes; ++i) {
        const Scope* one = scope(i);
        if (one != nullptr && one->name_hash == hash && name == one->name) return i;
    }
    return no_index;
}

Result<std::uint32_t> Table::open_scope(std::string_view name, std::uint32_t wanted) {
    if (name.empty() || name.size() > limits::max_name_bytes)
        return invalid("scope",
                       "a name has 1 … " + std::to_string(limits::max_name_bytes) + " bytes");
    if (wanted != no_index && wanted >= geometry().scopes)
        return invalid("scope", "index " + std::to_string(wanted) + " is beyond the table's " +
                                    std::to_string(geometry().scopes));
    const std::uint32_t there = find_scope(name);
    if (there != no_index) {
        if (wanted == no_index || wanted == there) return there;
        return Error{Errc::conflict,
                     "scope/" + std::string(name),
                     {},
                     "is open as index " + std::to_string(there)};
    }
    std::uint32_t index = wanted != no_index ? wanted : 0;
    if (wanted == no_index)
        while (index < geometry().scopes && scopes_[index].state != ScopeState::free) ++index;
    if (index == geometry().scopes)
        return Error{Errc::limit, "scope/" + std::string(name), {}, "the scope table is full"};
    if (scopes_[index].state != ScopeState::free)
        return Error{Errc::conflict,
                     "scope/" + std::string(name),
                     {},
                     "index " + std::to_string(index) + " belongs to " + scopes_[index].name};

    Scope& scope = scopes_[index];
    scope.state = ScopeState::writing;
    ordered();
    const std::uint32_t incarnation = scope.incarnation + 1;
    scope = Scope{};
    scope.state = ScopeState::writing;
    scope.incarnation = incarnation;
    scope.name_hash = name_hash(name);
    std::memcpy(scope.name, name.data(), name.size());
    std::atomic_ref<std::uint32_t>(header_->open_scopes).fetch_add(1, std::memory_order_relaxed);
    std::atomic_ref<ScopeState>(scope.state).store(ScopeState::open, std::memory_order_release);
    return index;
}

void Table::close_scope(std::uint32_t index) {
    if (scope(index) == nullptr) return;
    for_each(index, [&](FlowPair& pair) {
        ++header_->stats.erased;
        remove(pair, Removal::scope_closed);
    });
    // All its records are dead: a kill from here on leaves an open, empty scope or none.
    std::atomic_ref<ScopeState>(scopes_[index].state)
        .store(ScopeState::free, std::memory_order_release);
    std::atomic_ref<std::uint32_t>(header_->open_scopes).fetch_sub(1, std::memory_order_relaxed);
}

std::uint32_t Table::owner(std::uint32_t index) const {
    if (scope(index) == nullptr) return 0;
    return std::atomic_ref<std::uint32_t>(scopes_[index].owner).load(std::memory_order_acquire);
}

void Table::set_owner(std::uint32_t index, std::uint32_t engine) {
    if (scope(index) == nullptr) return;
    std::atomic_ref<std::uint32_t>(scopes_[index].owner).store(engine, std::memory_order_release);
}

// Aliases and extensions.

bool Table::add_alias(FlowPair& pair, const net::Tuple& tuple, std::uint8_t direction,
                      std::uint32_t hash) {
    WEIR_CHECK(pair.live == record_live, "aliases belong to live records");
    if (const Hit hit = look({pair.key.scope, pair.key.vni, &tuple, hash})) {
        const bool ours = hit.pair == &pair && hit.direction == (direction & 1);
        header_->stats.refused_alias += !ours;
        return ours;
    }
    const std::uint32_t at =
        index_.has_room(place(pair.key, hash))
            ? take(aliases_, header_->free_aliases, header_->made_aliases, geometry().aliases)
            : no_index;
    if (at == no_index) {
        ++header_->stats.refused_alias;
        return false;
    }
    Alias& alias = aliases_[at];
    alias.tuple = tuple;
    alias.slot_direction = slot(pair) | std::uint32_t{direction & 1u} << 31;
    alias.hash = hash;
    alias.next = pair.aliases;
    Alias whole = alias;
    whole.owner_id = pair.id;
    alias.checksum = checksum_of(whole);
    ordered();
    alias.owner_id = pair.id;
    ordered();
    pair.aliases = at;
    ++header_->alias_count;
    index_.insert(place(pair.key, hash), alias_bit | ref_of(at, tuple));
    return true;
}

void Table::free_alias(std::uint32_t at) {
    Alias& alias = aliases_[at];
    const FlowPair& pair = records_[alias.slot()];
    alias.owner_id = 0;
    ordered();
    index_.erase(place(pair.key, alias.hash), alias_bit | ref_of(at, alias.tuple));
    alias.next = header_->free_aliases;
    header_->free_aliases = at;
    --header_->alias_count;
}

std::vector<std::uint8_t> Table::extension(const FlowPair& pair) const {
    std::vector<std::uint8_t> out;
    for (std::uint32_t i = pair.extension; i != no_index; i = chunks_[i].next)
        out.insert(out.end(), chunks_[i].bytes.begin(),
                   chunks_[i].bytes.begin() + chunks_[i].length);
    return out;
}

bool Table::set_extension(FlowPair& pair, std::span<const std::uint8_t> bytes) {
    free_extension(pair);
    std::uint32_t first = no_index;
    // From the back, so that each chunk knows its successor when its checksum is made.
    for (std::size_t end = bytes.size(); end > 0;) {
        const std::size_t length = (end - 1) % Chunk::capacity + 1;
        const std::uint32_t at =
            take(chunks_, header_->free_chunks, header_->made_chunks, geometry().chunks);
        if (at == no_index) {
            pair.extension = first;
            free_extension(pair);
            ++header_->stats.lost_extensions;
            return false;
        }
        Chunk& chunk = chunks_[at];
        chunk = Chunk{};
        chunk.next = first;
        chunk.length = static_cast<std::uint32_t>(length);
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(end - length), length,
                    chunk.bytes.begin());
        Chunk whole = chunk;
        whole.owner_id = pair.id;
        chunk.checksum = checksum_of(whole);
        ordered();
        chunk.owner_id = pair.id;
        first = at;
        end -= length;
    }
    ordered();
    pair.extension = first;
    return true;
}

void Table::free_extension(FlowPair& pair) {
    while (pair.extension != no_index) {
        const std::uint32_t at = pair.extension;
        pair.extension = chunks_[at].next;
        chunks_[at].owner_id = 0;
        chunks_[at].next = header_->free_chunks;
        header_->free_chunks = at;
    }
}

// Decisions of the service plane.

InsertionDecision Table::insertion(const FlowPair& pair) const {
    if (pair.insertion != no_index) return insertions_[pair.insertion].decision;
    if (pair.no_service_revision != 0) return no_services(pair, pair.no_service_revision);
    return {};
}

bool Table::set_insertion(FlowPair& pair, const InsertionDecision& value) {
    InsertionDecision plain = no_services(pair, value.revision);
    plain.failed_paths_generation = value.failed_paths_generation;
    if (value == InsertionDecision{} || value == plain) {
        set_no_services(pair, value.revision);
        return true;
    }
    if (pair.insertion == no_index) {
        const std::uint32_t at = take(insertions_, header_->free_insertions,
                                      header_->made_insertions, geometry().insertions);
        if (at == no_index) {
            ++header_->stats.refused_insertion;
            return false;
        }
        insertions_[at].decision = {};
        ordered();
        insertions_[at].owner_id = pair.id;
        pair.no_service_revision = 0;
        ordered();
        pair.insertion = at;
    }
    store_decision(insertions_[pair.insertion].decision, value);
    return true;
}

void Table::free_insertion(FlowPair& pair) {
    if (pair.insertion == no_index) return;
    const std::uint32_t at = pair.insertion;
    pair.insertion = no_index;
    ordered();
    insertions_[at].owner_id = 0;
    insertions_[at].next = header_->free_insertions;
    header_->free_insertions = at;
}

void Table::set_identity(FlowPair& pair, std::uint64_t id, std::uint64_t created_ns) {
    WEIR_CHECK(pair.live == record_live && pair.aliases == no_index && pair.extension == no_index &&
                   pair.insertion == no_index,
               "a record gets its identity before anything refers to it");
    pair.live = record_writing;
    ordered();
    pair.id = id;
    pair.created_ns = created_ns;
    pair.hot[1].of_pair = identity_of(pair);
    if (id >> 56 == geometry().worker)
        header_->next_id = std::max(header_->next_id, (id & (~std::uint64_t{0} >> 8)) + 1);
    ordered();
    pair.live = record_live;
}

}  // namespace weir::flow
