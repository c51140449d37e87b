#pragma once
#include "flow/tcp.hpp"
#include "net/bytes.hpp"

namespace weir::flow {

// Follows a segment of an established connection with both sides known, where all that can happen
// is that numbers grow: no SYN, FIN or RST, none seen yet. False, and nothing done, for any other;
// what it does is what track() does (tcp_quick_test.cpp).
//
// `header`: a TCP header whose data offset is sound; `bytes`: header and payload.
inline bool follow_established(FlowPair& pair, std::uint8_t direction, const std::uint8_t* header,
                               std::uint32_t bytes) {
    constexpr std::uint8_t known = tcp_seen_sequence | tcp_seen_window;
    Hot& own = pair.hot[direction & 1];
    Hot& peer = pair.hot[(direction & 1) ^ 1];
    const std::uint8_t flags = header[13];
    const auto finished = static_cast<std::uint8_t>((own.tcp_seen | peer.tcp_seen) &
                                                    (tcp_seen_fin | tcp_seen_fin_acked));
    if (pair.tcp != TcpState::established || (own.tcp_seen & peer.tcp_seen & known) != known ||
        finished != 0 || (flags & (tcp_syn | tcp_fin | tcp_rst | tcp_ack)) != tcp_ack)
        return false;
    const auto distance = [](std::uint32_t from, std::uint32_t to) {
        return static_cast<std::int32_t>(to - from);
    };
    constexpr std::int32_t slack = tcp_window_slack;
    const std::uint32_t end = net::load32(header + 4) + bytes - (header[12] >> 4) * 4u;
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

}  // namespace weir::flow
