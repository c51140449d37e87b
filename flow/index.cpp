#include "flow/index.hpp"

#include <cstring>

#include "base/check.hpp"

namespace weir::flow {

void Index::clear() {
    std::memset(static_cast<void*>(buckets_), 0, std::size_t{main_} * sizeof(Bucket));
    header_->free_buckets = header_->made_buckets = 0;
}

// None of the first eight entries of `bucket` has the tag.
std::uint32_t Index::first_of_row(const Bucket* bucket, std::uint16_t tag) const {
    if (bucket->tag[8] == 0) [[likely]]
        return no_index;
    while (true) {
        const std::uint32_t hits = hits_in(*bucket, tag);
        if (hits != 0) return bucket->ref[static_cast<unsigned>(std::countr_zero(hits))];
        if (bucket->next == 0) return no_index;
        bucket = &buckets_[bucket->next];
    }
}

bool Index::has_room(Place place) const {
    const Bucket* bucket = &main_bucket(place);
    std::uint32_t row = 1;
    for (; bucket->next != 0; ++row) bucket = &buckets_[bucket->next];
    return count_of(*bucket) < Bucket::entries || (row < max_row && can_make());
}

std::uint32_t Index::make() {
    std::uint32_t fresh = header_->free_buckets;
    if (fresh != 0) header_->free_buckets = buckets_[fresh].next;
    else fresh = main_ + header_->made_buckets++;
    buckets_[fresh] = Bucket{};
    return fresh;
}

bool Index::insert(Place place, std::uint32_t ref) {
    Bucket* bucket = &main_bucket(place);
    std::uint32_t row = 1;
    for (; bucket->next != 0; ++row) bucket = &buckets_[bucket->next];
    std::uint32_t count = count_of(*bucket);
    if (count == Bucket::entries) {
        if (row == max_row || !can_make()) return false;
        bucket->next = make();
        bucket = &buckets_[bucket->next];
        count = 0;
    }
    bucket->tag[count] = place.tag;
    bucket->ref[count] = ref;
    return true;
}

bool Index::replace(Place place, std::uint32_t old, std::uint32_t ref) {
    for (Bucket* bucket = &main_bucket(place);; bucket = &buckets_[bucket->next]) {
        for (std::uint32_t hits = hits_in(*bucket, place.tag); hits != 0; hits &= hits - 1) {
            std::uint32_t& entry = bucket->ref[static_cast<unsigned>(std::countr_zero(hits))];
            if (entry != old) continue;
            entry = ref;
            return true;
        }
        if (bucket->next == 0) return false;
    }
}

bool Index::erase_in_row(Place place, std::uint32_t ref) {
    Bucket* found = nullptr;
    std::uint32_t at = 0;
    Bucket* before_last = nullptr;
    Bucket* last = &main_bucket(place);
    while (true) {
        std::uint32_t hits = found == nullptr ? hits_in(*last, place.tag) : 0;
        for (; hits != 0 && found == nullptr; hits &= hits - 1) {
            at = static_cast<std::uint32_t>(std::countr_zero(hits));
            if (last->ref[at] == ref) found = last;
        }
        if (last->next == 0) break;
        before_last = last;
        last = &buckets_[last->next];
    }
    if (found == nullptr) return false;

    // The last entry of the row fills the hole.
    const std::uint32_t tail = count_of(*last) - 1;
    found->tag[at] = last->tag[tail];
    found->ref[at] = last->ref[tail];
    last->tag[tail] = 0;
    last->ref[tail] = 0;
    if (tail == 0 && before_last != nullptr) {
        const std::uint32_t emptied = before_last->next;
        before_last->next = 0;
        last->next = header_->free_buckets;
        header_->free_buckets = emptied;
    }
    return true;
}

std::uint64_t Index::count() const {
    std::uint64_t total = 0;
    for (std::uint32_t i = 0; i < main_; ++i) {
        const Bucket* bucket = &buckets_[i];
        while (true) {
            total += count_of(*bucket);
            if (bucket->next == 0) break;
            bucket = &buckets_[bucket->next];
        }
    }
    return total;
}

}  // namespace weir::flow
