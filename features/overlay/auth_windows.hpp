#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "net/auth.hpp"

namespace weir::overlay {

// Why a packet of a segment with keys is not taken.
enum class AuthFault : std::uint8_t { none = 0, missing, unknown_key, bad_mac, replay, count_ };
inline constexpr std::array<std::string_view, 5> auth_fault_names = {
    "none", "missing", "unknown-key", "bad-mac", "replay"};

// Numbers given to and taken from other hosts, per service segment and host: one memory per host,
// in the vault, shared by all workers and engines. It holds no key.
//
// The numbers of a sender go on over all its keys, so one window serves old and new (SEC-13).
class AuthWindows {
public:
    static constexpr std::size_t capacity = 512;
    static constexpr std::size_t window = 1024;
    static constexpr std::uint32_t layout_version = 1;

    class Window {
    public:
        // The first of `count` numbers that nobody was given yet; of all, the first is `first`.
        std::uint64_t give(std::uint32_t count, std::uint64_t first) {
            std::uint64_t nothing = 0;
            if (given_.load(std::memory_order_relaxed) == 0)
                given_.compare_exchange_strong(nothing, first, std::memory_order_relaxed);
            return given_.fetch_add(count, std::memory_order_relaxed);
        }
        std::uint64_t given() const { return given_.load(std::memory_order_relaxed); }
        std::uint64_t newest() const { return newest_.load(std::memory_order_relaxed); }

        // False: the number was taken before, or it is older than the window. Call it once the MAC
        // is known to be right. Number 0 is nobody's.
        bool take(std::uint64_t number) {
            std::uint64_t newest = newest_.load(std::memory_order_relaxed);
            if (number == 0) return false;
            if (newest != 0 && ((newest - number) & net::auth_sequence_mask) >= window &&
                !net::auth_newer(number, newest))
                return false;
            auto& place = seen_[number % window];
            std::uint64_t before = place.load(std::memory_order_relaxed);
            do {
                if (before != 0 && !net::auth_newer(number, before)) return false;
            } while (!place.compare_exchange_weak(before, number, std::memory_order_relaxed));
            while ((newest == 0 || net::auth_newer(number, newest)) &&
                   !newest_.compare_exchange_weak(newest, number, std::memory_order_relaxed)) {
            }
            return true;
        }
        void refuse(AuthFault fault) {
            refused_[static_cast<std::size_t>(fault)].fetch_add(1, std::memory_order_relaxed);
        }
        std::uint64_t refused(AuthFault fault) const {
            return refused_[static_cast<std::size_t>(fault)].load(std::memory_order_relaxed);
        }

    private:
        friend class AuthWindows;
        std::atomic<std::uint64_t> owner_{0};  // service segment and host; 0: free
        std::atomic<std::uint64_t> given_{0}, newest_{0};
        std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(AuthFault::count_)>
            refused_{};
        std::array<std::atomic<std::uint64_t>, window> seen_{};
    };

    // The place of this host's dealings with `peer`; `capacity` when there is no room for it.
    std::size_t find_or_add(std::uint32_t svni, std::uint32_t peer) {
        const std::uint64_t owner = std::uint64_t{svni} << 32 | peer;
        const std::size_t home = (owner * 0x9e3779b97f4a7c15ull >> 40) % capacity;
        for (std::size_t i = 0; i < capacity; ++i) {
            const std::size_t at = (home + i) % capacity;
            std::uint64_t found = windows_[at].owner_.load(std::memory_order_acquire);
            if (found == 0 && windows_[at].owner_.compare_exchange_strong(
                                  found, owner, std::memory_order_acq_rel))
                return at;
            if (found == owner) return at;
        }
        return capacity;
    }
    Window& operator[](std::size_t at) { return windows_[at]; }

private:
    std::array<Window, capacity> windows_{};
};

}  // namespace weir::overlay
