#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/id_places.hpp"

namespace weir::dataplane {

// Up or down by number. A table of the host's vault: zeroed memory is an empty one. Writers and
// readers are any workers.
template <std::size_t capacity>
class StateBoard {
public:
    enum class State : std::uint8_t { unknown = 0, up, down };

    State get(std::uint32_t id) const {
        const std::size_t place = places().find(id);
        if (place == nowhere) return State::unknown;
        const Word word = entries_[place].word.load(std::memory_order_acquire);
        return id_of(word) == id ? state_of(word) : State::unknown;
    }
    // True when this changed the state. A full board refuses (returns false, state unknown).
    bool set(std::uint32_t id, State state, std::uint64_t now_ns) {
        bool changed = false;
        for (unsigned tries = 0; tries < most_tries; ++tries) {
            const std::size_t place = places().take(id);
            if (place == nowhere) return changed;
            Entry& entry = entries_[place];
            Word before = entry.word.load(std::memory_order_acquire);
            if (!write(entry, before, id, state)) continue;  // given up meanwhile
            if (state_of(before) != state) {
                entry.changed_ns.store(now_ns, std::memory_order_relaxed);
                changed = true;
            }
            if (!places().is_behind(place, id)) return changed;
        }
        return changed;
    }
    std::uint64_t changed_ns(std::uint32_t id) const {
        const std::size_t place = places().find(id);
        return place == nowhere ? 0 : entries_[place].changed_ns.load(std::memory_order_relaxed);
    }
    // Gives up the places of numbers that nobody has known for UnknownSince::keep_s. Those who
    // sweep, one worker of each engine, may know different ones: what either knows stays. What is
    // written meanwhile is not lost.
    template <class Known>
    void sweep(std::uint64_t now_ns, Known&& is_known) {
        bool any_gone = false;
        for (std::size_t place = 0; place < capacity; ++place) {
            Entry& entry = entries_[place];
            Word word = entry.word.load(std::memory_order_acquire);
            const std::uint32_t id = id_of(word);
            any_gone = any_gone || id == Numbers::gone;
            if (id == Numbers::never || id == Numbers::gone) continue;
            const Word next = places().is_behind(place, id) ? Word{Numbers::gone}
                              : is_known(id) ? joined(id, state_of(word), UnknownSince::known)
                                             : aged(word, now_ns);
            if (next != word)
                entry.word.compare_exchange_strong(word, next, std::memory_order_seq_cst);
        }
        if (any_gone) places().trim();
    }

private:
    // Number 32 bits, state 8, UnknownSince 24.
    using Word = std::uint64_t;
    struct Entry {
        std::atomic<Word> word{0};
        std::atomic<std::uint64_t> changed_ns{0};
    };
    struct At {
        std::array<Entry, capacity>* entries;
        std::atomic<Word>& operator()(std::size_t place) const { return (*entries)[place].word; }
    };
    using Numbers = IdPlaces<capacity, Word, At>;
    static constexpr std::size_t nowhere = Numbers::nowhere;
    static constexpr unsigned most_tries = 64;

    static std::uint32_t id_of(Word word) { return Numbers::id_of(word); }
    static State state_of(Word word) { return static_cast<State>(word >> 32 & 0xff); }
    static Word joined(std::uint32_t id, State state, std::uint32_t since) {
        return Word{since} << 40 | Word{static_cast<std::uint8_t>(state)} << 32 | id;
    }
    static Word aged(Word word, std::uint64_t now_ns) {
        const auto since = static_cast<std::uint32_t>(word >> 40);
        if (since == UnknownSince::known)
            return joined(id_of(word), state_of(word), UnknownSince::at(now_ns));
        return UnknownSince::is_over(since, now_ns) ? Word{Numbers::gone} : word;
    }
    // False: the place is another number's. `before`: what stood there.
    static bool write(Entry& entry, Word& before, std::uint32_t id, State state) {
        const Word wanted = joined(id, state, UnknownSince::known);
        while (id_of(before) == id)
            if (before == wanted ||
                entry.word.compare_exchange_weak(before, wanted, std::memory_order_seq_cst))
                return true;
        return false;
    }
    // Looking changes nothing.
    Numbers places() const {
        return Numbers(At{const_cast<std::array<Entry, capacity>*>(&entries_)});
    }
    std::array<Entry, capacity> entries_{};
};

}  // namespace weir::dataplane
