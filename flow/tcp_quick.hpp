#pragma once
#include "flow/tcp.hpp"
#include "net/bytes.hpp"

namespace weir::flow {

// An established connection with both sides known and no end in sight.
inline bool is_steady(TcpState state, const Hot& a, const Hot& b) {
    constexpr std::uint8_t known = tcp_seen_sequence | tcp_seen_window;
    constexpr std::uint8_t finished = tcp_seen_fin | tcp_seen_fin_acked;
    return state == TcpState::established && (a.tcp_seen & b.tcp_seen & known) == known &&
           ((a.tcp_seen | b.tcp_seen) & finished) == 0;
}

// Follows a segment of a steady connection where all that can happen is that numbers grow: no SYN,
// FIN or RST. False, and nothing done, for any other; what it does is what track() does
// (tcp_quick_test.cpp).
//
// `own` and `peer`: the lines of the sending and the receiving side. `header`: a TCP header whose
// data offset is sound; `bytes`: header and payload.
inline bool follow_steady(Hot& own, const Hot& peer, const std::uint8_t* header,
                          std::uint32_t bytes) {
    if ((header[13] & (tcp_syn | tcp_fin | tcp_rst | tcp_ack)) != tcp_ack) return false;
    const auto distance = [](std::uint32_t from, std::uint32_t to) {
        return static_cast<std::int32_t>(to - from);
    };
    constexpr std::int32_t slack = tcp_window_slack;
    const std::uint32_t end = net::load32(header + 4) + bytes - (header[12] >> 2 & 0x3cu);
    const bool fits =
        distance(peer.acknowledged, end) >= 0 && distance(peer.window_edge, end) <= slack;
    if (fits && distance(own.sequence_end, end) > 0) own.sequence_end = end;
    const std::uint32_t number = net::load32(header + 8);
    if (distance(peer.sequence_end, number) > 0) return true;  // nobody sent that yet
    const bool scaled = own.tcp_seen & peer.tcp_seen & tcp_seen_scale;
    const std::uint32_t edge =
        number + (std::uint32_t{net::load16(header + 14)} << (scaled ? own.window_scale : 0));
    if (distance(own.acknowledged, number) > 0) own.acknowledged = number;
    if (distance(own.window_edge, edge) > 0) own.window_edge = edge;
    return true;
}
// The same for a connection of which nothing is known yet.
inline bool follow_established(FlowPair& pair, std::uint8_t direction, const std::uint8_t* header,
                               std::uint32_t bytes) {
    Hot& own = pair.hot[direction & 1];
    const Hot& peer = pair.hot[(direction & 1) ^ 1];
    return is_steady(pair.tcp, own, peer) && follow_steady(own, peer, header, bytes);
}

}  // namespace weir::flow
