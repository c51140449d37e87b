// Taking over a shard that another process left. What counts after a crash: which scopes are open,
// which slab belongs to which scope, and which records and aliases are live and whole. Everything
// else is made anew from these.
#include <algorithm>

#include "flow/table.hpp"

namespace weir::flow {

std::uint32_t checksum_of(const Alias& alias);
std::uint32_t checksum_of(const Chunk& chunk);

struct TableAdopter {
    Table& table;
    AdoptReport& report;
    ShardHeader& header = *table.header_;
    const Geometry& geometry = table.header_->geometry;

    void run() {
        report.rebuilt = true;
        reset();
        cut_partners();
        for (std::uint32_t slab = 0; slab < header.made_slabs; ++slab) adopt_slab(slab);
        adopt_aliases();
        adopt_extensions();
        adopt_insertions();
    }

    void reset() {
        header.open_scopes = 0;
        for (std::uint32_t i = 0; i < geometry.scopes; ++i) reset_scope(table.scopes_[i]);
        header.live = header.alias_count = 0;
        header.made_slabs = std::min(header.made_slabs, geometry.slabs);
        header.made_aliases = std::min(header.made_aliases, geometry.aliases);
        header.made_chunks = std::min(header.made_chunks, geometry.chunks);
        header.made_insertions = std::min(header.made_insertions, geometry.insertions);
        header.free_slabs = no_index;
        header.free_slab_count = geometry.slabs - header.made_slabs;
        header.reclaim_hand = 0;
        header.burst = 0;
        header.stats.records.fill(0);
        table.index_.clear();
        table.wheel_.clear();
        if (header.next_id == 0 || header.next_id >> 56 != 0) header.next_id = 1;
    }

    // Ids and time go on from the records, whatever the header says.
    void follow(const FlowPair& pair) {
        if (pair.id >> 56 == geometry.worker)
            header.next_id = std::max(header.next_id, (pair.id & (~std::uint64_t{0} >> 8)) + 1);
        header.wheel.tick =
            std::min(header.wheel.tick, last_seen_ns(pair) >> WheelState::tick_shift);
    }

    // Those that follow get lines of their own while both are there.
    void cut_partners() {
        const std::uint32_t made = header.made_slabs * slab_records;
        for (std::uint32_t i = 0; i < made; ++i) {
            FlowPair& pair = table.records_[i];
            if (pair.live != record_live || (pair.partner & partner_follows) == 0) continue;
            const FlowPair* leader = table.at(pair.partner & partner_slot);
            if (leader != nullptr && is_led_by(pair, *leader, i)) {
                Table::take_truth(pair, *leader);
                continue;
            }
            ++report.torn;  // being made, or about to go with the other
            pair.live = record_free;
        }
        for (std::uint32_t i = 0; i < made; ++i) {
            FlowPair& pair = table.records_[i];
            if (Table::leads(pair)) Table::stop_leading(pair);
            pair.partner = 0;
        }
    }

    bool is_led_by(const FlowPair& pair, const FlowPair& leader, std::uint32_t slot) const {
        return leader.live == record_live && whole(leader, leader.key.scope) &&
               (leader.partner & (partner_slot | partner_leads)) == (slot | partner_leads) &&
               leader.key.tuple == pair.key.tuple;
    }

    void reset_scope(Scope& scope) {
        if (scope.state != ScopeState::open && scope.state != ScopeState::free) {
            scope.state = ScopeState::free;
            ++report.closed_scopes;
        }
        header.open_scopes += scope.state == ScopeState::open;
        scope.slabs = scope.open_slabs = no_index;
        scope.slab_count = scope.records = scope.half_open = 0;
        scope.oldest.fill(no_index);
        scope.youngest.fill(no_index);
        scope.name[sizeof(scope.name) - 1] = 0;
    }

    bool whole(const FlowPair& pair, std::uint32_t scope) const {
        return pair.identity_checksum() == identity_of(pair) && pair.key.scope == scope &&
               pair.tcp < TcpState::count_ && pair.nonce != 0;
    }

    // Frees what is not whole; true if anything is left.
    bool sift_slab(std::uint32_t slab) {
        const std::uint32_t scope = table.slabs_[slab].scope;
        const bool owned = scope != no_index && table.scope(scope) != nullptr;
        bool any = false;
        for (std::uint32_t i = 0; i < slab_records; ++i) {
            FlowPair& pair = table.records_[slab * slab_records + i];
            if (pair.live == record_live && owned && whole(pair, scope)) {
                any = true;
                follow(pair);
                continue;
            }
            report.torn += pair.live == record_writing;
            report.corrupt += pair.live == record_live || pair.live > record_live;
            pair.live = record_free;
            ordered();  // the hash is part of what makes it whole
            pair.hot[0].of_pair = 0;
        }
        return any;
    }

    void adopt_slab(std::uint32_t slab) {
        const bool any = sift_slab(slab);
        Slab& entry = table.slabs_[slab];
        Slab fresh;
        fresh.free = whole_slab_free;
        fresh.scope = any ? entry.scope : no_index;  // never lost on the way: adoption may die too
        entry = fresh;
        if (!any) {
            entry.open_next = header.free_slabs;
            header.free_slabs = slab;
            ++header.free_slab_count;
            return;
        }
        table.slab_link(slab);
        table.open_link(slab);
        for (std::uint32_t i = 0; i < slab_records; ++i) {
            FlowPair& pair = table.records_[slab * slab_records + i];
            if (pair.live == record_live) adopt_record(pair);
        }
        // Duplicates may have left nothing.
        if (entry.free == whole_slab_free) table.give_back_slab(slab);
    }

    void adopt_record(FlowPair& pair) {
        const Key& key = pair.key;
        if (table.look({key.scope, key.vni, &key.tuple, pair.hash()}) ||
            !table.index_.has_room(table.place(key, pair.hash()))) {
            ++report.duplicate;
            pair.live = record_free;
            ordered();  // the hash is part of what makes it whole
            pair.hot[0].of_pair = 0;
            return;
        }
        pair.aliases = no_index;  // found again below; the extension is checked there
        pair.kind_next = pair.kind_previous = pair.timer_next = pair.timer_previous = no_index;
        pair.timer_armed = 0;
        pair.condemned = 0;
        // Its own idle time, unless the kill fell between a new state and its time.
        const bool timed = pair.hot[0].idle_ms != 0 && pair.hot[0].kind == kind_of(pair);
        const std::uint32_t idle_ms = timed ? pair.hot[0].idle_ms : default_timeouts.idle_ms(pair);
        for (Hot& hot : pair.hot) {
            hot.burst = 0;
            hot.scope = static_cast<std::uint16_t>(key.scope);
            hot.idle_ms = idle_ms;
        }
        table.link_record(pair);
        table.index_.insert(table.place(pair.key, pair.hash()),
                            ref_of(table.slot(pair), pair.key.tuple));
        ++report.adopted;
    }

    void adopt_aliases() {
        header.free_aliases = no_index;
        for (std::uint32_t i = 0; i < header.made_aliases; ++i) {
            Alias& alias = table.aliases_[i];
            FlowPair* pair = table.at(alias.slot());
            const bool ours = alias.owner_id != 0 && alias.checksum == checksum_of(alias) &&
                              pair != nullptr && pair->live == record_live &&
                              pair->id == alias.owner_id;
            if (ours && table.index_.has_room(table.place(pair->key, alias.hash)) &&
                !table.look({pair->key.scope, pair->key.vni, &alias.tuple, alias.hash})) {
                alias.next = pair->aliases;
                pair->aliases = i;
                ++header.alias_count;
                ++report.aliases;
                table.index_.insert(table.place(pair->key, alias.hash),
                                    alias_bit | ref_of(i, alias.tuple));
                continue;
            }
            report.lost_aliases += alias.owner_id != 0;
            alias.owner_id = 0;
            alias.next = header.free_aliases;
            header.free_aliases = i;
        }
    }

    // A chain of chunks is kept if every one of it belongs to the record and none occurs twice.
    bool whole_extension(const FlowPair& pair) const {
        std::uint32_t seen = 0;
        for (std::uint32_t i = pair.extension; i != no_index; i = table.chunks_[i].next) {
            if (i >= header.made_chunks || ++seen > header.made_chunks) return false;
            const Chunk& chunk = table.chunks_[i];
            if (chunk.owner_id != pair.id || chunk.length > Chunk::capacity ||
                chunk.checksum != checksum_of(chunk))
                return false;
        }
        return true;
    }

    void adopt_extensions() {
        for (std::uint32_t i = 0; i < header.made_chunks; ++i) table.chunks_[i].reserved = 0;
        for (std::uint32_t i = 0; i < header.made_slabs * slab_records; ++i) {
            FlowPair& pair = table.records_[i];
            if (pair.live != record_live || pair.extension == no_index) continue;
            if (!whole_extension(pair)) {
                pair.extension = no_index;
                ++report.lost_extensions;
                continue;
            }
            for (std::uint32_t at = pair.extension; at != no_index; at = table.chunks_[at].next)
                table.chunks_[at].reserved = 1;
        }
        header.free_chunks = no_index;
        for (std::uint32_t i = 0; i < header.made_chunks; ++i) {
            Chunk& chunk = table.chunks_[i];
            const bool used = chunk.reserved == 1;
            chunk.reserved = 0;
            if (used) continue;
            chunk.owner_id = 0;
            chunk.next = header.free_chunks;
            header.free_chunks = i;
        }
    }

    // An insertion is kept if its record names it and it names its record.
    void adopt_insertions() {
        Insertion* const all = table.insertions_;
        for (std::uint32_t i = 0; i < header.made_insertions; ++i) all[i].reserved = 0;
        for (std::uint32_t i = 0; i < header.made_slabs * slab_records; ++i) {
            FlowPair& pair = table.records_[i];
            if (pair.live != record_live || pair.insertion == no_index) continue;
            if (pair.insertion < header.made_insertions &&
                all[pair.insertion].owner_id == pair.id) {
                all[pair.insertion].reserved = 1;
                pair.no_service_revision = 0;
                continue;
            }
            pair.insertion = no_index;
            ++report.lost_insertions;
        }
        header.free_insertions = no_index;
        for (std::uint32_t i = 0; i < header.made_insertions; ++i) {
            const bool used = all[i].reserved == 1;
            all[i].reserved = 0;
            if (used) continue;
            all[i].owner_id = 0;
            all[i].next = header.free_insertions;
            header.free_insertions = i;
        }
    }
};

Result<Table> Table::adopt(std::span<std::byte> memory, AdoptReport* report) {
    Result<Table> found = view(memory);
    if (!found) return found;
    AdoptReport ignored;
    AdoptReport& result = report != nullptr ? *report : ignored;
    result = AdoptReport{};
    Table& table = *found;
    const bool clean = table.header_->clean == 1;
    table.header_->clean = 0;
    table.header_->views = 1;
    ordered();
    if (clean) {
        result.adopted = table.header_->live;
        result.aliases = table.header_->alias_count;
        table.header_->burst = 0;
    } else {
        TableAdopter{table, result}.run();
    }
    return found;
}

}  // namespace weir::flow
