#pragma once
#include <bit>
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/prefetch.hpp"
#include "flow/layout.hpp"

namespace weir::flow {

// Where a key belongs in the index: 32 bits choose the bucket, 16 bits are the tag.
struct Place {
    std::uint32_t bucket_hash = 0;
    std::uint16_t tag = 0;  // never 0
};

// `hash` is the symmetric hash of a tuple, so both directions of a flow have one place. `seed` is
// the shard's secret: the hash of the tuple is public, and nobody outside may choose who shares a
// bucket.
inline std::uint64_t seed_of(std::uint64_t seed, std::uint32_t scope, std::uint32_t vni) {
    const std::uint64_t x = (seed ^ (std::uint64_t{scope} << 32 | vni)) * 0x9e3779b97f4a7c15u;
    return x ^ x >> 31;
}
inline Place place_of(std::uint64_t scope_seed, std::uint32_t hash) {
    hash += hash == 0;  // a record keeps no 0, see FlowPair::hash()
    std::uint64_t x = (scope_seed ^ hash) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 32) * 0xc4ceb9fe1a85ec53u;
    const auto tag = static_cast<std::uint16_t>(x);
    return {static_cast<std::uint32_t>(x >> 32), static_cast<std::uint16_t>(tag + (tag == 0))};
}
inline Place place_of(std::uint64_t seed, std::uint32_t scope, std::uint32_t vni,
                      std::uint32_t hash) {
    return place_of(seed_of(seed, scope, vni), hash);
}

// A hash index from Place to a reference (record slot, or alias). No key lives in it.
//
// Buckets of ten entries, six of them used when the table is full, with overflow buckets behind
// them; only the last of a row is ever partly filled, so how many a set of keys needs does not
// depend on its history. A row is at most max_row buckets long, which chance never makes it, so
// that a lookup costs a bounded number of cache lines whatever strangers send. Allocates nothing.
// After a crash it is cleared and filled again from the records.
class Index {
public:
    static constexpr std::uint32_t max_row = 8;

    Index() = default;
    Index(Bucket* buckets, ShardHeader* header)
        : buckets_(buckets),
          main_(header->geometry.buckets),
          overflow_(header->geometry.overflow_buckets),
          header_(header) {}

    void clear();

    // The main bucket, on its way into the cache.
    const Bucket* fetch(Place place) const {
        const Bucket* bucket = &main_bucket(place);
        prefetch(bucket);
        return bucket;
    }
    // The first entry with the tag; no_index: none.
    std::uint32_t first(const Bucket* bucket, std::uint16_t tag) const {
#if defined(__SSE2__)
        // Two bits for each of the first eight entries: buckets are seldom fuller.
        const int hits = _mm_movemask_epi8(
            _mm_cmpeq_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(bucket)),
                            _mm_set1_epi16(static_cast<short>(tag))));
        if (hits != 0) [[likely]]
            return bucket
                ->ref[static_cast<unsigned>(std::countr_zero(static_cast<std::uint32_t>(hits))) /
                      2];
#endif
        return first_of_row(bucket, tag);
    }

    // Calls `match(ref)` for each entry with the place's tag until one returns true.
    template <class Match>
    std::uint32_t find(Place place, Match&& match) const {
        const Bucket* bucket = &main_bucket(place);
        while (true) {
            for (std::uint32_t hits = hits_in(*bucket, place.tag); hits != 0; hits &= hits - 1) {
                const std::uint32_t ref =
                    bucket->ref[static_cast<unsigned>(std::countr_zero(hits))];
                if (match(ref)) return ref;
            }
            if (bucket->next == 0) [[likely]]
                return no_index;
            bucket = &buckets_[bucket->next];
        }
    }

    // False when the row is full, or nothing is left to make it longer; then nothing is inserted.
    bool has_room(Place place) const;
    bool insert(Place place, std::uint32_t ref);
    bool erase(Place place, std::uint32_t ref) {
        Bucket& bucket = main_bucket(place);
        return bucket.next == 0 ? erase_in(bucket, place, ref) : erase_in_row(place, ref);
    }

    // `ref` stands for the key from now on; false: `old` did not.
    bool replace(Place place, std::uint32_t old, std::uint32_t ref);

    // Insertion in two steps, for nearly all keys: where in its bucket a new one goes.
    // `unclear`: there are more buckets, no room, or an entry with the tag; ask the above.
    static constexpr std::uint32_t unclear = Bucket::entries;
    std::uint32_t seat(Place place) const {
        const Bucket& bucket = main_bucket(place);
        const bool clear = bucket.next == 0 && hits_in(bucket, place.tag) == 0;
        return clear ? count_of(bucket) : unclear;
    }
    // Whether both places are in one bucket, so that what is put at one moves the other's seat.
    bool share_bucket(Place a, Place b) const {
        return &main_bucket(a) == &main_bucket(b);
    }
    // Nothing has been inserted or erased in the bucket since seat().
    void put(Place place, std::uint32_t seat, std::uint32_t ref) {
        Bucket& bucket = main_bucket(place);
        bucket.tag[seat] = place.tag;
        bucket.ref[seat] = ref;
    }

    // Entries, counted one by one (tests).
    std::uint64_t count() const;

private:
    // Bit i: entry i has the tag.
    static std::uint32_t hits_in(const Bucket& bucket, std::uint16_t tag) {
#if defined(__SSE2__)
        const __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
        const auto* tags = reinterpret_cast<const std::uint8_t*>(bucket.tag.data());
        const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tags));
        const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tags + 4));
        // Lanes 0 … 7 of `low` are entries 0 … 7, lanes 6 and 7 of `high` are 8 and 9.
        const __m128i both = _mm_packs_epi16(_mm_cmpeq_epi16(low, wanted),
                                             _mm_srli_si128(_mm_cmpeq_epi16(high, wanted), 12));
        return static_cast<std::uint32_t>(_mm_movemask_epi8(both));
#else
        std::uint32_t hits = 0;
        for (std::uint32_t i = 0; i < Bucket::entries; ++i)
            hits |= static_cast<std::uint32_t>(bucket.tag[i] == tag) << i;
        return hits;
#endif
    }
    static std::uint32_t count_of(const Bucket& bucket) {
        // Packed entries: the first empty one is the count.
        return static_cast<std::uint32_t>(
            std::countr_zero(hits_in(bucket, 0) | 1u << Bucket::entries));
    }
    // The only bucket of a row: its last entry fills the hole.
    static bool erase_in(Bucket& bucket, Place place, std::uint32_t ref) {
        for (std::uint32_t hits = hits_in(bucket, place.tag); hits != 0; hits &= hits - 1) {
            const auto at = static_cast<std::uint32_t>(std::countr_zero(hits));
            if (bucket.ref[at] != ref) continue;
            const std::uint32_t tail = count_of(bucket) - 1;
            bucket.tag[at] = bucket.tag[tail];
            bucket.ref[at] = bucket.ref[tail];
            bucket.tag[tail] = 0;
            bucket.ref[tail] = 0;
            return true;
        }
        return false;
    }
    bool erase_in_row(Place place, std::uint32_t ref);
    std::uint32_t first_of_row(const Bucket* bucket, std::uint16_t tag) const;
    Bucket& main_bucket(Place place) const {
        return buckets_[std::uint64_t{place.bucket_hash} * main_ >> 32];
    }
    bool can_make() const {
        return header_->free_buckets != 0 || header_->made_buckets < overflow_;
    }
    std::uint32_t make();

    Bucket* buckets_ = nullptr;
    std::uint32_t main_ = 0, overflow_ = 0;
    ShardHeader* header_ = nullptr;
};

}  // namespace weir::flow
