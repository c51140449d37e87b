#include "flow/index.hpp"

#include "base/check.hpp"

namespace weir::flow {

void Index::clear() {
    for (std::uint32_t i = 0; i < main_ + overflow_; ++i) buckets_[i] = Bucket{};
    *free_ = no_index;
    for (std::uint32_t i = overflow_; i > 0; --i) {
        buckets_[main_ + i - 1].next = *free_;
        *free_ = main_ + i - 1;
    }
}

bool Index::has_room(Place place) const {
    const Bucket* bucket = &buckets_[place.bucket_hash & mask_];
    std::uint32_t row = 1;
    for (; bucket->next != no_index; ++row) bucket = &buckets_[bucket->next];
    return row < max_row || bucket->count < Bucket::entries;
}

bool Index::insert(Place place, std::uint32_t ref) {
    Bucket* bucket = &buckets_[place.bucket_hash & mask_];
    std::uint32_t row = 1;
    for (; bucket->next != no_index; ++row) bucket = &buckets_[bucket->next];
    if (bucket->count == Bucket::entries) {
        if (row == max_row) return false;
        const std::uint32_t fresh = *free_;
        WEIR_CHECK(fresh != no_index, "there is an overflow bucket for every seven entries");
        *free_ = buckets_[fresh].next;
        buckets_[fresh] = Bucket{};
        bucket->next = fresh;
        bucket = &buckets_[fresh];
    }
    bucket->tag[bucket->count] = place.tag;
    bucket->ref[bucket->count] = ref;
    ++bucket->count;
    return true;
}

bool Index::erase(Place place, std::uint32_t ref) {
    Bucket* found = nullptr;
    std::uint32_t at = 0;
    Bucket* before_last = nullptr;
    Bucket* last = &buckets_[place.bucket_hash & mask_];
    while (true) {
        for (std::uint32_t i = 0; i < last->count && found == nullptr; ++i) {
            if (last->tag[i] == place.tag && last->ref[i] == ref) {
                found = last;
                at = i;
            }
        }
        if (last->next == no_index) break;
        before_last = last;
        last = &buckets_[last->next];
    }
    if (found == nullptr) return false;

    // The last entry of the row fills the hole.
    const std::uint32_t tail = --last->count;
    found->tag[at] = last->tag[tail];
    found->ref[at] = last->ref[tail];
    last->tag[tail] = 0;
    last->ref[tail] = 0;
    if (tail == 0 && before_last != nullptr) {
        const std::uint32_t emptied = before_last->next;
        before_last->next = no_index;
        last->next = *free_;
        *free_ = emptied;
    }
    return true;
}

std::uint64_t Index::count() const {
    std::uint64_t total = 0;
    for (std::uint32_t i = 0; i < main_; ++i) {
        const Bucket* bucket = &buckets_[i];
        while (true) {
            total += bucket->count;
            if (bucket->next == no_index) break;
            bucket = &buckets_[bucket->next];
        }
    }
    return total;
}

}  // namespace weir::flow
