#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/stage.hpp"
#include "features/overlay/auth_windows.hpp"
#include "net/auth.hpp"

namespace weir::overlay {

// What this host signs with towards one other host of a service segment, and what it takes.
struct AuthLink {
    struct Key {
        std::uint8_t id = 0;
        net::AuthKeyState state;
        friend bool operator==(const Key&, const Key&) = default;
    };
    Key send;
    std::vector<Key> accept;
    bool optional = false;  // what is not signed is taken as well
    std::string peer, segment;
    friend bool operator==(const AuthLink&, const AuthLink&) = default;
};

// By service segment and host, for segments with keys. Secrets themselves are not kept.
struct AuthTables {
    std::unordered_map<std::uint64_t, AuthLink> links;
    std::map<std::uint32_t, std::string> peers;  // names of all other hosts, by number

    static std::uint64_t key(std::uint32_t svni, std::uint32_t peer) {
        return std::uint64_t{svni} << 32 | peer;
    }
    const AuthLink* find(std::uint32_t svni, std::uint32_t peer) const {
        const auto at = links.find(key(svni, peer));
        return at == links.end() ? nullptr : &at->second;
    }
    static Result<std::shared_ptr<const AuthTables>> compile(
        const dataplane::CompileInput& input, const std::shared_ptr<const AuthTables>& previous);
};

// The host's memory of numbers.
struct SharedWindows {
    AuthWindows* windows = nullptr;  // null: there is no memory; then nothing is signed or believed
    std::uint64_t first = 1;         // number to start with where there is no memory of others

    void open(const dataplane::OpenInput& input);
    AuthWindows::Window* find(std::uint32_t svni, std::uint32_t peer) const {
        const std::size_t at = windows ? windows->find_or_add(svni, peer) : AuthWindows::capacity;
        return at == AuthWindows::capacity ? nullptr : &(*windows)[at];
    }
};

// Numbers that a worker has taken in advance, so that workers write to what they share rarely.
class AuthNumbers {
public:
    // The next number for this place. Not one that others have left far behind: it would be older
    // than the receiver's window.
    std::uint64_t next(std::size_t at, AuthWindows& windows, std::uint64_t first) {
        Block& block = blocks_[at];
        AuthWindows::Window& window = windows[at];
        if (block.next == block.end || window.given() - block.next > furthest_behind) {
            block.next = window.give(block_size, first);
            block.end = block.next + block_size;
        }
        const std::uint64_t number = block.next++ & net::auth_sequence_mask;
        return number != 0 ? number : block.next++ & net::auth_sequence_mask;
    }

private:
    static constexpr std::uint32_t block_size = 32, furthest_behind = AuthWindows::window / 2;
    struct Block {
        std::uint64_t next = 0, end = 0;
    };
    std::array<Block, AuthWindows::capacity> blocks_{};
};

// Judges the AUTH of a packet; `nsh`: the segment's metadata travels as NSH. Counts what it
// refuses. Null `link`: the sender is no host of the segment.
AuthFault check_auth(const net::GeneveView& view, bool nsh, const AuthLink* link,
                     AuthWindows::Window* window);

}  // namespace weir::overlay
