#pragma once
#include <bit>
#include <cstddef>
#include <cstring>
#if defined(__SSE4_1__)
#include <smmintrin.h>
#endif

#include "base/prefetch.hpp"
#include "flow/table.hpp"
#include "net/wire.hpp"

// The look-up, step by step, for who works on a burst and does other things in between.
namespace weir::flow {

namespace detail {

inline std::uint64_t word_at(const void* at, std::size_t offset) {
    std::uint64_t value;
    std::memcpy(&value, static_cast<const std::byte*>(at) + offset, sizeof value);
    return value;
}

// Of one tuple's addresses and, turned, those of the other, whether both are the same. `turn`: 0,
// or 16 for turned. Which way is asked for changes with every packet, so it moves addresses and
// takes no branch.
inline bool same_addresses(const net::Tuple& stored, const net::Tuple& tuple, std::size_t turn) {
#if defined(__SSE4_1__)
    const auto load = [](const void* at, std::size_t offset) {
        return _mm_loadu_si128(
            reinterpret_cast<const __m128i*>(static_cast<const std::byte*>(at) + offset));
    };
    const __m128i differs = _mm_or_si128(_mm_xor_si128(load(&stored, 0), load(&tuple, turn)),
                                         _mm_xor_si128(load(&stored, 16), load(&tuple, 16 - turn)));
    return _mm_testz_si128(differs, differs) != 0;
#else
    return ((word_at(&stored, 0) ^ word_at(&tuple, turn)) |
            (word_at(&stored, 8) ^ word_at(&tuple, turn + 8)) |
            (word_at(&stored, 16) ^ word_at(&tuple, 16 - turn)) |
            (word_at(&stored, 24) ^ word_at(&tuple, 24 - turn))) == 0;
#endif
}

// Whether `tuple`, or its reverse, is `stored`. `reversed`: 0 or 1.
inline bool same(const net::Tuple& stored, const net::Tuple& tuple, std::size_t reversed) {
    static_assert(sizeof(net::Tuple) == 40 && offsetof(net::Tuple, dst) == 16 &&
                  offsetof(net::Tuple, src_port) == 32);
    const std::size_t turn = reversed * 16;
    const std::uint64_t rest = word_at(&tuple, 32);
    const auto ports = static_cast<std::uint32_t>(rest);
    const std::uint64_t turned = (rest ^ ports) | std::rotl(ports, static_cast<int>(turn));
    return word_at(&stored, 32) == turned && same_addresses(stored, tuple, turn);
}

}  // namespace detail

// Which way the tuple runs in relation to the stored one tells the direction before either is
// compared.
inline Table::Hit Table::match(std::uint32_t ref, const Query& query, bool upward) const {
    const bool is_alias = (ref & alias_bit) != 0;
    const bool turned = ((ref & upward_bit) != 0) != upward;
    const Alias* alias = is_alias ? &aliases_[ref & ref_slot] : nullptr;
    FlowPair& there = records_[is_alias ? alias->slot() : ref & ref_slot];
    const bool follows = !is_alias && (ref & follower_bit) != 0;
    FlowPair& pair = follows ? partner_of(there) : there;
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

inline void Table::begin(Probe& probe, std::uint64_t seed, std::uint32_t hash) const {
    const Place place = place_of(seed, hash);
    probe.bucket = index_.fetch(place);
    probe.tag = place.tag;
}

// The first entry with the right tag is nearly always the one. An alias is found as nobody's and
// looked for again.
inline void Table::fetch(const Probe& probe, bool upward, bool both, Hit& hit) const {
    const std::uint32_t ref = index_.first(probe.bucket, probe.tag);
    if (static_cast<std::int32_t>(ref) < 0) [[unlikely]] {
        static_assert((no_index & alias_bit) != 0);
        hit.pair = nullptr;
        hit.direction = ref == no_index ? 0 : unsure;
        if (ref != no_index) prefetch(&aliases_[ref & ref_slot]);
        return;
    }
    const unsigned direction = (ref / upward_bit) ^ (upward ? 1u : 0u);
    FlowPair* pair = &records_[ref & ref_slot];
    prefetch(&pair->key);
    prefetch(&pair->hot[direction]);
    if (both) prefetch(&pair->hot[direction ^ 1]);
    hit.pair = pair;
    hit.direction = static_cast<std::uint8_t>(direction);
}

inline bool Table::confirm(Hit hit, std::uint32_t scope, std::uint32_t vni,
                           const net::Tuple& tuple) {
    // It may be gone since fetch(): another flow needed its room.
    if (hit.pair == nullptr || hit.pair->live != record_live) [[unlikely]]
        return false;
    // Of a follower's scope the leader knows no VNI; the place in the index stands for it.
    const FlowPair& pair = *hit.pair;
    Hot& hot = hit.pair->hot[hit.direction];
    if (hot.scope != scope || (pair.key.vni != vni && pair.partner == 0) ||
        !detail::same(pair.key.tuple, tuple, hit.direction)) [[unlikely]]
        return false;
    hot.burst = header_->burst;
    return true;
}

}  // namespace weir::flow
