#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/stage.hpp"
#include "net/packet.hpp"

// Service nodes on their way from one host to another (spec service-plane §8.5), as every host sees
// them. `node_state.hpp` has what travels with a node.
namespace weir::chain {

inline constexpr std::uint64_t relay_ns = 10'000'000'000;   // MB-9: the old host's, since it knew
inline constexpr std::uint64_t frozen_ns = 3'000'000'000;   // MB-9: silence that blames nobody
inline constexpr std::size_t max_moves = 64;                // a host takes note of
inline constexpr std::array<std::uint64_t, 4> announcements_ns = {  // after the node is here
    0, 50'000'000, 200'000'000, 1'000'000'000};

// One announced move, compiled from service-node-move.
struct Move {
    std::uint32_t node_id = 0;
    std::uint32_t svni = 0;
    std::uint32_t number = 0;
    std::uint32_t from = 0, to = 0;  // hosts
    std::string node;
    bool present = false;  // this is the new host, and the node's ports are up
    std::vector<std::uint32_t> hosts;  // … which tells these so: the others of the segment

    friend bool operator==(const Move&, const Move&) = default;
};

// What a host has seen of the moves it was told of: a pool of its vault, shared by all workers and
// engines. Zeroed memory is a valid start; no pointers.
struct MoveMemory {
    static constexpr std::string_view pool_name = "service-moves";
    static constexpr std::uint32_t layout_version = 1;

    static constexpr std::uint32_t busy = ~0u;  // no move's number

    struct One {
        std::atomic<std::uint32_t> node_id{0};    // 0: free
        std::atomic<std::uint32_t> number{0};     // of the move that the rest is about
        std::atomic<std::uint64_t> away_ns{0};    // since when the node is at its new host; 0: not
        std::atomic<std::uint64_t> present_ns{0};  // the new host: since when it is here,
        std::atomic<std::uint32_t> announced{0};   // how often it has said so,
        std::atomic<std::uint32_t> told{0};        // and how many hosts it has told this time
    };
    std::array<One, max_moves> ones;
};

// One stage's view of it.
class MoveBoard {
public:
    void open(const dataplane::OpenInput& input);
    // The place of the move, made if need be; null: no memory, or max_moves are under way, or
    // another worker is just making it. Reads alone where it is there.
    MoveMemory::One* of(const Move& move);
    // Whether the node has reached its new host, as far as this host was told.
    bool is_away(const Move& move) {
        MoveMemory::One* one = of(move);
        return one && one->away_ns.load(std::memory_order_acquire) != 0;
    }
    void note_away(const Move& move, std::uint64_t now_ns);
    // Whether the old host still sends the node's late packets after it.
    bool relays(const Move& move, std::uint64_t now_ns);
    // Forgets moves that are over.
    void keep_only(const std::vector<Move>& moves);

private:
    static bool begin(MoveMemory::One& one, std::uint32_t move);
    MoveMemory* memory_ = nullptr;
};

// "The node of this address is here": a RARP announcement (RFC 903) as a control packet of the
// service segment, to one host. False without room.
bool build_arrival(net::Packet& out, std::uint32_t node_id, std::uint32_t from_host,
                   std::uint32_t to_host);
// Of which address a control packet (parsed) says so; nothing: it is no such announcement.
std::optional<net::Mac> arrival_of(const net::Packet& p);

}  // namespace weir::chain
