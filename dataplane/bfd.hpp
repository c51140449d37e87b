#pragma once
#include <algorithm>
#include <cstdint>

#include "net/bfd.hpp"

namespace weir::dataplane {

// How often we speak, in microseconds and times.
struct BfdTimes {
    std::uint32_t interval_us = 1'000'000;  // of ours while up, and wanted of the other side
    std::uint8_t detect_multiplier = 3;
};

// One session of Bidirectional Forwarding Detection in asynchronous mode (RFC 5880 §6.8), single
// hop: no echo, no demand, no authentication.
//
// Pure and without pointers: the caller brings the clock and carries the packets, and the zeroed
// memory of a vault pool is a session that has not begun. One thread at a time.
class BfdSession {
public:
    using State = net::BfdState;

    bool begun() const { return local_ != 0; }
    // `discriminator` is not 0 and names this session among ours.
    void begin(std::uint32_t discriminator, std::uint64_t now_ns, const BfdTimes& times = {}) {
        *this = {};
        local_ = discriminator;
        times_ = times;
        state_ = State::down;
        random_ = discriminator;
        next_ns_ = now_ns;
    }

    // A packet that decode() accepted and that names this session, or none. True: the state
    // changed.
    bool receive(const net::Bfd& bfd, std::uint64_t now_ns);
    // True: the other side fell silent, and the session is down since now.
    bool expire(std::uint64_t now_ns);

    // Whether a packet is due, and which; the next one is due an interval later.
    bool due(std::uint64_t now_ns) const {
        return answer_poll_ || (now_ns >= next_ns_ && remote_min_rx_us_ != 0);
    }
    net::Bfd next_packet(std::uint64_t now_ns);

    State state() const { return state_; }
    net::BfdDiagnostic diagnostic() const { return diagnostic_; }
    std::uint32_t discriminator() const { return local_; }
    std::uint32_t remote_discriminator() const { return remote_; }
    std::uint64_t changed_ns() const { return changed_ns_; }
    std::uint64_t heard_ns() const { return heard_ns_; }
    std::uint32_t downs() const { return downs_; }  // times it was up and is not any more

    // RFC 5880 §6.8.4; 0 before the first packet.
    std::uint64_t detection_ns() const {
        return std::uint64_t{remote_multiplier_} * 1000 *
               std::max(times_.interval_us, remote_desired_us_);
    }
    std::uint64_t interval_ns() const {
        return std::uint64_t{1000} * std::max(desired_us(), remote_min_rx_us_);
    }

private:
    static constexpr std::uint32_t slow_us = 1'000'000;  // at least, until up (§6.8.3)

    std::uint32_t desired_us() const {
        return state_ == State::up ? times_.interval_us : std::max(times_.interval_us, slow_us);
    }
    bool become(State state, net::BfdDiagnostic why, std::uint64_t now_ns);
    State next_state(State heard) const;
    std::uint32_t random();

    BfdTimes times_;
    std::uint32_t local_ = 0, remote_ = 0;
    State state_ = State::down;
    net::BfdDiagnostic diagnostic_ = net::BfdDiagnostic::none;
    bool polling_ = false, answer_poll_ = false;
    std::uint8_t remote_multiplier_ = 0;
    std::uint32_t remote_min_rx_us_ = 1;  // §6.8.1
    std::uint32_t remote_desired_us_ = 0;
    std::uint32_t random_ = 0;
    std::uint32_t downs_ = 0;
    std::uint64_t next_ns_ = 0, heard_ns_ = 0, changed_ns_ = 0;
};

}  // namespace weir::dataplane
