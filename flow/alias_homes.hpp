#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "net/packet.hpp"

namespace weir::flow {

// HandOver::dispatched in guest contexts: the packet is at home of its alias; a service translated
// it, and HandOver::trace_collector names the flow that is to have its tuple as an alias.
inline constexpr std::uint8_t at_alias_home = 0xfe, brings_alias = 0xff;
inline constexpr std::size_t max_aliases = 4;  // of one flow

// Which worker keeps the flow that a translated tuple belongs to (Table::add_alias): packets with
// that tuple reach the worker that would own it, and are handed on. One for a host, a pool of the
// vault shared by workers and engines. Zeroed memory is empty. A wrong or forgotten answer costs
// the flow its alias, not more.
class AliasHomes {
public:
    static constexpr std::string_view pool_name = "alias-homes";
    static constexpr std::uint32_t layout_version = 2;
    static constexpr std::uint32_t nowhere = 0xffffffff;

    // `hash`: symmetric, of the tuple.
    static std::uint64_t key_of(std::uint32_t scope, std::uint32_t vni, std::uint32_t hash) {
        const std::uint64_t mixed =
            (std::uint64_t{hash} << 32 ^ std::uint64_t{scope} << 24 ^ vni) * 0x9e3779b97f4a7c15ull;
        return (mixed ^ mixed >> 29) & ~std::uint64_t{0xff};
    }
    void set(std::uint64_t key, std::uint32_t worker) {
        Row& row = row_of(key);
        const std::uint64_t entry = key | (worker + 1);
        for (auto& place : row) {
            std::uint64_t seen = place.load(std::memory_order_relaxed);
            if ((seen & ~mask) == key || seen == 0) {
                place.store(entry, std::memory_order_relaxed);
                used_.store(1, std::memory_order_release);
                return;
            }
        }
        const std::uint32_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
        row[turn % row.size()].store(entry, std::memory_order_relaxed);
    }
    std::uint32_t find(std::uint64_t key) const {
        if (used_.load(std::memory_order_acquire) == 0) return nowhere;
        for (const auto& place : rows_[key >> 40 & (rows - 1)]) {
            const std::uint64_t seen = place.load(std::memory_order_relaxed);
            if ((seen & ~mask) == key && seen != 0)
                return static_cast<std::uint32_t>(seen & mask) - 1;
        }
        return nowhere;
    }

private:
    static constexpr std::uint64_t mask = 0xff;
    static constexpr std::size_t rows = 4096;
    using Row = std::array<std::atomic<std::uint64_t>, 4>;  // key | worker + 1
    Row& row_of(std::uint64_t key) { return rows_[key >> 40 & (rows - 1)]; }
    std::array<Row, rows> rows_;
    std::atomic<std::uint32_t> used_{0};
    std::atomic<std::uint32_t> turn_{0};
};

}  // namespace weir::flow
