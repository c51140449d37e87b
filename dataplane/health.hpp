#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

namespace weir::dataplane {

// Up or down by number. A table of the host's vault: zeroed memory is an empty one. Writers and
// readers are any workers.
template <std::size_t capacity>
class StateBoard {
public:
    enum class State : std::uint8_t { unknown = 0, up, down };

    State get(std::uint32_t id) const {
        const Entry* e = find(id);
        return e ? static_cast<State>(e->state.load(std::memory_order_acquire)) : State::unknown;
    }
    // True when this changed the state. A full board refuses (returns false, state unknown).
    bool set(std::uint32_t id, State state, std::uint64_t now_ns) {
        Entry* e = find_or_add(id);
        if (!e) return false;
        const auto before =
            e->state.exchange(static_cast<std::uint8_t>(state), std::memory_order_acq_rel);
        if (before == static_cast<std::uint8_t>(state)) return false;
        e->changed_ns.store(now_ns, std::memory_order_relaxed);
        return true;
    }
    std::uint64_t changed_ns(std::uint32_t id) const {
        const Entry* e = find(id);
        return e ? e->changed_ns.load(std::memory_order_relaxed) : 0;
    }

private:
    struct Entry {
        std::atomic<std::uint32_t> id{0};  // 0: free
        std::atomic<std::uint8_t> state{0};
        std::atomic<std::uint64_t> changed_ns{0};
    };
    const Entry* find(std::uint32_t wanted) const {
        for (std::size_t i = 0; i < capacity; ++i) {
            const Entry& e = entries_[(wanted + i) % capacity];
            const std::uint32_t id = e.id.load(std::memory_order_acquire);
            if (id == wanted) return &e;
            if (id == 0) return nullptr;
        }
        return nullptr;
    }
    Entry* find_or_add(std::uint32_t wanted) {
        for (std::size_t i = 0; wanted != 0 && i < capacity; ++i) {
            Entry& e = entries_[(wanted + i) % capacity];
            std::uint32_t id = 0;
            if (e.id.compare_exchange_strong(id, wanted, std::memory_order_acq_rel) || id == wanted)
                return &e;
        }
        return nullptr;
    }
    std::array<Entry, capacity> entries_{};
};

// Paths that somebody on the way found broken, each for a short time (spec service-plane DP-9c,
// LV-8): by service segment and SPI. Zeroed memory is an empty table.
class FailedPaths {
public:
    static constexpr std::size_t capacity = 1024, ways = 8;

    static std::uint64_t key(std::uint32_t svni, std::uint32_t spi) {
        return std::uint64_t{1} << 48 | std::uint64_t{svni & 0xffffff} << 24 | (spi & 0xffffff);
    }
    bool contains(std::uint32_t svni, std::uint32_t spi) const {
        if (size_.load(std::memory_order_acquire) == 0) return false;
        const std::uint64_t wanted = key(svni, spi);
        for (std::size_t way = 0; way < ways; ++way)
            if (entry(wanted, way).key.load(std::memory_order_acquire) == wanted) return true;
        return false;
    }
    // True: it was not in the table. False, too, where there is no room; the next report tries
    // again.
    bool add(std::uint32_t svni, std::uint32_t spi, std::uint64_t until_ns, std::uint8_t reason) {
        const std::uint64_t wanted = key(svni, spi);
        for (std::size_t way = 0; way < ways; ++way) {
            Entry& e = entry(wanted, way);
            if (e.key.load(std::memory_order_acquire) != wanted) continue;
            e.until_ns.store(until_ns, std::memory_order_relaxed);
            return false;
        }
        for (std::size_t way = 0; way < ways; ++way) {
            Entry& e = entry(wanted, way);
            std::uint64_t free = 0;
            if (!e.key.compare_exchange_strong(free, busy, std::memory_order_acq_rel)) continue;
            e.until_ns.store(until_ns, std::memory_order_relaxed);
            e.reason.store(reason, std::memory_order_relaxed);
            size_.fetch_add(1, std::memory_order_acq_rel);
            e.key.store(wanted, std::memory_order_release);
            return true;
        }
        return false;
    }
    // Takes out what is over. True if there was anything. One caller at a time.
    bool expire(std::uint64_t now_ns) {
        if (size_.load(std::memory_order_acquire) == 0) return false;
        bool any = false;
        for (Entry& e : entries_) {
            const std::uint64_t held = e.key.load(std::memory_order_acquire);
            if (held == 0 || held == busy || now_ns < e.until_ns.load(std::memory_order_relaxed))
                continue;
            e.key.store(0, std::memory_order_release);
            size_.fetch_sub(1, std::memory_order_acq_rel);
            any = true;
        }
        return any;
    }
    std::uint32_t size() const { return size_.load(std::memory_order_relaxed); }
    // visit(svni, spi, until_ns, reason)
    template <class F>
    void for_each(F&& visit) const {
        for (const Entry& e : entries_) {
            const std::uint64_t held = e.key.load(std::memory_order_acquire);
            if (held == 0 || held == busy) continue;
            visit(static_cast<std::uint32_t>(held >> 24 & 0xffffff),
                  static_cast<std::uint32_t>(held & 0xffffff),
                  e.until_ns.load(std::memory_order_relaxed),
                  e.reason.load(std::memory_order_relaxed));
        }
    }

private:
    static constexpr std::uint64_t busy = 1;  // being written; no key
    struct Entry {
        std::atomic<std::uint64_t> key{0};  // 0: free
        std::atomic<std::uint64_t> until_ns{0};
        std::atomic<std::uint8_t> reason{0};
    };
    static std::size_t slot(std::uint64_t wanted, std::size_t way) {
        return (static_cast<std::size_t>(wanted * 0x9e3779b97f4a7c15ull >> 40) + way) % capacity;
    }
    const Entry& entry(std::uint64_t wanted, std::size_t way) const {
        return entries_[slot(wanted, way)];
    }
    Entry& entry(std::uint64_t wanted, std::size_t way) { return entries_[slot(wanted, way)]; }

    std::atomic<std::uint32_t> size_{0};
    std::array<Entry, capacity> entries_{};
};

// Nodes that want fewer new flows (OVERLOAD of spec service-plane §6.2), each for a time: the share
// of their weight that is left, in thousandths. When its time is over a share grows back evenly
// over ten seconds, so that new flows do not all come at once. Zeroed memory is an empty table.
class Overloads {
public:
    static constexpr std::size_t capacity = 128;
    static constexpr std::uint32_t whole = 1000, least = 50;  // least: PS-6
    static constexpr std::uint64_t recovery_ns = 10'000'000'000;

    std::uint32_t share(std::uint32_t node_id) const {
        if ((kinds_.load(std::memory_order_acquire) & kind(node_id)) == 0) return whole;
        for (const Entry& e : entries_)
            if (e.id.load(std::memory_order_acquire) == node_id)
                return e.share.load(std::memory_order_relaxed);
        return whole;
    }
    // Whether there is any whose share is not whole.
    bool any() const { return size_.load(std::memory_order_acquire) != 0; }
    // A whole share ends the order: what is there grows back from now on. False: no room. Any
    // workers; of orders for one node at the same time any one holds.
    bool set(std::uint32_t node_id, std::uint32_t share, std::uint64_t until_ns,
             std::uint64_t now_ns) {
        if (node_id == free_place || node_id == busy) return share >= whole;
        const Order order{std::max(share, least), share < whole ? until_ns : now_ns};
        for (unsigned tries = 0; tries < most_tries; ++tries) {
            Entry* e = place_of(node_id);
            if (!e) return share >= whole || add(node_id, order);
            write(*e, order, share >= whole);
            // recover() did not take it away meanwhile, and will find what is written now.
            if (e->id.load(std::memory_order_seq_cst) == node_id) return true;
        }
        return false;
    }
    // Lets shares grow back. One caller at a time.
    void recover(std::uint64_t now_ns) {
        if (size_.load(std::memory_order_acquire) == 0) {
            if (kinds_.load(std::memory_order_relaxed) != 0) look_at_kinds();
            return;
        }
        for (Entry& e : entries_) {
            std::uint32_t id = e.id.load(std::memory_order_acquire);
            const std::uint64_t until = e.until_ns.load(std::memory_order_relaxed);
            if (id == free_place || id == busy || now_ns < until) continue;
            if (now_ns - until >= recovery_ns) {
                give_up(e, id, now_ns);
                continue;
            }
            const std::uint32_t from = e.ordered.load(std::memory_order_relaxed);
            const auto grown = static_cast<std::uint32_t>((whole - from) * (now_ns - until) /
                                                          recovery_ns);
            if (e.share.load(std::memory_order_relaxed) != from + grown)
                e.share.store(from + grown, std::memory_order_relaxed);
        }
        look_at_kinds();
    }
    // visit(node id, share, until_ns)
    template <class F>
    void for_each(F&& visit) const {
        for (const Entry& e : entries_)
            if (const std::uint32_t id = e.id.load(std::memory_order_acquire);
                id != free_place && id != busy)
                visit(id, e.share.load(std::memory_order_relaxed),
                      e.until_ns.load(std::memory_order_relaxed));
    }

private:
    static constexpr std::uint32_t free_place = 0, busy = ~0u;  // busy: being written; no node
    static constexpr unsigned most_tries = 8;
    struct Entry {
        std::atomic<std::uint32_t> id{free_place};
        std::atomic<std::uint32_t> share{whole}, ordered{whole};
        std::atomic<std::uint64_t> until_ns{0};
    };
    struct Order {
        std::uint32_t share = whole;
        std::uint64_t until_ns = 0;
    };
    static std::uint32_t kind(std::uint32_t node_id) { return 1u << node_id % 32; }

    static void write(Entry& e, const Order& order, bool ends) {
        if (ends) {
            std::uint64_t until = e.until_ns.load(std::memory_order_relaxed);
            while (order.until_ns < until &&
                   !e.until_ns.compare_exchange_weak(until, order.until_ns,
                                                     std::memory_order_seq_cst)) {
            }
            return;
        }
        e.ordered.store(order.share, std::memory_order_relaxed);
        e.share.store(order.share, std::memory_order_relaxed);
        e.until_ns.store(order.until_ns, std::memory_order_seq_cst);
    }
    Entry* place_of(std::uint32_t node_id) {
        for (Entry& e : entries_)
            if (e.id.load(std::memory_order_acquire) == node_id) return &e;
        return nullptr;
    }
    bool add(std::uint32_t node_id, const Order& order) {
        for (Entry& e : entries_) {
            std::uint32_t free = free_place;
            if (e.id.load(std::memory_order_relaxed) != free_place ||
                !e.id.compare_exchange_strong(free, busy, std::memory_order_acq_rel))
                continue;
            write(e, order, false);
            size_.fetch_add(1, std::memory_order_acq_rel);
            e.id.store(node_id, std::memory_order_seq_cst);
            kinds_.fetch_or(kind(node_id), std::memory_order_acq_rel);
            keep_one(node_id);
            return true;
        }
        return false;
    }
    // Two workers may have added the same node: the first place stays.
    void keep_one(std::uint32_t node_id) {
        bool first = true;
        for (Entry& e : entries_) {
            std::uint32_t id = node_id;
            if (e.id.load(std::memory_order_seq_cst) != node_id) continue;
            if (!std::exchange(first, false) &&
                e.id.compare_exchange_strong(id, free_place, std::memory_order_acq_rel))
                size_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }
    // Its time is over, unless somebody wrote it anew meanwhile.
    void give_up(Entry& e, std::uint32_t id, std::uint64_t now_ns) {
        const std::uint32_t node_id = id;
        if (!e.id.compare_exchange_strong(id, busy, std::memory_order_seq_cst)) return;
        const std::uint64_t until = e.until_ns.load(std::memory_order_seq_cst);
        if (now_ns < until || now_ns - until < recovery_ns) {
            e.id.store(node_id, std::memory_order_seq_cst);
            return;
        }
        size_.fetch_sub(1, std::memory_order_acq_rel);
        e.id.store(free_place, std::memory_order_release);
    }
    // What was added just now may be missing until the next time, a millisecond later.
    void look_at_kinds() {
        std::uint32_t kinds = 0;
        for_each([&](std::uint32_t id, std::uint32_t, std::uint64_t) { kinds |= kind(id); });
        if (kinds_.load(std::memory_order_relaxed) != kinds)
            kinds_.store(kinds, std::memory_order_release);
    }
    std::atomic<std::uint32_t> size_{0};
    std::atomic<std::uint32_t> kinds_{0};  // of the nodes in here: most others need no look
    std::array<Entry, capacity> entries_{};
};

// What this host knows about the life of service nodes, of tunnels and of paths: one board per
// host, in the vault, shared by all workers.
//
// Written by whoever learns something (liveness, BFD, messages from other hosts, the controller's
// word), read by path selection. `generation` grows with every change; readers compare it with what
// they stored and look closer only when it differs (spec service-plane DP-9c).
class HealthBoard {
public:
    static constexpr std::size_t capacity = 1024, host_capacity = 4096;
    static constexpr std::uint32_t layout_version = 3;
    using Nodes = StateBoard<capacity>;
    using Hosts = StateBoard<host_capacity>;
    using State = Nodes::State;

    // Unknown counts as up: attachment is vouched for by the controller until liveness says
    // otherwise.
    bool is_up(std::uint32_t node_id) const { return get(node_id) != State::down; }
    State get(std::uint32_t node_id) const { return nodes_.get(node_id); }
    bool set(std::uint32_t node_id, State state, std::uint64_t now_ns) {
        return noted(nodes_.set(node_id, state, now_ns));
    }
    std::uint64_t changed_ns(std::uint32_t node_id) const { return nodes_.changed_ns(node_id); }

    // Whether packets reach another host, as this one sees it (LV-9).
    bool host_is_up(std::uint32_t host_id) const {
        return hosts_.get(host_id) != Hosts::State::down;
    }
    bool set_host(std::uint32_t host_id, Hosts::State state, std::uint64_t now_ns) {
        return noted(hosts_.set(host_id, state, now_ns));
    }

    const FailedPaths& failed_paths() const { return failed_; }
    bool fail_path(std::uint32_t svni, std::uint32_t spi, std::uint64_t until_ns,
                   std::uint8_t reason) {
        return noted(failed_.add(svni, spi, until_ns, reason));
    }
    // New flows alone care for these: the generation stands.
    const Overloads& overloads() const { return overloads_; }
    Overloads& overloads() { return overloads_; }
    bool expire_paths(std::uint64_t now_ns) {
        avoided_.expire(now_ns);
        return noted(failed_.expire(now_ns));
    }
    // Paths that new flows of this host avoid while there are others: above their chain's limits.
    const FailedPaths& avoided_paths() const { return avoided_; }
    FailedPaths& avoided_paths() { return avoided_; }

    std::atomic<std::uint32_t> generation{1};

private:
    bool noted(bool changed) {
        if (changed) generation.fetch_add(1, std::memory_order_acq_rel);
        return changed;
    }
    Nodes nodes_;
    Hosts hosts_;
    FailedPaths failed_, avoided_;
    Overloads overloads_;
};

}  // namespace weir::dataplane
