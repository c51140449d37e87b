#include "features/chain/node/moves.hpp"

#include <algorithm>

#include "features/chain/planned.hpp"
#include "net/arp.hpp"
#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::chain {

void MoveBoard::open(const dataplane::OpenInput& input) {
    bool fresh = false;
    memory_ = static_cast<MoveMemory*>(input.pool(MoveMemory::pool_name, sizeof(MoveMemory),
                                                  MoveMemory::layout_version, fresh));
}

MoveMemory::One* MoveBoard::of(const Move& move) {
    for (std::size_t i = 0; memory_ && i < max_moves; ++i) {
        MoveMemory::One& one = memory_->ones[(move.node_id + i) % max_moves];
        std::uint32_t seen = one.node_id.load(std::memory_order_acquire);
        if (seen == 0 &&
            one.node_id.compare_exchange_strong(seen, move.node_id, std::memory_order_acq_rel))
            seen = move.node_id;
        if (seen != move.node_id) continue;
        return begin(one, move.number) ? &one : nullptr;
    }
    return nullptr;
}

// Whether the place is about that move. One worker empties it; others have nothing to note or to
// find there before it has.
bool MoveBoard::begin(MoveMemory::One& one, std::uint32_t move) {
    std::uint32_t number = one.number.load(std::memory_order_acquire);
    if (number == move) return true;
    if (number == MoveMemory::busy ||
        !one.number.compare_exchange_strong(number, MoveMemory::busy, std::memory_order_acq_rel))
        return number == move;
    one.away_ns.store(0, std::memory_order_relaxed);
    one.present_ns.store(0, std::memory_order_relaxed);
    one.announced.store(0, std::memory_order_relaxed);
    one.told.store(0, std::memory_order_relaxed);
    one.number.store(move, std::memory_order_release);
    return true;
}

void MoveBoard::note_away(const Move& move, std::uint64_t now_ns) {
    MoveMemory::One* one = of(move);
    std::uint64_t never = 0;
    if (one) one->away_ns.compare_exchange_strong(never, now_ns, std::memory_order_acq_rel);
}

bool MoveBoard::relays(const Move& move, std::uint64_t now_ns) {
    const MoveMemory::One* one = of(move);
    const std::uint64_t since = one ? one->away_ns.load(std::memory_order_acquire) : 0;
    return since != 0 && now_ns - since < relay_ns;
}

void MoveBoard::keep_only(const std::vector<Move>& moves) {
    if (!memory_) return;
    for (MoveMemory::One& one : memory_->ones) {
        const std::uint32_t id = one.node_id.load(std::memory_order_acquire);
        if (id == 0 || std::ranges::find(moves, id, &Move::node_id) != moves.end()) continue;
        one.number.store(0, std::memory_order_release);
        one.node_id.store(0, std::memory_order_release);
    }
}

bool build_arrival(net::Packet& out, std::uint32_t node_id, std::uint32_t from_host,
                   std::uint32_t to_host) {
    if (!net::write_rarp_announcement(out, node_mac(node_id))) return false;
    // One packet for each host: the segment knows no broadcast (DP-22).
    net::set_macs(out, net::service_plane_mac(to_host), net::service_plane_mac(from_host));
    return true;
}

std::optional<net::Mac> arrival_of(const net::Packet& p) {
    if (p.headers.ethertype != net::ethertype_rarp) return std::nullopt;
    const auto rarp = net::read_arp(p);
    if (!rarp || rarp->operation != net::ArpOperation::rarp_request ||
        rarp->sender_mac != rarp->target_mac)
        return std::nullopt;
    return rarp->sender_mac;
}

}  // namespace weir::chain
