#pragma once
#include <bit>
#include <cstdint>

#include "flow/layout.hpp"

namespace weir::flow {

// Where a key belongs in the index: 32 bits choose the bucket, 32 bits are the tag.
struct Place {
    std::uint32_t bucket_hash = 0;
    std::uint32_t tag = 0;  // never 0
};

// `hash` is the symmetric hash of a tuple, so both directions of a flow have one place. `seed` is
// the shard's secret: the hash of the tuple is public, and nobody outside may choose who shares a
// bucket.
inline Place place_of(std::uint64_t seed, std::uint32_t scope, std::uint32_t vni,
                      std::uint32_t hash) {
    std::uint64_t x = (seed ^ (std::uint64_t{scope} << 32 | vni)) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 31 ^ hash) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 32) * 0xc4ceb9fe1a85ec53u;
    return {static_cast<std::uint32_t>(x >> 32), static_cast<std::uint32_t>(x) | 1};
}

// A hash index from Place to a reference (record slot, or alias). No key lives in it.
//
// Buckets of seven entries with overflow buckets behind them; only the last of a row is ever partly
// filled, so entries/7 overflow buckets suffice for any distribution. A row is at most max_row
// buckets long, which chance never makes it, so that a lookup costs a bounded number of cache lines
// whatever strangers send. Allocates nothing. After a crash it is cleared and filled again from the
// records.
class Index {
public:
    static constexpr std::uint32_t max_row = 8;

    Index() = default;
    Index(Bucket* buckets, const Geometry& geometry, std::uint32_t* free_overflow)
        : buckets_(buckets),
          mask_(geometry.buckets - 1),
          main_(geometry.buckets),
          overflow_(geometry.overflow_buckets),
          free_(free_overflow) {}

    void clear();

    void prefetch(Place place) const { __builtin_prefetch(&buckets_[place.bucket_hash & mask_]); }

    // Calls `match(ref)` for each entry with the place's tag until one returns true.
    template <class Match>
    std::uint32_t find(Place place, Match&& match) const {
        const Bucket* bucket = &buckets_[place.bucket_hash & mask_];
        while (true) {
            for (std::uint32_t hits = hits_in(*bucket, place.tag); hits != 0; hits &= hits - 1) {
                const std::uint32_t ref =
                    bucket->ref[static_cast<unsigned>(std::countr_zero(hits))];
                if (match(ref)) return ref;
            }
            if (bucket->next == no_index) [[likely]]
                return no_index;
            bucket = &buckets_[bucket->next];
        }
    }

    // False when the row is full; then nothing is inserted.
    bool has_room(Place place) const;
    bool insert(Place place, std::uint32_t ref);
    bool erase(Place place, std::uint32_t ref);

    // Entries, counted one by one (tests).
    std::uint64_t count() const;

private:
    static std::uint32_t hits_in(const Bucket& bucket, std::uint32_t tag) {
        std::uint32_t hits = 0;
        for (std::uint32_t i = 0; i < Bucket::entries; ++i)
            hits |= static_cast<std::uint32_t>(bucket.tag[i] == tag) << i;
        return hits;
    }

    Bucket* buckets_ = nullptr;
    std::uint32_t mask_ = 0, main_ = 0, overflow_ = 0;
    std::uint32_t* free_ = nullptr;
};

}  // namespace weir::flow
