#pragma once
#include <cstdint>

#include "dataplane/emit.hpp"
#include "net/hash.hpp"
#include "net/packet.hpp"
#include "net/rss.hpp"

namespace weir::dataplane {

// Which worker a packet belongs to; needs `headers` and `tuple`. HandOver::dispatched says how far
// it has come: 0 as received, 1 at the worker that gathers fragments, 2 at the flow's owner.
struct Home {
    std::uint32_t worker = 0;
    std::uint8_t dispatched = 2;
};

inline bool is_fragment(const net::Headers& headers) {
    return headers.fragment != net::Fragment::whole;
}

inline Home home_of(const net::Headers& headers, const net::Tuple& tuple, const net::HandOver& hand,
                    std::uint32_t workers, std::uint32_t here) {
    if (headers.family == net::Family::none) return {here, 2};
    if (is_fragment(headers) && !hand.fragment_known)
        return {net::address_hash(tuple.src, tuple.dst, tuple.proto) % workers, 1};
    return {net::flow_owner(tuple, workers), 2};
}

// Sends the packet to its owner if that is another worker. True: it has left.
inline bool dispatch(Packet& p, Emit& emit) {
    if (emit.workers == 1 || p.hand.dispatched >= 2) return false;
    const Home home = home_of(p.headers, p.tuple, p.hand, emit.workers, emit.worker);
    if (p.hand.dispatched >= home.dispatched) return false;
    p.hand.dispatched = home.dispatched;
    if (home.worker == emit.worker) return false;
    emit.hand_to_worker(p, home.worker);
    return true;
}

}  // namespace weir::dataplane
