// Every invariant of a shard, looked at one by one. Slow; for tests and for operators in doubt.
#include <bit>
#include <string>
#include <vector>

#include "flow/table.hpp"
#include "flow/tcp_quick.hpp"
#include "net/wire.hpp"

namespace weir::flow {

std::uint32_t checksum_of(const Alias& alias);

struct TableChecker {
    const Table& table;
    const ShardHeader& header = *table.header_;
    const Geometry& geometry = table.header_->geometry;
    std::vector<std::uint8_t> seen_slab = std::vector<std::uint8_t>(geometry.slabs);
    std::vector<std::uint8_t> seen_kind = std::vector<std::uint8_t>(geometry.records);
    std::vector<std::uint8_t> seen_timer = std::vector<std::uint8_t>(geometry.records);
    std::vector<std::uint8_t> seen_alias = std::vector<std::uint8_t>(geometry.aliases);
    std::vector<std::uint8_t> seen_chunk = std::vector<std::uint8_t>(geometry.chunks);
    std::vector<std::uint8_t> seen_insertion = std::vector<std::uint8_t>(geometry.insertions);
    const std::uint32_t made_records = header.made_slabs * slab_records;
    std::string broken = {};  // the first one

    bool require(bool holds, const char* what, std::uint64_t number) {
        if (!holds && broken.empty()) broken = what + (" (" + std::to_string(number) + ")");
        return holds;
    }

    void run() {
        free_slabs();
        std::uint32_t open = 0;
        for (std::uint32_t i = 0; i < geometry.scopes; ++i) {
            if (table.scope(i) == nullptr) continue;
            ++open;
            scope(i);
        }
        require(open == header.open_scopes, "open scopes are counted", open);
        for (std::uint32_t i = 0; i < header.made_slabs; ++i)
            require(seen_slab[i] == 1, "each slab is in exactly one list", i);
        timers();
        records();
        aliases();
        chunks();
        insertions();
        require(table.index_.count() == std::uint64_t{header.live} + header.alias_count,
                "the index holds records and aliases, each once", table.index_.count());
    }

    void free_slabs() {
        std::uint32_t count = 0;
        for (std::uint32_t i = header.free_slabs; i != no_index; i = table.slabs_[i].open_next) {
            if (!require(i < header.made_slabs && ++count <= geometry.slabs, "free slab list", i))
                return;
            ++seen_slab[i];
            require(table.slabs_[i].scope == no_index, "a free slab has no scope", i);
        }
        require(count + (geometry.slabs - header.made_slabs) == header.free_slab_count,
                "free slabs are counted", count);
    }

    void scope(std::uint32_t index) {
        const Scope& scope = table.scopes_[index];
        std::uint32_t slabs = 0, records = 0, with_room = 0, open = 0;
        std::uint32_t previous = no_index;
        for (std::uint32_t i = scope.slabs; i != no_index; i = table.slabs_[i].next) {
            if (!require(i < geometry.slabs && ++slabs <= geometry.slabs, "slab list", i)) return;
            const Slab& slab = table.slabs_[i];
            ++seen_slab[i];
            require(slab.scope == index, "a slab is in the list of its scope", i);
            require(slab.previous == previous, "slab links fit", i);
            previous = i;
            records += slab_records - static_cast<std::uint32_t>(std::popcount(slab.free));
            require(slab.free != whole_slab_free, "an empty slab goes back", i);
            with_room += slab.free != 0;
        }
        for (std::uint32_t i = scope.open_slabs; i != no_index; i = table.slabs_[i].open_next) {
            if (!require(i < geometry.slabs && ++open <= slabs, "open slab list", i)) return;
            require(table.slabs_[i].scope == index && table.slabs_[i].free != 0,
                    "an open slab has room and is of the scope", i);
        }
        require(slabs == scope.slab_count, "slabs of a scope are counted", index);
        require(open == with_room, "every slab with room is in the open list", index);
        require(records == scope.records, "records of a scope are counted", index);
        for (Kind kind : {Kind::half_open, Kind::closing, Kind::other}) kinds(index, kind);
    }

    void kinds(std::uint32_t index, Kind kind) {
        const Scope& scope = table.scopes_[index];
        const std::size_t queue = queue_of(kind);
        std::uint32_t previous = no_index, count = 0;
        for (std::uint32_t i = scope.oldest[queue]; i != no_index;
             i = table.records_[i].kind_next) {
            if (!require(i < geometry.records && ++count <= geometry.records, "kind list", i))
                return;
            const FlowPair& pair = table.records_[i];
            ++seen_kind[i];
            const FlowPair& truth = table.truth_of(pair);
            require(pair.live == record_live && pair.key.scope == index &&
                        truth.hot[0].kind == kind && truth.hot[1].kind == kind &&
                        pair.kind_previous == previous,
                    "a record is in the list of its scope and kind", i);
            previous = i;
        }
        require(scope.youngest[queue] == previous, "the youngest ends the list", index);
        require(kind != Kind::half_open || count == scope.half_open,
                "half-open records of a scope are counted", index);
    }

    void timers() {
        for (unsigned level = 0; level < WheelState::levels; ++level) {
            for (unsigned slot = 0; slot < WheelState::slots; ++slot) {
                const std::uint32_t head = header.wheel.head[level][slot];
                const bool occupied = (header.wheel.occupied[level] >> slot & 1) != 0;
                require(occupied == (head != no_index), "a timer slot's bit", slot);
                std::uint32_t previous = no_index;
                for (std::uint32_t i = head; i != no_index; i = table.records_[i].timer_next) {
                    if (!require(i < geometry.records && ++seen_timer[i] == 1, "timer list", i))
                        return;
                    const FlowPair& pair = table.records_[i];
                    require(pair.timer_armed != 0 && pair.timer_previous == previous &&
                                pair.timer_slot == level * WheelState::slots + slot,
                            "timer links fit", i);
                    previous = i;
                }
            }
        }
    }

    void records() {
        std::uint32_t live = 0;
        std::array<std::uint64_t, static_cast<std::size_t>(Kind::count_)> kinds{};
        for (std::uint32_t i = 0; i < made_records; ++i) {
            const FlowPair& pair = table.records_[i];
            const Slab& slab = table.slabs_[i / slab_records];
            const bool taken = (slab.free >> i % slab_records & 1) == 0;
            require(taken == (pair.live == record_live), "a slab knows its live records", i);
            require(seen_timer[i] == (taken && pair.timer_armed != 0), "a timer is armed", i);
            if (!taken) continue;
            ++live;
            require(partner_fits(pair, i), "fused records name each other", i);
            if (!broken.empty()) return;  // the next ones trust in that
            const FlowPair& truth = table.truth_of(pair);
            require(pair.timer_armed != 0 || (&truth != &pair && has_one_idle_time(truth)),
                    "each live record has a timer, or goes with another", i);
            ++kinds[static_cast<std::size_t>(truth.hot[0].kind)];
            require(seen_kind[i] == (truth.hot[0].kind != Kind::established),
                    "each record that may be evicted is in one list", i);
            require(
                (pair.partner & partner_bare) != 0 || pair.identity_checksum() == identity_of(pair),
                "an identity is whole", i);
            require(pair.key.scope == slab.scope, "a record is in a slab of its scope", i);
            require(truth.hash() != 0, "a live record has a hash", i);
            require(found(pair, truth.hash(), i), "both directions are found", i);
        }
        require(live == header.live, "live records are counted", live);
        require(kinds == header.stats.records, "kinds are counted", live);
    }

    static bool has_one_idle_time(const FlowPair& leader) {
        return leader.hot[0].idle_ms == leader.hot[1].idle_ms;
    }

    bool partner_fits(const FlowPair& pair, std::uint32_t slot) const {
        const auto lines_are_of = [&](std::uint32_t first, std::uint32_t second) {
            return pair.hot[0].scope == first && pair.hot[1].scope == second;
        };
        if (pair.partner == 0) return lines_are_of(pair.key.scope, pair.key.scope);
        const std::uint32_t at = pair.partner & partner_slot;
        if (at >= made_records || (pair.partner & partner_changing) != 0) return false;
        const FlowPair& other = table.records_[at];
        const std::uint32_t role = pair.partner & (partner_leads | partner_follows);
        const std::uint32_t other_role = other.partner & (partner_leads | partner_follows);
        if (other.live != record_live || (other.partner & partner_slot) != slot ||
            std::popcount(role) != 1 || (role | other_role) != (partner_leads | partner_follows) ||
            !(other.key.tuple == pair.key.tuple))
            return false;
        if (role == partner_follows) return true;
        const bool moving = pair.key.tuple.proto == net::proto_tcp &&
                            !is_steady(pair.tcp, pair.hot[0], pair.hot[1]);
        return ((pair.partner & partner_moving) != 0) == moving &&
               lines_are_of(pair.key.scope, other.key.scope);
    }

    bool found(const FlowPair& pair, std::uint32_t hash, std::uint32_t slot) const {
        const net::Tuple reversed = pair.key.tuple.reversed();
        const auto forward = table.look({pair.key.scope, pair.key.vni, &pair.key.tuple, hash});
        const auto back = table.look({pair.key.scope, pair.key.vni, &reversed, hash});
        const bool loop = reversed == pair.key.tuple;
        return forward.pair == &table.records_[slot] && back.pair == forward.pair &&
               forward.direction == 0 && back.direction == (loop ? 0 : 1);
    }

    void aliases() {
        std::uint32_t used = 0, unused = 0;
        for (std::uint32_t i = 0; i < made_records; ++i) {
            const FlowPair& pair = table.records_[i];
            if (pair.live != record_live) continue;
            for (std::uint32_t at = pair.aliases; at != no_index; at = table.aliases_[at].next) {
                if (!require(at < geometry.aliases && ++seen_alias[at] == 1, "alias list", at))
                    return;
                ++used;
                const Alias& alias = table.aliases_[at];
                require(alias.owner_id == pair.id && alias.slot() == i &&
                            alias.checksum == checksum_of(alias),
                        "an alias belongs to its record", at);
                const auto hit =
                    table.look({pair.key.scope, pair.key.vni, &alias.tuple, alias.hash});
                require(hit.pair == &pair && hit.direction == alias.direction(),
                        "an alias is found", at);
            }
        }
        for (std::uint32_t at = header.free_aliases; at != no_index; at = table.aliases_[at].next) {
            if (!require(at < geometry.aliases && ++seen_alias[at] == 1, "free alias list", at))
                return;
            ++unused;
            require(table.aliases_[at].owner_id == 0, "a free alias has no owner", at);
        }
        require(used == header.alias_count, "aliases are counted", used);
        require(used + unused == header.made_aliases, "no alias is lost", unused);
    }

    void chunks() {
        std::uint32_t total = 0;
        for (std::uint32_t i = 0; i < made_records; ++i) {
            const FlowPair& pair = table.records_[i];
            if (pair.live != record_live) continue;
            for (std::uint32_t at = pair.extension; at != no_index; at = table.chunks_[at].next) {
                if (!require(at < geometry.chunks && ++seen_chunk[at] == 1, "chunk list", at))
                    return;
                ++total;
                require(table.chunks_[at].owner_id == pair.id, "a chunk belongs to its record", at);
            }
        }
        for (std::uint32_t at = header.free_chunks; at != no_index; at = table.chunks_[at].next) {
            if (!require(at < geometry.chunks && ++seen_chunk[at] == 1, "free chunk list", at))
                return;
            ++total;
        }
        require(total == header.made_chunks, "no chunk is lost", total);
    }

    void insertions() {
        std::uint32_t total = 0;
        for (std::uint32_t i = 0; i < made_records; ++i) {
            const FlowPair& pair = table.records_[i];
            const std::uint32_t at = pair.insertion;
            if (pair.live != record_live || at == no_index) continue;
            if (!require(at < geometry.insertions && ++seen_insertion[at] == 1, "insertion", at))
                return;
            ++total;
            require(table.insertions_[at].owner_id == pair.id && pair.no_service_revision == 0,
                    "an insertion belongs to its record", at);
        }
        for (std::uint32_t at = header.free_insertions; at != no_index;
             at = table.insertions_[at].next) {
            if (!require(at < geometry.insertions && ++seen_insertion[at] == 1,
                         "free insertion list", at))
                return;
            ++total;
            require(table.insertions_[at].owner_id == 0, "a free insertion has no owner", at);
        }
        require(total == header.made_insertions, "no insertion is lost", total);
    }
};

Status Table::check() const {
    TableChecker checker{*this};
    checker.run();
    if (checker.broken.empty()) return {};
    return Error{Errc::internal, "flow shard/" + std::to_string(worker()), {}, checker.broken};
}

}  // namespace weir::flow
