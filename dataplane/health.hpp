#pragma once
#include <array>
#include <atomic>
#include <cstdint>

namespace weir::dataplane {

// Whether service nodes live, by node id: one board per host, in the vault, shared by all workers.
//
// Written by whoever learns something (liveness, messages from other hosts, the controller's word),
// read by path selection. `generation` grows with every change; readers compare it with what they
// stored and look closer only when it differs (spec service-plane DP-9c).
class HealthBoard {
public:
    static constexpr std::size_t capacity = 1024;
    static constexpr std::uint32_t layout_version = 1;
    enum class State : std::uint8_t { unknown = 0, up, down };

    // Unknown counts as up: attachment is vouched for by the controller until liveness says
    // otherwise.
    bool is_up(std::uint32_t node_id) const { return get(node_id) != State::down; }
    State get(std::uint32_t node_id) const {
        const Entry* e = find(node_id);
        return e ? static_cast<State>(e->state.load(std::memory_order_acquire)) : State::unknown;
    }
    // True when this changed the state. A full board refuses (returns false, state unknown).
    bool set(std::uint32_t node_id, State state, std::uint64_t now_ns) {
        Entry* e = find_or_add(node_id);
        if (!e) return false;
        const auto before =
            e->state.exchange(static_cast<std::uint8_t>(state), std::memory_order_acq_rel);
        if (before == static_cast<std::uint8_t>(state)) return false;
        e->changed_ns.store(now_ns, std::memory_order_relaxed);
        generation.fetch_add(1, std::memory_order_acq_rel);
        return true;
    }
    std::uint64_t changed_ns(std::uint32_t node_id) const {
        const Entry* e = find(node_id);
        return e ? e->changed_ns.load(std::memory_order_relaxed) : 0;
    }

    std::atomic<std::uint32_t> generation{1};

private:
    struct Entry {
        std::atomic<std::uint32_t> node_id{0};  // 0: free
        std::atomic<std::uint8_t> state{0};
        std::atomic<std::uint64_t> changed_ns{0};
    };
    const Entry* find(std::uint32_t node_id) const {
        for (std::size_t i = 0; i < capacity; ++i) {
            const Entry& e = entries_[(node_id + i) % capacity];
            const std::uint32_t id = e.node_id.load(std::memory_order_acquire);
            if (id == node_id) return &e;
            if (id == 0) return nullptr;
        }
        return nullptr;
    }
    Entry* find_or_add(std::uint32_t node_id) {
        for (std::size_t i = 0; node_id != 0 && i < capacity; ++i) {
            Entry& e = entries_[(node_id + i) % capacity];
            std::uint32_t id = 0;
            if (e.node_id.compare_exchange_strong(id, node_id, std::memory_order_acq_rel) ||
                id == node_id)
                return &e;
        }
        return nullptr;
    }
    std::array<Entry, capacity> entries_{};
};

}  // namespace weir::dataplane
