#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weir::dataplane {

// Numbers in places of a bounded table that any workers, of any engines, write and read at once,
// and that none of them may lock. The number is the low half of a place's word; 0: never taken,
// `gone`: given up, to be taken anew. A number is looked for from its own place on, as far as the
// first that was never taken.
//
// Two workers that take a place for one number at the same time may end up with two. The one in
// front holds: take() says so to both before they write anything there, and sweeping takes the
// other away. `At`: index → std::atomic<Word>&.
template <std::size_t capacity, class Word, class At>
class IdPlaces {
public:
    static constexpr std::uint32_t never = 0, gone = ~0u;
    static constexpr std::size_t nowhere = capacity;

    explicit IdPlaces(At at) : at_(at) {}

    static std::uint32_t id_of(Word word) { return static_cast<std::uint32_t>(word); }

    std::size_t find(std::uint32_t id) const {
        if (id == never || id == gone) return nowhere;
        for (std::size_t i = 0; i < capacity; ++i) {
            const std::size_t place = (id + i) % capacity;
            const std::uint32_t held = id_of(at_(place).load(std::memory_order_seq_cst));
            if (held == id) return place;
            if (held == never) break;
        }
        return nowhere;
    }
    // The number's place, or one taken for it; nowhere: all are taken.
    std::size_t take(std::uint32_t id) const {
        if (id == never || id == gone) return nowhere;
        for (unsigned tries = 0; tries < most_tries; ++tries) {
            if (const std::size_t known = find(id); known != nowhere) return known;
            const std::size_t place = free_for(id);
            if (place == nowhere) return nowhere;
            Word held = at_(place).load(std::memory_order_acquire);
            if (is_taken(held)) continue;
            if (at_(place).compare_exchange_strong(held, Word{id}, std::memory_order_seq_cst) &&
                find(id) == place)
                return place;
        }
        return nowhere;
    }
    // Whether another place holds the same number, in front of this one.
    bool is_behind(std::size_t place, std::uint32_t id) const { return find(id) != place; }
    // Places given up at the end of a row count as never taken again, so that rows stay short. Who
    // takes the place behind one meanwhile has passed none of them: it would have taken those.
    void trim() const {
        for (std::size_t i = 2 * capacity; i-- > 0;) {
            std::atomic<Word>& word = at_(i % capacity);
            const std::atomic<Word>& next = at_((i + 1) % capacity);
            Word held = word.load(std::memory_order_acquire);
            if (id_of(held) != gone || id_of(next.load(std::memory_order_seq_cst)) != never)
                continue;
            if (!word.compare_exchange_strong(held, Word{never}, std::memory_order_seq_cst))
                continue;
            Word empty = never;
            if (id_of(next.load(std::memory_order_seq_cst)) != never)
                word.compare_exchange_strong(empty, Word{gone}, std::memory_order_seq_cst);
        }
    }

private:
    static constexpr unsigned most_tries = 64;
    static bool is_taken(Word word) { return id_of(word) != never && id_of(word) != gone; }

    std::size_t free_for(std::uint32_t id) const {
        for (std::size_t i = 0; i < capacity; ++i) {
            const std::size_t place = (id + i) % capacity;
            if (!is_taken(at_(place).load(std::memory_order_acquire))) return place;
        }
        return nowhere;
    }
    At at_;
};

// Since when nobody knows a number, in 24 bits of seconds.
class UnknownSince {
public:
    static constexpr std::uint32_t known = 0;
    static constexpr std::uint32_t keep_s = 600;  // then its place is given up

    static std::uint32_t at(std::uint64_t now_ns) {
        return (static_cast<std::uint32_t>(now_ns / 1'000'000'000) & mask) | 1;
    }
    static bool is_over(std::uint32_t since, std::uint64_t now_ns) {
        return since != known && ((at(now_ns) - since) & mask) >= keep_s;
    }

private:
    static constexpr std::uint32_t mask = 0xffffff;
};

}  // namespace weir::dataplane
