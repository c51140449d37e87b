#pragma once
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/prefetch.hpp"
#include "flow/table.hpp"
#include "net/wire.hpp"

// The look-up, step by step, for who works on a burst and does other things in between.
namespace weir::flow {

namespace detail {

// Whether `tuple`, or its reverse, is `stored`. Which way is asked for changes with every packet,
// so it moves addresses and takes no branch.
inline bool same(const net::Tuple& stored, const net::Tuple& tuple, bool reversed) {
    static_assert(sizeof(net::Tuple) == 40 && offsetof(net::Tuple, dst) == 16 &&
                  offsetof(net::Tuple, src_port) == 32);
    const auto word = [](const void* at, std::size_t offset) {
        std::uint64_t value;
        std::memcpy(&value, static_cast<const std::byte*>(at) + offset, sizeof value);
        return value;
    };
    const std::size_t first = reversed ? 16 : 0, second = 16 - first;
    const std::uint64_t rest = word(&tuple, 32);
    const auto ports = static_cast<std::uint32_t>(rest);
    const std::uint64_t turned = (rest ^ ports) | std::rotl(ports, static_cast<int>(first));
    return ((word(&stored, 0) ^ word(&tuple, first)) |
            (word(&stored, 8) ^ word(&tuple, first + 8)) |
            (word(&stored, 16) ^ word(&tuple, second)) |
            (word(&stored, 24) ^ word(&tuple, second + 8)) | (word(&stored, 32) ^ turned)) == 0;
}

}  // namespace detail

// Which way the tuple runs in relation to the stored one tells the direction before either is
// compared.
inline Table::Hit Table::match(std::uint32_t ref, const Query& query, bool upward) const {
    const bool is_alias = (ref & alias_bit) != 0;
    const bool turned = ((ref & upward_bit) != 0) != upward;
    const Alias* alias = is_alias ? &aliases_[ref & ref_slot] : nullptr;
    FlowPair& pair = records_[is_alias ? alias->slot() : ref & ref_slot];
    if (pair.key.scope != query.scope || pair.key.vni != query.vni) return {};
    if (!detail::same(is_alias ? alias->tuple : pair.key.tuple, *query.tuple, turned)) return {};
    const unsigned direction = (is_alias ? alias->direction() : 0u) ^ (turned ? 1u : 0u);
    return {&pair, static_cast<std::uint8_t>(direction)};
}

inline Table::Hit Table::look(const Query& query, Place place, bool upward) const {
    Hit hit;
    index_.find(place, [&](std::uint32_t ref) {
        hit = match(ref, query, upward);
        return hit.pair != nullptr;
    });
    return hit;
}

inline void Table::mark(Hit hit) {
    if (hit.pair != nullptr) hit.pair->hot[hit.direction].burst = header_->burst;
}

inline void Table::begin(Probe& probe, std::uint64_t seed, const net::Tuple& tuple,
                         std::uint32_t hash) const {
    const Place place = place_of(seed, hash);
    probe.bucket = index_.fetch(place);
    probe.tag = place.tag;
    probe.upward = net::runs_upward(tuple);
}

// The first entry with the right tag is nearly always the one.
inline void Table::fetch(Probe& probe, bool both) const {
    probe.ref = index_.first(probe.bucket, probe.tag);
    if (probe.ref == no_index) [[unlikely]]
        return;
    if ((probe.ref & alias_bit) != 0) [[unlikely]] {
        prefetch(&aliases_[probe.ref & ref_slot]);
        return;
    }
    const FlowPair& pair = records_[probe.ref & ref_slot];
    prefetch(&pair.key);
    const unsigned direction = ((probe.ref & upward_bit) != 0) != probe.upward ? 1 : 0;
    prefetch(&pair.hot[direction]);
    if (both) prefetch(&pair.hot[direction ^ 1]);
}

inline Table::Hit Table::answer(const Probe& probe, std::uint32_t scope, std::uint32_t vni,
                                const net::Tuple& tuple, std::uint32_t hash) {
    if (probe.ref == no_index) [[unlikely]]
        return {};
    FlowPair& pair = records_[probe.ref & ref_slot];
    const bool turned = ((probe.ref & upward_bit) != 0) != probe.upward;
    if ((probe.ref & alias_bit) == 0 && pair.key.scope == scope && pair.key.vni == vni &&
        detail::same(pair.key.tuple, tuple, turned)) [[likely]] {
        pair.hot[turned].burst = header_->burst;
        return {&pair, turned};
    }
    const Hit hit = look({scope, vni, &tuple, hash});
    mark(hit);
    return hit;
}

}  // namespace weir::flow
