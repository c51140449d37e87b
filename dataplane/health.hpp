#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

#include "dataplane/failed_paths.hpp"
#include "dataplane/state_board.hpp"

namespace weir::dataplane {

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
            const auto grown =
                static_cast<std::uint32_t>((whole - from) * (now_ns - until) / recovery_ns);
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
    std::uint32_t kinds_there() const {
        std::uint32_t kinds = 0;
        for_each([&](std::uint32_t id, std::uint32_t, std::uint64_t) { kinds |= kind(id); });
        return kinds;
    }
    // Whoever adds a node writes its place first, then its bit: the second look sees the place, or
    // the bit comes behind it.
    void look_at_kinds() {
        const std::uint32_t kinds = kinds_there();
        if (kinds_.load(std::memory_order_relaxed) == kinds) return;
        kinds_.store(kinds, std::memory_order_seq_cst);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        kinds_.fetch_or(kinds_there(), std::memory_order_acq_rel);
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
    static constexpr std::uint32_t layout_version = 4;
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

    // Gives up the places of nodes that `is_known` has denied for long, and of hosts of which
    // nothing has been said for long. One worker of each engine, once in a while.
    template <class Known>
    void sweep(std::uint64_t now_ns, Known&& is_known) {
        nodes_.sweep(now_ns, is_known);
        hosts_.sweep(now_ns,
                     [&](std::uint32_t id) { return hosts_.get(id) != Hosts::State::unknown; });
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
