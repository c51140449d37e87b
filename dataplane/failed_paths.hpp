#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

namespace weir::dataplane {

// Paths that somebody on the way found broken, each for a short time (spec service-plane DP-9c,
// LV-8): by service segment and SPI. Zeroed memory is an empty table. There is a place for each
// path that a host may have (§10.5); rarely one finds none of its own free before that.
class FailedPaths {
public:
    static constexpr std::size_t capacity = 65'536, ways = 16;

    static std::uint64_t key(std::uint32_t svni, std::uint32_t spi) {
        return std::uint64_t{1} << 48 | std::uint64_t{svni & 0xffffff} << 24 | (spi & 0xffffff);
    }
    // Why it is in the table, if it is.
    std::optional<std::uint8_t> reason(std::uint32_t svni, std::uint32_t spi) const {
        if (size_.load(std::memory_order_acquire) == 0) return std::nullopt;
        const std::uint64_t wanted = key(svni, spi);
        for (std::size_t way = 0; way < ways; ++way) {
            const Entry& e = entries_[place(wanted, way)];
            if (e.key.load(std::memory_order_acquire) == wanted)
                return e.reason.load(std::memory_order_relaxed);
        }
        return std::nullopt;
    }
    bool contains(std::uint32_t svni, std::uint32_t spi) const {
        return reason(svni, spi).has_value();
    }
    // True: it was not in the table. False, too, where there is no room; the next report tries
    // again. Any workers.
    bool add(std::uint32_t svni, std::uint32_t spi, std::uint64_t until_ns, std::uint8_t reason) {
        const std::uint64_t wanted = key(svni, spi);
        for (std::size_t way = 0; way < ways; ++way) {
            Entry& e = entries_[place(wanted, way)];
            if (e.key.load(std::memory_order_acquire) != wanted) continue;
            e.until_ns.store(until_ns, std::memory_order_seq_cst);
            // expire() did not take it away meanwhile, and will find what is written now.
            if (e.key.load(std::memory_order_seq_cst) == wanted) return false;
        }
        for (std::size_t way = 0; way < ways; ++way)
            if (take(place(wanted, way), wanted, until_ns, reason)) return true;
        return false;
    }
    // Takes out what is over: all of it where there is not much, else all of it within eight calls.
    // True if anything was taken out.
    bool expire(std::uint64_t now_ns) {
        if (size_.load(std::memory_order_acquire) == 0) return false;
        bool any = false;
        const std::size_t from = next_part_.load(std::memory_order_relaxed);
        std::size_t looked = 0, i = 0;
        for (; i < parts && looked < parts_at_once; ++i) {
            const std::size_t part = (from + i) % parts;
            if (in_part_[part].load(std::memory_order_acquire) == 0) continue;
            ++looked;
            any = expire_part(part, now_ns) || any;
        }
        next_part_.store(static_cast<std::uint32_t>((from + i) % parts), std::memory_order_relaxed);
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
    static constexpr std::size_t parts = 64, part_size = capacity / parts, parts_at_once = 8;
    struct Entry {
        std::atomic<std::uint64_t> key{0};  // 0: free
        std::atomic<std::uint64_t> until_ns{0};
        std::atomic<std::uint8_t> reason{0};
    };
    static std::size_t place(std::uint64_t wanted, std::size_t way) {
        return (static_cast<std::size_t>(wanted * 0x9e3779b97f4a7c15ull >> 40) + way) % capacity;
    }
    // Counted before it is there and after it is gone: what is not counted is not looked at.
    bool take(std::size_t at, std::uint64_t wanted, std::uint64_t until_ns, std::uint8_t reason) {
        Entry& e = entries_[at];
        std::uint64_t free = 0;
        if (e.key.load(std::memory_order_relaxed) != 0 ||
            !e.key.compare_exchange_strong(free, busy, std::memory_order_acq_rel))
            return false;
        e.until_ns.store(until_ns, std::memory_order_relaxed);
        e.reason.store(reason, std::memory_order_relaxed);
        size_.fetch_add(1, std::memory_order_acq_rel);
        in_part_[at / part_size].fetch_add(1, std::memory_order_acq_rel);
        e.key.store(wanted, std::memory_order_seq_cst);
        return true;
    }
    bool expire_part(std::size_t part, std::uint64_t now_ns) {
        bool any = false;
        for (std::size_t at = part * part_size; at < (part + 1) * part_size; ++at) {
            Entry& e = entries_[at];
            std::uint64_t held = e.key.load(std::memory_order_acquire);
            if (held == 0 || held == busy || now_ns < e.until_ns.load(std::memory_order_relaxed))
                continue;
            const std::uint64_t key = held;
            if (!e.key.compare_exchange_strong(held, busy, std::memory_order_seq_cst)) continue;
            const bool is_over = now_ns >= e.until_ns.load(std::memory_order_seq_cst);
            if (is_over) {
                size_.fetch_sub(1, std::memory_order_acq_rel);
                in_part_[part].fetch_sub(1, std::memory_order_acq_rel);
            }
            e.key.store(is_over ? 0 : key, std::memory_order_seq_cst);
            any = true;  // for a moment it was not there, even where it stays
        }
        return any;
    }

    std::atomic<std::uint32_t> size_{0}, next_part_{0};
    std::array<std::atomic<std::uint32_t>, parts> in_part_{};
    std::array<Entry, capacity> entries_{};
};

}  // namespace weir::dataplane
