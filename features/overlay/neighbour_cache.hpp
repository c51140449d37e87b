#pragma once
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <tuple>

#include "net/address.hpp"

namespace weir::overlay {

// Underlay address → MAC. One per host, in the vault; the underlay port's polling worker writes,
// every worker reads. An entry is guarded by a sequence number: odd while it is being written. Who
// meets an odd one knows nothing and asks again: its writer may have been killed.
class NeighbourCache {
public:
    static constexpr std::size_t capacity = 4096;
    static constexpr std::uint32_t layout_version = 3;

    struct Found {
        net::Mac mac;
        std::uint64_t learned_ns = 0;
        bool known = false;
    };
    Found find(const net::Ip& ip) const {
        for (std::size_t i = 0; i < probes; ++i) {
            const Content c = read(entries_[(home(ip) + i) % capacity]);
            if (c.learned_ns != 0 && c.ip == ip) return {c.mac, c.learned_ns, true};
        }
        return {};
    }
    // Rises with every answer that may differ from the one before, behind it: who asked before it
    // rose asks again.
    std::uint32_t changes() const { return changes_.load(std::memory_order_acquire); }
    // One writer. Takes the place of the oldest entry when the neighbourhood is full.
    void learn(const net::Ip& ip, const net::Mac& mac, std::uint64_t now_ns) {
        Entry* place = nullptr;
        Content before;
        for (std::size_t i = 0; i < probes; ++i) {
            Entry& e = entries_[(home(ip) + i) % capacity];
            const Content c = read(e);
            const bool same = c.learned_ns != 0 && c.ip == ip;
            if (!same && place && c.learned_ns >= before.learned_ns) continue;
            place = &e;
            before = c;
            if (same) break;
        }
        write(*place, {ip, mac, {}, now_ns});
        if (before.learned_ns == 0 || before.ip != ip || before.mac != mac)
            changes_.fetch_add(1, std::memory_order_release);
    }

private:
    static constexpr std::size_t probes = 8;
    static constexpr std::uint32_t patience = 100;  // looks at an entry that is being written
    struct Content {
        net::Ip ip;
        net::Mac mac;
        std::array<std::uint8_t, 2> unused{};
        std::uint64_t learned_ns = 0;  // 0: empty
    };
    using Words = std::array<std::uint64_t, sizeof(Content) / sizeof(std::uint64_t)>;
    struct Entry {
        std::atomic<std::uint32_t> sequence{0};
        std::array<std::atomic<std::uint64_t>, std::tuple_size_v<Words>> words{};
    };

    // Empty if the entry stays half-written. A word of a later write comes with that write's odd
    // number, which was stored before it: then the second look differs from the first.
    static Content read(const Entry& e) {
        for (std::uint32_t tries = 0; tries < patience; ++tries) {
            const std::uint32_t before = e.sequence.load(std::memory_order_acquire);
            Words words;
            for (std::size_t i = 0; i < words.size(); ++i)
                words[i] = e.words[i].load(std::memory_order_acquire);
            const std::uint32_t after = e.sequence.load(std::memory_order_relaxed);
            if ((before & 1) == 0 && after == before) return std::bit_cast<Content>(words);
        }
        return {};
    }
    static void write(Entry& e, const Content& content) {
        const auto words = std::bit_cast<Words>(content);
        const std::uint32_t odd = e.sequence.load(std::memory_order_relaxed) | 1;
        e.sequence.store(odd, std::memory_order_relaxed);
        for (std::size_t i = 0; i < words.size(); ++i)
            e.words[i].store(words[i], std::memory_order_release);
        e.sequence.store(odd + 1, std::memory_order_release);
    }
    static std::size_t home(const net::Ip& ip) {
        std::size_t h = 0;
        for (const std::uint8_t byte : ip.bytes) h = h * 131 + byte;
        return h;
    }
    std::array<Entry, capacity> entries_{};
    std::atomic<std::uint32_t> changes_{0};
};

}  // namespace weir::overlay
