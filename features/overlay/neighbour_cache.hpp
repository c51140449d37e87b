#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "net/address.hpp"

namespace weir::overlay {

// Underlay address → MAC. One per host, in the vault; the underlay port's polling worker writes,
// every worker reads. An entry is guarded by a sequence number: odd while it is being written.
class NeighbourCache {
public:
    static constexpr std::size_t capacity = 4096;
    static constexpr std::uint32_t layout_version = 2;

    struct Found {
        net::Mac mac;
        std::uint64_t learned_ns = 0;
        bool known = false;
    };
    Found find(const net::Ip& ip) const {
        for (std::size_t i = 0; i < probes; ++i) {
            const Entry& e = entries_[(home(ip) + i) % capacity];
            for (;;) {
                const std::uint32_t before = e.sequence.load(std::memory_order_acquire);
                if (before & 1) continue;
                const Found found{e.mac, e.learned_ns, e.learned_ns != 0 && e.ip == ip};
                std::atomic_thread_fence(std::memory_order_acquire);
                if (e.sequence.load(std::memory_order_relaxed) != before) continue;
                if (found.known) return found;
                break;
            }
        }
        return {};
    }
    // Rises with every answer that may differ from the one before.
    std::uint32_t changes() const { return changes_.load(std::memory_order_acquire); }
    // One writer. Takes the place of the oldest entry when the neighbourhood is full.
    void learn(const net::Ip& ip, const net::Mac& mac, std::uint64_t now_ns) {
        Entry* place = nullptr;
        for (std::size_t i = 0; i < probes; ++i) {
            Entry& e = entries_[(home(ip) + i) % capacity];
            if (e.learned_ns != 0 && e.ip == ip) {
                place = &e;
                break;
            }
            if (!place || e.learned_ns < place->learned_ns) place = &e;
        }
        if (place->learned_ns == 0 || place->ip != ip || place->mac != mac)
            changes_.fetch_add(1, std::memory_order_release);
        place->sequence.fetch_add(1, std::memory_order_acq_rel);
        place->ip = ip;
        place->mac = mac;
        place->learned_ns = now_ns;
        place->sequence.fetch_add(1, std::memory_order_release);
    }

private:
    static constexpr std::size_t probes = 8;
    struct Entry {
        std::atomic<std::uint32_t> sequence{0};
        net::Mac mac;
        net::Ip ip;
        std::uint64_t learned_ns = 0;
    };
    static std::size_t home(const net::Ip& ip) {
        std::size_t h = 0;
        for (const std::uint8_t byte : ip.bytes) h = h * 131 + byte;
        return h;
    }
    std::array<Entry, capacity> entries_{};
    std::atomic<std::uint32_t> changes_{0};
};

}  // namespace weir::overlay
