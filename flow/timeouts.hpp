#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "flow/record.hpp"

namespace weir::flow {

// Idle times, in milliseconds. The defaults are the one rulebook (design §4, spec service-plane
// DP-10); operators change them for a port by model::FlowTimeouts.
struct Timeouts {
    std::uint32_t tcp_new_ms = 60'000;  // handshake not finished
    std::uint32_t tcp_established_ms = 7'200'000;
    std::uint32_t tcp_closing_ms = 30'000;  // at least one FIN
    std::uint32_t tcp_closed_ms = 5'000;    // RST, or the last ACK
    std::uint32_t udp_ms = 60'000;
    std::uint32_t udp_replied_ms = 180'000;  // once the responder answered
    std::uint32_t icmp_ms = 20'000;
    std::uint32_t other_ms = 60'000;

    friend bool operator==(const Timeouts&, const Timeouts&) = default;

    // The idle time that holds for `pair` as it stands now.
    std::uint32_t idle_ms(const FlowPair& pair) const {
        switch (pair.key.tuple.proto) {
            case 6:
                return tcp_ms(pair.tcp);
            case 17:
                return pair.hot[1].last_seen_ns != 0 ? udp_replied_ms : udp_ms;
            case 1:
            case 58:
                return icmp_ms;
            default:
                return other_ms;
        }
    }

private:
    std::uint32_t tcp_ms(TcpState state) const {
        using Member = std::uint32_t Timeouts::*;
        static constexpr std::array<Member, static_cast<std::size_t>(TcpState::count_)> by_state = {
            &Timeouts::tcp_new_ms,     &Timeouts::tcp_new_ms,          // none, syn_sent
            &Timeouts::tcp_new_ms,     &Timeouts::tcp_established_ms,  // syn_received, …
            &Timeouts::tcp_closing_ms, &Timeouts::tcp_closing_ms,      // fin_initiator, …
            &Timeouts::tcp_closing_ms, &Timeouts::tcp_closed_ms};      // closing, closed
        return this->*by_state[static_cast<std::size_t>(state)];
    }
};

inline constexpr Timeouts default_timeouts{};

// Whether another packet of this direction leaves the idle time of its flow, and its place among
// others, as they are. Asks no other line than this direction's.
inline bool keeps_idle_time(const Hot& hot, std::uint8_t direction, bool tcp,
                            const Timeouts& idle) {
    if (tcp) return hot.idle_ms == idle.tcp_established_ms && hot.kind == Kind::established;
    return hot.idle_ms == idle.udp_replied_ms || (direction == 0 && hot.idle_ms == idle.udp_ms);
}

}  // namespace weir::flow
